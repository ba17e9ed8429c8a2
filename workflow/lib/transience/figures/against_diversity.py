"""Quantities of a run against its task diversity M, with the seeds shown."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from transience.figures.style import MAX_SEEDS_APART, DiversityScale

SPREAD = 0.12  # doublings of M between the points of neighbouring seeds


def draw_against_diversity(
    axes: Axes, rows: pd.DataFrame, column: str, scale: DiversityScale, *,
    shape: str, colour: str, filled: bool,
) -> None:  # fmt: skip
    """Points for few seeds or a band from least to greatest for many, and their mean."""
    look: dict[str, Any] = {"color": colour, "markersize": 2.8, "markeredgewidth": 0.7}
    look["markerfacecolor"] = colour if filled else "none"
    if rows["seed"].nunique() <= MAX_SEEDS_APART:
        axes.plot(spread(rows, scale), rows[column], shape, **look)
    else:
        seeds = rows.groupby("num_tasks")[column].agg(["min", "max", "mean"])
        band = seeds[np.isfinite(seeds.index)]
        x = scale.positions(band.index)
        axes.fill_between(x, band["min"], band["max"], color=colour, alpha=0.15, linewidth=0)
        axes.plot(scale.positions(seeds.index), seeds["mean"], shape, **look)
    draw_mean_line(axes, rows, column, scale, color=colour, linewidth=0.9)


def draw_mean_line(
    axes: Axes, rows: pd.DataFrame, column: str, scale: DiversityScale, **look: Any
) -> None:
    """Mean over seeds against finite M; M = inf stands apart and is not joined to it."""
    mean = rows[np.isfinite(rows["num_tasks"])].groupby("num_tasks")[column].mean()
    axes.plot(scale.positions(mean.index), mean, **look)


def spread(rows: pd.DataFrame, scale: DiversityScale) -> np.ndarray:
    """Positions on the M axis with the seeds side by side."""
    rank, count = rows["seed"].rank(method="dense"), rows["seed"].nunique()
    apart = SPREAD * min(1.0, 4 / max(count, 1))
    return scale.positions(rows["num_tasks"]) + apart * (rank - (count + 1) / 2).to_numpy()
