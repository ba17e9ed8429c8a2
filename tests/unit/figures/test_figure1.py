"""The paper's Figure 1: what stands in its panels."""

import numpy as np
import pytest
from made_up import FEW, made_up_sweep

from transience.figures.draw import draw


def test_ood_loss_has_a_circle_at_t_crit_of_every_run_and_ridge() -> None:
    tables = made_up_sweep(FEW, 3)
    loss = draw("figure1", tables).axes[0]
    (circles,) = loss.collections
    expected = tables["transient_ridge"][["t_crit", "least_ood_loss"]].to_numpy()
    np.testing.assert_allclose(circles.get_offsets(), expected)
    levels = [line.get_ydata()[0] for line in loss.lines if line.get_linestyle() == ":"]
    assert levels == [pytest.approx(tables["transient_ridge"]["ridge_ood_loss"].mean())]


def test_distances_are_those_of_the_table() -> None:
    runs = made_up_sweep(FEW, 1)
    *_, at_t_crit, at_end = draw("figure1", runs).axes
    for axes, moment in ((at_t_crit, "at_t_crit"), (at_end, "at_end")):
        points = {line.get_marker(): line.get_ydata() for line in axes.lines}
        table = runs["transient_ridge"]
        np.testing.assert_allclose(points["s"], table[f"distance_to_ridge_{moment}"])
        finite = table[np.isfinite(table["num_tasks"])]
        np.testing.assert_allclose(points["D"], finite[f"distance_to_dmmse_{moment}"])
