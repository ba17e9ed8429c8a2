"""Curves over training: smoothed, and the mean of seeds."""

import numpy as np
import pandas as pd
from made_up import made_up_sweep

from transience.figures import curves
from transience.figures.draw import draw
from transience.files.selections import mean_over_positions


def test_the_thick_curve_is_the_mean_over_seeds() -> None:
    tables = made_up_sweep([4.0], 2)
    (axes, *_) = draw("loss_by_distribution", tables).axes
    frame = mean_over_positions(tables["evaluation"], "training")
    expected = frame.groupby("step")["loss"].mean()
    thick = [
        line for line in axes.lines if line.get_linewidth() == 1.2 and len(line.get_xdata()) > 1
    ]
    np.testing.assert_allclose(thick[0].get_ydata(), expected)


def test_smoothing_is_a_centred_mean() -> None:
    curve = pd.Series([0.0, 3.0, 0.0, 6.0])
    assert curves.smooth(curve, 1) is curve
    assert curves.smooth(curve, 3).tolist() == [1.5, 1.0, 3.0, 3.0]


def test_checkpoints_that_nearly_coincide_make_no_cliff() -> None:
    steps = pd.Series([100, 200, 400, 401, 800, 1600])
    assert curves.smoothed_steps(steps, 1).tolist() == steps.tolist()
    apart = np.diff(np.log(curves.smoothed_steps(steps, 3)))
    assert apart.min() > 0.2  # 400 and 401 are 0.0025 apart
