"""Losses on training tasks, new tasks and the root task, beside those of the predictors."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from transience.figures import style
from transience.figures.curves import Tables, draw_curves
from transience.figures.style import DiversityScale
from transience.files.selections import mean_over_positions

DISTRIBUTIONS = {
    "training": "training tasks, $q_M$",
    "gaussian": "new tasks, $q_∞$ (OOD)",
    "root": "root task, $q_1$",
}


def loss_by_distribution(tables: Tables, window: int) -> Figure:
    """Loss over training on q_M, q_inf and q_1, with the predictors' losses at the right edge."""
    scale = DiversityScale.of(tables["evaluation"]["num_tasks"])
    figure = Figure(figsize=(style.FULL_WIDTH, 2.7))
    for axes, letter, distribution in zip(
        figure.subplots(1, 3, sharey=True), "abc", DISTRIBUTIONS, strict=True
    ):
        evaluation = mean_over_positions(tables["evaluation"], distribution)
        draw_curves(axes, evaluation, "loss", scale, window=window)
        style.step_axis(axes, evaluation["step"].max())
        _draw_predictor_losses(axes, tables["predictors"], distribution, scale)
        style.panel_title(axes, letter, DISTRIBUTIONS[distribution])
    style.plain_log_axis(figure.axes[0])
    figure.axes[0].set_ylabel("loss (mean squared error)")
    style.diversity_key(figure, scale)
    style.marker_key(
        figure,
        style.marker("D", "loss of dMMSE$_M$", markersize=3.5),
        style.marker("s", "loss of ridge", markersize=3.5, markerfacecolor="none"),
    )
    return figure


def _draw_predictor_losses(
    axes: Axes, predictors: pd.DataFrame, distribution: str, scale: DiversityScale
) -> None:
    """Markers behind the last step: diamonds for dMMSE_M, open squares for ridge."""
    losses = mean_over_positions(predictors, distribution)
    means = losses.groupby(["predictor", "num_tasks"])["loss"].mean()
    first, last = axes.get_xlim()
    axes.set_xlim(first, last * (last / first) ** 0.20)
    for predictor, shape, place in (("dmmse", "D", 0.06), ("ridge", "s", 0.14)):
        for num_tasks, loss in means[predictor].items():
            if predictor == "dmmse" and np.isinf(num_tasks):
                continue  # it is ridge
            colour = scale.colour(num_tasks)
            axes.plot(
                last * (last / first) ** place, loss, shape, color=colour, markersize=3,
                markerfacecolor="none" if predictor == "ridge" else colour, markeredgewidth=0.8,
            )  # fmt: skip
