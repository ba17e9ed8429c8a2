"""Rows of panels for variants of one kind, and columns for M: where variants are many."""

import math
import textwrap
from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from transience.figures import style
from transience.figures.doses import WORDS
from transience.figures.panels import COLOURS
from transience.problem.diversity import symbol

MOST_COLUMNS, MOST_ROWS, KEY = 4, 10, 0.8  # the key is so wide as a part of a panel, of three
UNNAMED = {"none": "other settings", "stop_when": "stop at an alarm", "": "other variants"}
LINE_HEIGHT = 0.14  # inches of a line in a key

Rows = Sequence[tuple[str, dict[str, str]]]


def rows_of(kinds: pd.Series, parts: pd.Series | None = None) -> Iterator[tuple[str, dict]]:
    """Kinds, by name, and the colours of variants of each, of no more than there are colours.

    ``kinds`` has a kind for each variant, its index, in the order in which they are to be named;
    those of one of ``parts``, which stand side by side, are kept in one row if they fit there.
    """
    for kind, own in kinds.groupby(kinds):
        parts_of_kind = own if parts is None else parts[own.index]
        for names in _packed(parts_of_kind):
            yield in_words(kind), dict(zip(names, COLOURS, strict=False))


def _packed(parts: pd.Series) -> Iterator[list[str]]:
    """Names, the index, in rows that take in parts as long as there are colours left."""
    row: list[str] = []
    for _, own in parts.groupby(parts, sort=False):
        for names in np.array_split(own.index, math.ceil(len(own) / len(COLOURS))):
            if len(row) + len(names) > len(COLOURS):
                yield row
                row = []
            row += [*names]
    yield row


def kind_panels(
    rows: Rows, shown: Sequence[float], *, height: float, around: float
) -> tuple[Figure, np.ndarray]:
    """A figure, and its axes (rows, M), with M above and the key of a row beside it.

    Rows are ``height`` inches high, or as high as their key.
    """
    widths = [*[1.0] * len(shown), KEY * len(shown) / 3]
    keys = [[kind, *colours] for kind, colours in rows]
    lines = [sum(_wrapped(text).count("\n") + 1 for text in key) + 1 for key in keys]
    heights = [max(height, LINE_HEIGHT * count) for count in lines]
    figure = Figure(figsize=(style.FULL_WIDTH, around + sum(heights)))
    grid = figure.subplots(
        len(rows), len(shown) + 1, squeeze=False, width_ratios=widths, height_ratios=heights
    )
    for axes, (kind, colours) in zip(grid[:, -1], rows, strict=True):
        _draw_key(axes, kind, colours)
    for axes, num_tasks in zip(grid[0], shown, strict=False):
        axes.set_title(f"M = {symbol(num_tasks)}")
    return figure, grid[:, :-1]


def label_outside(axes: Axes, x: str, y: str) -> None:
    """Labels and numbers at the left and at the bottom of the grid alone."""
    place = axes.get_subplotspec()
    axes.tick_params(labelbottom=place.is_last_row(), labelleft=place.is_first_col())
    axes.set_xlabel(x if place.is_last_row() else "")
    axes.set_ylabel(y if place.is_first_col() else "")


def in_words(kind: str) -> str:
    """What a variant changes, from the column `kind` of table `interventions`."""
    return " and ".join(UNNAMED.get(part, WORDS.get(part, part)) for part in kind.split("+"))


def _draw_key(axes: Axes, kind: str, colours: dict[str, str]) -> None:
    axes.set_axis_off()
    handles = [
        Line2D([], [], color=colour, label=_wrapped(name)) for name, colour in colours.items()
    ]
    axes.legend(handles=handles, title=_wrapped(kind), loc="center left", alignment="left")


def _wrapped(text: str) -> str:
    return textwrap.fill(text, style.LINE)
