"""The plane of both losses: paths, ends, the front, and reasons where there is nothing."""

import math

import numpy as np
import pytest
from made_up import made_up_sweep

from transience.figures.draw import draw
from transience.figures.pareto import COLOURS, look_of


def test_a_panel_has_the_front_the_controls_and_the_ends():
    tables = made_up_sweep([8, 64, math.inf], 2)
    figure = draw("pareto", tables)
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["M = 8", "M = 64"]
    axes, runs = figure.axes[0], tables["interventions"].query("num_tasks == 8")
    front, *rest = axes.lines
    losses = tables["front"].query("num_tasks == 8").groupby(["distribution", "fresh_fraction"])
    np.testing.assert_allclose(front.get_xdata(), losses["loss"].mean()["training"])
    assert len(rest) == 4  # path and end for each seed
    (points,) = axes.collections
    assert points.get_offsets().tolist() == [
        [pytest.approx(runs["final_loss"].mean()), pytest.approx(runs["final_ood_loss"].mean())]
    ]
    left, right = axes.get_xlim()
    assert left < front.get_xdata().min() and front.get_xdata().max() < right


def test_kinds_look_apart():
    kinds = [str(number) for number in range(len(COLOURS))]
    looks = [look_of(kind, kinds) for kind in kinds]
    assert len({look["color"] for look in looks}) == len({look["marker"] for look in looks}) == 8


def test_a_sweep_without_controls_says_so():
    tables = dict(made_up_sweep([8, math.inf], 1))
    tables["interventions"] = tables["interventions"].iloc[:0]
    said = [text.get_text().replace("\n", " ") for text in draw("pareto", tables).axes[0].texts]
    assert said == ["no run with a control of its M and seed"]
