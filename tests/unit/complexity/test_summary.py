"""LLC estimates of a sweep, a row a checkpoint or run."""

import math

import pandas as pd
import pytest

from transience.complexity.summary import llc_by_checkpoint, llc_by_run


def chains(num_tasks: float, step: int, values: list[float], flags: list[str]) -> pd.DataFrame:
    """Rows of table `llc` of one checkpoint; every other column holds the number 1."""
    others = ("first_half_llc", "second_half_llc", "rhat", "ess", "descent", "distance")
    ones = dict.fromkeys([*others, "acceptance", "loss_rise_fraction"], 1.0)
    return pd.DataFrame({"centred_llc": values, "flags": flags}).assign(
        variant="baseline", num_tasks=num_tasks, seed=0, step=step, chain=range(len(values)),
        llc=lambda rows: rows["centred_llc"] - 6, diverged=lambda rows: rows["llc"].isna(), **ones,
    )  # fmt: skip


@pytest.fixture
def llc() -> pd.DataFrame:
    return pd.concat(
        [
            chains(1.0, 10, [5.0, 7.0, 9.0, 11.0], [""] * 4),
            chains(1.0, 20, [1.0, 2.0], ["RHAT", "NEGATIVE,RHAT"]),
            chains(4.0, 20, [3.0, math.nan, 4.0, 5.0], ["", "DIVERGED", "", ""]),
        ]
    )


def test_an_estimate_is_missing_if_a_chain_diverged(llc: pd.DataFrame):
    sound, _, diverged = llc_by_checkpoint(llc).to_dict("records")
    assert (sound["centred_llc"], sound["llc"]) == (8, 2)
    error = math.sqrt((9 + 1 + 1 + 9) / 3 / 4)
    assert (sound["error"], sound["llc_error"]) == pytest.approx((error, error))
    assert (sound["diverged"], sound["chains"], sound["flags"]) == (0, 4, "")
    assert math.isnan(diverged["llc"]) and math.isnan(diverged["centred_llc"])
    assert (diverged["diverged"], diverged["chains"], diverged["flags"]) == (1, 4, "DIVERGED")


def test_flags_of_chains_are_joined_in_the_order_of_their_list(llc: pd.DataFrame):
    assert llc_by_checkpoint(llc)["flags"].tolist() == ["", "NEGATIVE,RHAT", "DIVERGED"]


def test_a_run_is_its_last_checkpoint(llc: pd.DataFrame):
    by_run = llc_by_run(llc)
    assert by_run[["num_tasks", "step"]].to_numpy().tolist() == [[1, 20], [4, 20]]
