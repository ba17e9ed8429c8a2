"""Relative distance between both predictors over training."""

import numpy as np
from made_up import FEW, made_up_sweep

from transience.figures.draw import draw
from transience.files.selections import mean_over_positions


def test_curves_are_relative_distances_and_infinity_has_none() -> None:
    tables = made_up_sweep(FEW, 1)
    (axes,) = draw("distances", tables).axes
    curves = [line for line in axes.lines if len(line.get_xdata()) > 2]
    rows = mean_over_positions(tables["evaluation"], "training")
    for line, num_tasks in zip(curves, FEW[:-1], strict=True):
        own = rows[rows["num_tasks"] == num_tasks]
        dmmse, ridge = own["distance_to_dmmse"], own["distance_to_ridge"]
        np.testing.assert_allclose(line.get_ydata(), dmmse / (dmmse + ridge))
    assert [text.get_text() for text in axes.texts] == ["at ridge", "halfway", "at dMMSE$_M$"]
