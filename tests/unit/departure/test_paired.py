"""Means over seeds and their intervals, against scipy's."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from transience.departure.paired import COLUMNS, effects_table, mean_and_interval


def runs(**changes) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        [(variant, m, seed) for variant in ("a", "b") for m in (8.0, 16.0) for seed in range(4)],
        columns=["variant", "num_tasks", "seed"],
    )
    names = ["preserved", "gain", "final_loss", "control_final_loss"]
    names += ["final_ood_loss", "control_final_ood_loss"]
    for name in names:
        frame[name] = rng.uniform(0.5, 2.0, len(frame))
    return frame.assign(control="baseline", **changes)


def found(table: pd.DataFrame, quantity: str, variant: str = "a", m: float = 8.0) -> pd.Series:
    return table.set_index(["variant", "num_tasks", "quantity"]).loc[(variant, m, quantity)]


def test_an_interval_is_that_of_a_t_test():
    frame = runs()
    table = effects_table(frame)
    assert list(table) == COLUMNS and len(table) == 2 * 2 * 4
    own = frame.query("variant == 'b' and num_tasks == 16")
    row, test = found(table, "gain", "b", 16.0), stats.ttest_1samp(own["gain"], 0.0)
    interval = test.confidence_interval(0.95)
    assert row[["mean", "low", "high"]].tolist() == pytest.approx([own["gain"].mean(), *interval])
    assert (row["num_seeds"], row["control"]) == (4, "baseline")


@pytest.mark.parametrize(
    ("quantity", "column"), [("loss_ratio", "loss"), ("ood_loss_ratio", "ood_loss")]
)
def test_a_ratio_is_paired_and_geometric(quantity, column):
    """Equal to a paired t-test of logarithms: seeds that differ together widen nothing."""
    frame = runs()
    own = frame.query("variant == 'a' and num_tasks == 8")
    pair = np.log(own[f"final_{column}"]), np.log(own[f"control_final_{column}"])
    interval = stats.ttest_rel(*pair).confidence_interval(0.95)
    row = found(effects_table(frame), quantity)
    assert row[["low", "high"]].tolist() == pytest.approx(np.exp(interval).tolist())
    together = frame.assign(
        **{f"{who}final_{column}": frame[f"{who}final_{column}"] * 10.0 ** frame["seed"]
           for who in ("", "control_")}
    )  # fmt: skip
    again = found(effects_table(together), quantity)
    assert again["high"] == pytest.approx(row["high"])


def test_seeds_without_a_value_are_left_out():
    frame = runs()
    frame.loc[frame["seed"] > 0, "preserved"] = math.nan
    frame.loc[frame["variant"] == "b", "gain"] = math.nan
    table = effects_table(frame)
    one, none = found(table, "preserved"), found(table, "gain", "b")
    first = frame.query("variant == 'a' and num_tasks == 8 and seed == 0")["preserved"].item()
    assert (one["num_seeds"], one["mean"]) == (1, first)
    assert none["num_seeds"] == 0
    assert none[["mean", "low", "high"]].isna().all() and one[["low", "high"]].isna().all()


def test_of_no_run_there_is_no_row():
    assert effects_table(runs().iloc[:0]).empty
    assert all(map(math.isnan, mean_and_interval(np.array([]))))
