"""Grids of panels, in figures of many variants, and the colours that tell these apart."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from transience.figures import style
from transience.problem.diversity import symbol

# Okabe and Ito's, without black (ridge) and yellow (too pale), and two more
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7a1fa2", "#8c510a")


def panels(
    count: int, most_columns: int, *, height: float, around: float, stacked: int = 1, **shared: Any
) -> tuple[Figure, np.ndarray]:
    """A figure and its axes (count, stacked), in as few rows as there can be, of like length.

    A panel is one or more axes ``stacked``, which are ``height`` inches high together; keys take
    ``around`` inches. Of no panel there is one, left blank.
    """
    rows = max(1, math.ceil(count / most_columns))
    columns = max(1, math.ceil(count / rows))
    figure = Figure(figsize=(style.FULL_WIDTH, around + height * rows))
    grid = figure.subplots(rows * stacked, columns, squeeze=False, **shared)
    each = grid.reshape(rows, stacked, columns).swapaxes(1, 2).reshape(-1, stacked)
    for axes in each[count:].flat:
        axes.set_axis_off()
    return figure, each[: max(1, count)]


def diversity_panels(
    shown: Sequence[float], most_columns: int, reason: str, **sizes: Any
) -> tuple[Figure, list[Axes]]:
    """A panel for each M shown, with its title, or one that gives the reason why there is none."""
    figure, grid = panels(len(shown), most_columns, **sizes)
    for axes, num_tasks in zip(grid[:, 0], shown, strict=False):
        axes.set_title(f"M = {symbol(num_tasks)}")
    if not shown:
        style.nothing_to_show(grid[0, 0], reason)
    return figure, [*grid[:, 0]]
