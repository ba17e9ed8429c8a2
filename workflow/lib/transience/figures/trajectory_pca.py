"""Joint trajectory PCA: where each run goes, between dMMSE_M and ridge."""

import math

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.legend import Legend

from transience.figures import style
from transience.figures.curves import Tables, smooth, smoothed_steps
from transience.figures.style import DiversityScale

PANELS_A_ROW = 3
COMPONENTS = ("pc1", "pc2")
LINE = "the checkpoints lie on a line"


def draw_plane(
    axes: Axes, tables: Tables, seed: int, scale: DiversityScale, *, window: int
) -> None:
    """Panel: the trajectories of one seed in the plane of PC1 and PC2, with the predictors.

    Where the paths are smoothed, the raw ones stand behind them; markers are never smoothed.
    """
    points = tables["trajectory_pca"].query("seed == @seed")
    t_crit = tables["transient_ridge"].query("seed == @seed").set_index("num_tasks")["t_crit"]
    for num_tasks, path in points[points["predictor"].isna()].groupby("num_tasks"):
        path, colour = path.sort_values("step"), scale.colour(num_tasks)
        if window > 1:
            axes.plot(path["pc1"], path["pc2"], color=colour, linewidth=0.5, alpha=0.35)
        line = (smooth(path[component], window) for component in COMPONENTS)
        axes.plot(*line, **scale.line(num_tasks), linewidth=0.9)
        critical = path[path["step"] == t_crit.get(num_tasks)]
        axes.plot(
            critical["pc1"], critical["pc2"], "o", color=colour, markersize=3.6,
            markerfacecolor="white", markeredgewidth=0.9, zorder=5,
        )  # fmt: skip
        axes.plot(*path[list(COMPONENTS)].iloc[-1], "*", color=colour, markersize=7, zorder=6,
                  markeredgecolor="white", markeredgewidth=0.4)  # fmt: skip
    _draw_predictors(axes, points, scale)
    _label_axes(axes, tables["trajectory_pca_components"].query("seed == @seed"))


def _draw_predictors(axes: Axes, points: pd.DataFrame, scale: DiversityScale) -> None:
    for num_tasks, row in points[points["predictor"] == "dmmse"].groupby("num_tasks"):
        if math.isfinite(num_tasks):
            axes.plot(
                row["pc1"], row["pc2"], "D", color=scale.colour(num_tasks), markersize=4.2,
                markeredgecolor="white", markeredgewidth=0.5, zorder=4,
            )  # fmt: skip
    ridge = points[points["predictor"] == "ridge"][list(COMPONENTS)].mean()
    axes.plot(
        *ridge, "s", color=style.RIDGE_COLOUR, markersize=6.5, markerfacecolor="none", zorder=4
    )
    axes.margins(0.07)


def _label_axes(axes: Axes, components: pd.DataFrame) -> None:
    fractions = components.groupby("component")["explained_variance_fraction"].first()
    axes.set_xlabel("PC1" if np.isnan(fractions[1]) else f"PC1 ({fractions[1]:.0%} of variance)")
    axes.set_ylabel(f"PC2 ({fractions[2]:.0%})" if 2 in fractions else "PC2")
    if 2 not in fractions:
        style.nothing_to_show(axes, "all checkpoints are equal" if np.isnan(fractions[1]) else LINE)


def trajectory_key(figure: Figure) -> Legend:
    """Key of the markers of a plane."""
    return style.marker_key(
        figure,
        style.marker("o", r"at $t_{crit}$", markerfacecolor="white"),
        style.marker("*", "end of training", markersize=7),
        style.marker("D", "dMMSE$_M$"),
        style.marker("s", "ridge", markersize=6, color="black", markerfacecolor="none"),
    )


def trajectory_pca(tables: Tables, window: int) -> Figure:
    """A plane per seed, and below them PC1 and PC2 over training, all seeds."""
    points = tables["trajectory_pca"]
    scale = DiversityScale.of(points["num_tasks"])
    seeds = sorted(points["seed"].unique())
    columns = min(len(seeds), PANELS_A_ROW)
    rows = math.ceil(len(seeds) / columns)
    figure = Figure(figsize=(style.FULL_WIDTH, 2.6 * rows + 2.3))
    planes, times = figure.subfigures(2, 1, height_ratios=[2.6 * rows, 2.3])
    grid = np.ravel(planes.subplots(rows, columns, squeeze=False))
    for axes, seed in zip(grid, seeds, strict=False):
        draw_plane(axes, tables, seed, scale, window=window)
        axes.set_title(f"seed {seed}")
    for axes in grid[len(seeds) :]:
        axes.remove()
    for axes, component in zip(times.subplots(1, 2), COMPONENTS, strict=True):
        runs = points[points["predictor"].isna()]
        _draw_component_over_time(axes, runs, component, scale, window=window)
    style.diversity_key(figure, scale)
    trajectory_key(figure)
    return figure


def _draw_component_over_time(
    axes: Axes, points: pd.DataFrame, component: str, scale: DiversityScale, *, window: int
) -> None:
    # Every seed has axes of its own, so seeds are not averaged: the first one stands out.
    first = points["seed"].min()
    for (num_tasks, seed), path in points.groupby(["num_tasks", "seed"]):
        path = path.sort_values("step")
        look = {"linewidth": 1.2} if seed == first else {"linewidth": 0.5, "alpha": 0.4}
        steps = smoothed_steps(path["step"], window)
        axes.plot(steps, smooth(path[component], window), **scale.line(num_tasks), **look)
    if points[component].isna().all():
        style.nothing_to_show(axes, "there is no such component")
    style.step_axis(axes, points["step"].max())
    axes.set_ylabel(f"{component.upper()} (units of prediction)")
    axes.set_title(f"{component.upper()} over training (bold: seed {first})")
