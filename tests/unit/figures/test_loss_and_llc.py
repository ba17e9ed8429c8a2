"""Loss and LLC against M: flagged and missing estimates."""

import math

import numpy as np
import pytest
from legible import cut_off, texts
from made_up import FEW, made_up_sweep
from matplotlib.colors import to_rgb

from transience.figures.draw import draw


def test_flagged_and_missing_llc_are_marked() -> None:
    tables = made_up_sweep([1.0, 4.0, 64.0, math.inf], 2, diverged=[4.0])
    figure = draw("loss_and_llc", tables)
    assert cut_off(figure, texts(figure)) == []  # of seven entries of its key
    _, axes = figure.axes
    papers, _, filled, flagged = (container.lines[0] for container in axes.containers)
    assert filled.get_ydata().tolist() == pytest.approx([48.7, 51.7], abs=0.1)  # M = 1
    assert papers.get_ydata().tolist() == pytest.approx([42.7, 45.7], abs=0.1)  # 6 lower
    assert len(flagged.get_ydata()) == 4  # M = 64 and inf
    assert to_rgb(flagged.get_markerfacecolor()) == (1, 1, 1)
    (crosses,) = (line for line in axes.lines if line.get_marker() == "x")
    np.testing.assert_allclose(crosses.get_xdata(), 2, atol=0.2)  # log2 4


def test_all_llc_missing_is_drawn() -> None:
    tables = made_up_sweep(FEW, 1, diverged=FEW)
    texts(draw("loss_and_llc", tables))
