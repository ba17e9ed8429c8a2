"""What figures, claims and the report read out of tables."""

import pandas as pd

from transience.files.selections import mean_over_positions, of_last_step


def test_means_over_positions_of_one_distribution():
    frame = pd.DataFrame(
        {"distribution": ["root", "training", "training"], "position": [None, None, 0]}
    )
    assert mean_over_positions(frame, "training").index.tolist() == [1]


def test_the_last_step_is_that_of_each_run():
    frame = pd.DataFrame(
        {"num_tasks": [1.0, 1.0, 1.0, 8.0], "step": [0, 20, 20, 10], "chain": [0, 0, 1, 0]}
    ).assign(variant="baseline", seed=0)
    assert of_last_step(frame).index.tolist() == [1, 2, 3]
