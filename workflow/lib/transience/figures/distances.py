"""From ridge to dMMSE_M over training: relative distance on the training tasks."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from transience.departure.observed import HALFWAY, relative_distance
from transience.figures import style
from transience.figures.curves import Tables, draw_curves
from transience.figures.style import DiversityScale
from transience.files.selections import mean_over_positions


def distances(tables: Tables, window: int) -> Figure:
    """Relative distance on q_M over training: 0 at dMMSE_M, 1 at ridge; not defined for M = inf."""
    scale = DiversityScale.of(tables["evaluation"]["num_tasks"])
    figure = Figure(figsize=(style.FULL_WIDTH, 2.9))
    axes = figure.subplots()
    draw_relative_distance(axes, tables["evaluation"], scale, window=window)
    axes.set_ylabel("relative distance on $q_M$")
    style.diversity_key(figure, DiversityScale(scale.finite))
    return figure


def draw_relative_distance(
    axes: Axes, evaluation: pd.DataFrame, scale: DiversityScale, *, window: int
) -> None:
    """Panel: curves of every finite M."""
    rows = mean_over_positions(evaluation, "training")
    rows = rows[np.isfinite(rows["num_tasks"])]
    relative = rows.assign(relative=relative_distance(rows))
    draw_curves(axes, relative, "relative", scale, window=window)
    if rows.empty:
        style.nothing_to_show(axes, style.NO_FINITE)
    style.step_axis(axes, evaluation["step"].max())
    axes.axhline(HALFWAY, color=style.MUTED, linewidth=0.7, linestyle=":")
    axes.set_ylim(-0.02, 1.02)
    axes.set_ylabel("relative distance")
    for height, text in ((1, "at ridge"), (HALFWAY, "halfway"), (0, "at dMMSE$_M$")):
        axes.annotate(
            text, (1, height), xytext=(4, 0), xycoords=("axes fraction", "data"),
            textcoords="offset points", va="center", color=style.MUTED, annotation_clip=False,
        )  # fmt: skip
