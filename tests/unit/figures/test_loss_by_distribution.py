"""Losses on three distributions, and those of the predictors at the edge."""

import math

import numpy as np
from made_up import FEW, made_up_sweep

from transience.figures.draw import draw
from transience.figures.loss_by_distribution import DISTRIBUTIONS
from transience.files.selections import mean_over_positions


def test_predictors_stand_behind_the_last_step() -> None:
    tables = made_up_sweep(FEW, 2)
    last = tables["evaluation"]["step"].max()
    for axes, distribution in zip(
        draw("loss_by_distribution", tables).axes, DISTRIBUTIONS, strict=True
    ):
        means = mean_over_positions(tables["predictors"], distribution)
        means = means.groupby(["predictor", "num_tasks"])["loss"].mean()
        for predictor, shape in (("dmmse", "D"), ("ridge", "s")):
            points = [line.get_xydata()[0] for line in axes.lines if line.get_marker() == shape]
            expected = means[predictor].drop(math.inf if predictor == "dmmse" else [])
            np.testing.assert_allclose([y for _, y in points], expected)
            assert all(last < x < axes.get_xlim()[1] for x, _ in points)
