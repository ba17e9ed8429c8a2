"""The OOD loss by position: late in the context, and its rise."""

import math

import numpy as np
import pytest
from made_up import made_up_sweep

from transience.departure.transient_ridge import FALL
from transience.figures import ood_loss_by_position as positions
from transience.figures import style
from transience.figures.draw import draw


def test_the_rise_by_position_is_the_end_over_t_crit() -> None:
    tables = made_up_sweep([8.0, math.inf], 1)
    frame, t_crit = (
        tables["evaluation"],
        tables["transient_ridge"].set_index("num_tasks")["t_crit"][8],
    )
    of_eight = (frame["num_tasks"] == 8) & (frame["distribution"] == "gaussian")
    for step, level in ((t_crit, 2.0), (frame["step"].max(), 3.0)):
        frame.loc[of_eight & (frame["step"] == step) & (frame["position"] == 0), "loss"] = level
    late, rise = draw("ood_loss_by_position", tables).axes
    _, eight, infinite = rise.lines  # after the line at 1
    assert eight.get_xdata().tolist() == infinite.get_xdata().tolist() == [0, 1]
    assert eight.get_ydata()[0] == pytest.approx(1.5)
    np.testing.assert_allclose(infinite.get_ydata(), 1, atol=0.02)
    assert late.get_title(loc="left").endswith("after 1 examples")  # the last quarter of two
    shown = frame[of_eight & (frame["position"] == 1)]
    np.testing.assert_allclose(late.lines[0].get_ydata(), shown["loss"])


def test_the_rise_by_position_leaves_out_runs_that_never_fall() -> None:
    tables = made_up_sweep([1.0, 8.0], 2)
    runs = tables["transient_ridge"]
    level = runs["least_ood_loss"].where(runs["num_tasks"] > 1, 0.95 * runs["initial_ood_loss"])
    tables["transient_ridge"] = runs.assign(least_ood_loss=level)
    _, rise = draw("ood_loss_by_position", tables).axes
    assert positions.FALLEN == 1 - FALL
    colours = {line.get_color() for line in rise.lines}
    assert colours == {style.MUTED, style.DiversityScale.of([1.0, 8.0]).colour(8.0)}
