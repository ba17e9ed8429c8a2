"""The paper's Figure 1: transient ridge in the OOD loss, the joint trajectories and distances."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from transience.figures import style
from transience.figures.against_diversity import draw_against_diversity
from transience.figures.curves import Tables, draw_curves
from transience.figures.style import DiversityScale
from transience.figures.trajectory_pca import draw_plane
from transience.files.selections import mean_over_positions, of_last_step

TARGETS = {"dmmse": ("D", style.DMMSE_COLOUR), "ridge": ("s", style.RIDGE_COLOUR)}


def figure1(tables: Tables, window: int) -> Figure:
    """OOD loss over training, one seed's plane of PC1 and PC2, distances to dMMSE_M and ridge."""
    runs = tables["transient_ridge"]
    scale = DiversityScale.of(runs["num_tasks"])
    seed = int(runs["seed"].min())
    figure = Figure(figsize=(style.FULL_WIDTH, 2.9))
    grid = figure.add_gridspec(2, 3, width_ratios=[1.1, 1.1, 0.95])
    loss, plane = figure.add_subplot(grid[:, 0]), figure.add_subplot(grid[:, 1])
    above = figure.add_subplot(grid[0, 2])
    below = figure.add_subplot(grid[1, 2], sharex=above, sharey=above)
    _draw_ood_loss(loss, tables, scale, window=window)
    draw_plane(plane, tables, seed, scale, window=window)
    _draw_distances(above, runs, "at_t_crit", scale)
    _draw_distances(below, runs, "at_end", scale)
    above.set_xlabel("")
    above.tick_params(labelbottom=False)
    style.plain_log_axis(above)  # M = 1 is far from both, and would flatten all others
    for axes, letter, text in (
        (loss, "a", "OOD loss"),
        (plane, "b", f"Trajectories, seed {seed}"),
        (above, "c", r"Distance at $t_{crit}$"),
        (below, "d", "Distance at the end"),
    ):
        style.panel_title(axes, letter, text)
    style.diversity_key(figure, scale)
    _key(figure)
    return figure


def _key(figure: Figure) -> None:
    style.marker_key(
        figure,
        style.marker("none", "ridge (a)", linestyle=":", color="black", linewidth=0.9),
        style.marker("o", r"$t_{crit}$", markerfacecolor="white"),
        style.marker("*", "end (b)", markersize=7),
        style.marker("D", "dMMSE$_M$ (c, d: distance to it)", color=style.DMMSE_COLOUR),
        style.marker("s", "ridge (c, d: distance to it)", color="black", markerfacecolor="none"),
    )


def _draw_ood_loss(axes: Axes, tables: Tables, scale: DiversityScale, *, window: int) -> None:
    """Panel: OOD loss over training, a circle at t_crit of each run, and ridge's loss."""
    evaluation = mean_over_positions(tables["evaluation"], "gaussian")
    runs = tables["transient_ridge"]
    draw_curves(axes, evaluation, "loss", scale, window=window)
    ridge = runs["ridge_ood_loss"].mean()
    axes.axhline(ridge, color=style.RIDGE_COLOUR, linewidth=0.9, linestyle=":")
    last_step = evaluation["step"].max()
    shown = runs[runs["t_crit"] >= style.first_step_shown(last_step)]
    axes.scatter(
        shown["t_crit"], shown["least_ood_loss"], s=11, zorder=4, linewidths=0.9,
        facecolors="white", edgecolors=[scale.colour(m) for m in shown["num_tasks"]],
    )  # fmt: skip
    style.step_axis(axes, last_step)
    style.plain_log_axis(axes)  # a rise of 10 % is as long at any M
    axes.set_ylabel("OOD loss on $q_∞$ (mean squared error)")
    last = of_last_step(evaluation).groupby("num_tasks")["loss"].mean()
    style.end_labels(axes, last.dropna().to_dict(), scale)


def _draw_distances(axes: Axes, runs: pd.DataFrame, moment: str, scale: DiversityScale) -> None:
    """Panel: distances on q_M to dMMSE_M and ridge against M, seeds as points, means as lines."""
    for predictor, (shape, colour) in TARGETS.items():
        column = f"distance_to_{predictor}_{moment}"
        # dMMSE at M = inf is ridge: one marker is enough there.
        rows = runs if predictor == "ridge" else runs[np.isfinite(runs["num_tasks"])]
        draw_against_diversity(
            axes, rows, column, scale, shape=shape, colour=colour, filled=predictor == "dmmse"
        )
    style.diversity_axis(axes, scale, width=1.35)
    axes.set_ylabel("mean sq. diff.")
