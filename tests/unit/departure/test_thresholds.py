"""M_1/2 of relative distances that are known."""

import math

import numpy as np
import pandas as pd
import pytest

from transience.departure.thresholds import COLUMNS, threshold, thresholds_table

M = np.array([4.0, 8.0, 16.0, 64.0])


@pytest.mark.parametrize(
    ("relative", "expected"),
    [
        ([0.1, 0.2, 0.4, 0.6], (32.0, 16.0, 64.0)),  # halfway in the logarithm
        ([0.1, 0.4, 0.9, 1.0], (8 * 2**0.2, 8.0, 16.0)),
        ([0.1, 0.4, 0.5, 1.0], (16.0, 8.0, 16.0)),  # at a value of the grid
        ([0.6, 0.4, 0.6, 0.7], (8 * 2**0.5, 8.0, 16.0)),  # the last crossing counts
        ([0.1, 0.2, 0.3, 0.4], (math.nan, 64.0, math.inf)),
        ([0.6, 0.7, 0.8, 0.9], (math.nan, 0.0, 4.0)),
    ],
)
def test_threshold(relative, expected):
    assert threshold(M, np.array(relative)) == pytest.approx(expected, nan_ok=True)


def evaluation(course, every: int = 50) -> pd.DataFrame:
    """Runs whose relative distance is ``course(M, step)``, of M = 4 to 64, and one of M = inf."""
    rows = [
        ("baseline", m, 0, step, "training", pd.NA, r, 1 - r)
        for m in [*M, math.inf]
        for step in range(0, 1601, every)
        for r in [0.0 if math.isinf(m) else course(m, step)]
    ]
    names = ["variant", "num_tasks", "seed", "step", "distribution", "position"]
    frame = pd.DataFrame(rows, columns=[*names, "distance_to_dmmse", "distance_to_ridge"])
    return frame.astype({"position": "Int64"})


def test_it_is_read_at_shares_of_training():
    """M_1/2 = 8 until half of training, 32 after it."""
    found = thresholds_table(
        evaluation(lambda m, step: 0.5 + 0.1 * math.log2(m / (8 if step <= 800 else 32)))
    )
    assert list(found) == COLUMNS
    assert found["step"].tolist() == [400, 800, 1600]
    assert found["value"].tolist() == pytest.approx([8.0, 8.0, 32.0])
    assert found["low"].tolist() == [4.0, 4.0, 16.0]
    assert found["high"].tolist() == [8.0, 8.0, 64.0]


def test_a_distance_is_a_mean_over_the_last_eighth():
    """Of the steps from 1400 to 1600 every other checkpoint is off by as much, up and down."""
    found = thresholds_table(
        evaluation(lambda m, step: 0.5 + 0.1 * math.log2(m / 16) + (step // 50 % 3 - 1) * 0.01)
    )
    late = [step // 50 % 3 - 1 for step in range(1400, 1601, 50)]
    assert found["value"].iloc[-1] == pytest.approx(16 * 2 ** (-0.1 * np.mean(late)), rel=1e-3)


def test_a_run_that_both_predictors_share_is_left_out():
    frame = evaluation(lambda m, step: 0.4 + 0.1 * math.log2(m / 4))
    same = frame["num_tasks"] == 4.0
    frame.loc[same, ["distance_to_dmmse", "distance_to_ridge"]] = 0.0
    assert thresholds_table(frame)["low"].tolist() == [0.0] * 3


def test_a_share_without_a_checkpoint_has_no_row():
    found = thresholds_table(evaluation(lambda m, step: 0.4 + 0.1 * math.log2(m / 4), every=800))
    assert found["share"].tolist() == [0.5, 1.0]
