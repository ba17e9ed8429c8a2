"""Predicted against observed departures of runs: the marks that say what became of each."""

from typing import Any

from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from transience.figures import style

SHAPES = {"left": "o", "stays": ">", "passed_by": "<"}
WORDS = {
    "left": "leaves ridge",
    "stays": "came near ridge and stays",
    "passed_by": "never near ridge",
}


def outcome_markers() -> list[Line2D]:
    """Entries of a key."""
    open_faces = {"left": {"markerfacecolor": "white"}}
    return [
        style.marker(shape, WORDS[outcome], **open_faces.get(outcome, {}))
        for outcome, shape in SHAPES.items()
    ]


def draw_run(axes: Axes, row: Any, predicted: tuple[float, float, float], colour: Any) -> None:
    """One run of `free_energy`: the interval (low, at, high) of its prediction, and what it did.

    A run that left has a bar over the departure's bounds; another a mark that points to where its
    departure would be.
    """
    low, y, high = predicted
    x = row.observed_low if row.outcome == "stays" else row.observed_high
    if row.outcome == "left":
        axes.plot([max(row.observed_low, 1), x], [y, y], color=colour, linewidth=0.9)
    axes.plot([x, x], [low, high], color=colour, linewidth=0.9)
    face = "white" if row.outcome == "left" else colour
    shape = SHAPES[row.outcome]
    axes.plot(x, y, shape, color=colour, markersize=4, markerfacecolor=face, markeredgewidth=0.9)
