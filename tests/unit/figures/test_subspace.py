"""How far to trust the plane: what stands beside chance."""

import numpy as np
from made_up import FEW, made_up_sweep

from transience.figures.draw import draw


def test_panels_show_the_tables_and_what_chance_would_give() -> None:
    tables = made_up_sweep(FEW, 1)
    variance, loadings, bends = draw("subspace", tables).axes
    sweep, chance = variance.lines
    np.testing.assert_allclose(sweep.get_ydata(), [60, 30, 20, 15])
    np.testing.assert_allclose(chance.get_ydata(), [30, 15, 10, 7.5])
    np.testing.assert_allclose(loadings.lines[0].get_ydata(), [50, 50])
    points, _, median, upper = bends.lines[:4]
    table = tables["transient_ridge"].dropna(subset="ridge_deflection")
    np.testing.assert_allclose(points.get_ydata(), table["ridge_deflection"])
    assert set(median.get_ydata()) == {0.2} and set(upper.get_ydata()) == {0.5}
