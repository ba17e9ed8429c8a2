"""Agreement of indicators with the LLC: made-up tables whose correlations are known."""

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from transience.command.entry import ends_in_one_line
from transience.complexity import indicator_agreement as agreement
from transience.files import tables

RUNS = [(1.0, 0), (1.0, 1), (8.0, 0), (8.0, 1), (math.inf, 0)]
STEPS = range(1, 6)


def points(**columns: Callable[[pd.DataFrame], pd.Series]) -> pd.DataFrame:
    """Checkpoints of five runs whose LLC falls in training and rises with the run's number."""
    rows = pd.DataFrame(
        [
            {"variant": "baseline", "num_tasks": m, "seed": s, "step": step, "run": number}
            for number, (m, s) in enumerate(RUNS)
            for step in STEPS
        ]
    )
    rows["centred_llc"] = 10.0 * rows["run"] - rows["step"] + 20
    rows["flags"] = ""
    made = {"batch_loss": lambda rows: -1.0 * rows["step"]} | columns
    return rows.assign(**made).drop(columns="run")


def found(table: pd.DataFrame, indicator: str, scope: str) -> pd.Series:
    (row,) = (
        row for _, row in table.iterrows() if (row["indicator"], row["scope"]) == (indicator, scope)
    )
    return row


# Correlations


def test_any_growing_function_of_the_llc_agrees_fully():
    table = agreement.agreement(points(same=lambda rows: np.exp(rows["centred_llc"] / 10)))
    for scope in agreement.SCOPES:
        row = found(table, "same", scope)
        assert (row["rank_correlation"], row["low"], row["high"]) == pytest.approx((1, 1, 1))
        assert row["num_runs"] == 5
        assert row["num_checkpoints"] == (5 if scope == "end" else 25)


def test_scopes_tell_training_from_runs():
    """What follows a run's number only says all about the end, and nothing about training."""
    table = agreement.agreement(
        points(
            number=lambda rows: rows["run"] + 0.01 * rows["step"],  # wrong way over training
            time=lambda rows: -1.0 * rows["step"],
        )
    )
    assert found(table, "number", "end")["rank_correlation"] == pytest.approx(1)
    assert found(table, "number", "training")["rank_correlation"] == pytest.approx(-1)
    assert found(table, "time", "training")["rank_correlation"] == pytest.approx(1)
    assert math.isnan(found(table, "time", "end")["rank_correlation"])  # one value only
    assert math.isnan(found(table, "time", "beyond_loss")["rank_correlation"])  # is the loss


def test_a_partial_correlation_is_that_of_residuals():
    rng = np.random.default_rng(0)
    fixed = rng.normal(size=200)
    columns = np.stack([fixed, fixed + rng.normal(size=200), rng.normal(size=200) - fixed])
    ranks = np.argsort(np.argsort(columns, axis=1), axis=1)
    residuals = [row - np.polyval(np.polyfit(ranks[0], row, 1), ranks[0]) for row in ranks[1:]]
    partial = agreement.holding_fixed(agreement.rank_correlations(columns.T), 0)
    assert partial[1, 2] == pytest.approx(np.corrcoef(residuals)[0, 1])
    assert np.isnan(partial[0]).all()


def test_equal_values_share_a_rank():
    columns = np.array([[1.0, 5.0], [2.0, 7.0], [2.0, 6.0], [3.0, 8.0]])
    expected = np.corrcoef([1, 2.5, 2.5, 4], [1, 3, 2, 4])[0, 1]
    assert agreement.rank_correlations(columns)[0, 1] == pytest.approx(expected)


def test_too_few_points_have_no_correlation():
    few = points()
    few = few[few["step"] <= 2]
    table = agreement.agreement(few)
    assert math.isnan(found(table, "batch_loss", "training")["rank_correlation"])
    assert found(table, "batch_loss", "all")["num_checkpoints"] == 10


def test_a_missing_indicator_leaves_the_others_alone():
    table = agreement.agreement(points(gone=lambda rows: math.nan))
    assert table[table["indicator"] == "gone"]["rank_correlation"].isna().all()
    assert table[table["indicator"] == "batch_loss"]["rank_correlation"].notna().sum() == 2


# Intervals


def test_intervals_hold_the_value_and_repeat_with_the_seed():
    noise = np.random.default_rng(1).normal(scale=8, size=25)
    made = points(noisy=lambda rows: rows["centred_llc"] + noise)
    first, again, other = (agreement.agreement(made, seed=seed) for seed in (0, 0, 1))
    pd.testing.assert_frame_equal(first, again)
    assert not first["low"].equals(other["low"])
    for scope in ("all", "training"):
        row = found(first, "noisy", scope)
        assert row["low"] < row["rank_correlation"] < row["high"]


def test_the_interval_of_a_mean_over_runs_is_that_of_a_bootstrap():
    """Half of the runs agree fully, the others not at all: the mean is binomial."""
    sign = {0: 1, 1: 1, 2: -1, 3: -1, 4: 1}
    made = points(half=lambda rows: rows["run"].map(sign) * rows["centred_llc"])
    row = found(agreement.agreement(made), "half", "training")
    assert row["rank_correlation"] == pytest.approx(0.2)
    # of 5 draws with p = 0.6, at most 0 succeed with 1 %, at most 1 with 9 %; all 5 with 8 %
    assert (row["low"], row["high"]) == pytest.approx((-0.6, 1.0))


# Tables


def test_a_diverged_llc_is_left_out(made_up_sweep: Callable[..., dict[str, pd.DataFrame]]):
    made = made_up_sweep([1.0, 8.0, math.inf], 2, diverged=[8.0])
    matched = agreement.matched(made["indicators"], made["llc"])
    assert sorted(set(matched["num_tasks"])) == [1.0, math.inf]
    noise = made["indicators"].query("indicator == 'gradient_noise' and num_tasks == 1")
    expected = noise[noise["step"] == 10_000].set_index("seed")["value"].to_dict()
    of_one = matched[matched["num_tasks"] == 1]
    assert of_one.set_index("seed")["gradient_noise"].to_dict() == expected


@pytest.mark.parametrize("diverged", [[], [1.0, 8.0]])
def test_the_command(made_up_sweep, tmp_path: Path, monkeypatch, diverged: list[float]):
    made = made_up_sweep([1.0, 8.0], 2, diverged=diverged)
    words = ["indicator_agreement", "--settings", '{"experiment": "test"}']
    for name in ("indicators", "llc"):
        path, metadata = tmp_path / name, {"variant": "baseline", "num_tasks": ["1", "8"]}
        tables.write_table(path, name, made[name], metadata | {"seed": [0, 1]})
        words += [f"--{name}", str(path)]
    output = tmp_path / "indicator_agreement"
    monkeypatch.setattr("sys.argv", [*words, "--indicator-agreement", str(output)])
    ends_in_one_line(agreement.main)
    table = tables.read_table(output, "indicator_agreement")
    assert (table["num_runs"] == (0 if diverged else 4)).all()
    assert len(table) == 2 * 4 - 1  # the loss is not compared beyond itself
    assert tables.read_metadata(output)["seed"] == [0, 1]
