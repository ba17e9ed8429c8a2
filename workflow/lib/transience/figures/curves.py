"""Curves over training: losses and distances, per M, with the seeds shown."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from transience.figures import style
from transience.figures.style import DiversityScale
from transience.summaries import mean_over_positions

Tables = dict[str, pd.DataFrame]
DISTRIBUTIONS = {
    "training": "training tasks, $q_M$",
    "gaussian": "new tasks, $q_∞$ (OOD)",
    "root": "root task, $q_1$",
}


def by_seed(frame: pd.DataFrame, column: str) -> pd.DataFrame:
    """One M's curves as a table (steps, seeds)."""
    return frame.pivot(index="step", columns="seed", values=column)


def smooth(curve: pd.Series, window: int) -> pd.Series:
    """Centred running mean over `window` checkpoints, shorter at the ends; 1 changes nothing."""
    return curve if window == 1 else curve.rolling(window, center=True, min_periods=1).mean()


def smoothed_steps(steps: pd.Index | pd.Series, window: int) -> np.ndarray:
    """Steps at which `smooth` of a curve is drawn: the same mean, of log(1 + step).

    With the steps left as they are, two checkpoints that nearly coincide, one of each schedule,
    would make a cliff in the curve.
    """
    if window == 1:
        return np.asarray(steps)
    return np.expm1(smooth(pd.Series(np.log1p(steps)), window).to_numpy())


def draw_curves(
    axes: Axes, frame: pd.DataFrame, column: str, scale: DiversityScale, *, window: int
) -> None:
    """For each M: thin raw lines (or a band) for the seeds, and their smoothed mean."""
    for num_tasks, rows in frame.groupby("num_tasks"):
        seeds, look = by_seed(rows, column), scale.line(num_tasks)
        if seeds.shape[1] > style.MAX_SEEDS_APART:
            low, high = seeds.min(axis=1), seeds.max(axis=1)
            axes.fill_between(seeds.index, low, high, color=look["color"], alpha=0.15, linewidth=0)
        elif seeds.shape[1] > 1 or window > 1:
            axes.plot(seeds.index, seeds.to_numpy(), **look, linewidth=0.5, alpha=0.45)
        mean = smooth(seeds.dropna().mean(axis=1), window)
        axes.plot(smoothed_steps(mean.index, window), mean, **look)


def draw_ood_loss(axes: Axes, tables: Tables, scale: DiversityScale, *, window: int) -> None:
    """Panel: OOD loss over training, a circle at t_crit of each run, and ridge's loss."""
    evaluation = mean_over_positions(tables["evaluation"], "gaussian")
    transience = tables["transience"]
    draw_curves(axes, evaluation, "loss", scale, window=window)
    ridge = transience["ridge_ood_loss"].mean()
    axes.axhline(ridge, color=style.RIDGE_COLOUR, linewidth=0.9, linestyle=":")
    last_step = evaluation["step"].max()
    shown = transience[transience["t_crit"] >= style.first_step_shown(last_step)]
    axes.scatter(
        shown["t_crit"], shown["least_ood_loss"], s=11, zorder=4, linewidths=0.9,
        facecolors="white", edgecolors=[scale.colour(m) for m in shown["num_tasks"]],
    )  # fmt: skip
    style.step_axis(axes, last_step)
    style.plain_log_axis(axes)  # a rise of 10 % is as long at any M
    axes.set_ylabel("OOD loss on $q_∞$ (mean squared error)")


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


def distances(tables: Tables, window: int) -> Figure:
    """Relative distance on q_M over training: 0 at dMMSE_M, 1 at ridge; not defined for M = inf."""
    evaluation = mean_over_positions(tables["evaluation"], "training")
    finite = evaluation[np.isfinite(evaluation["num_tasks"])]
    scale = DiversityScale.of(evaluation["num_tasks"])
    total = finite["distance_to_dmmse"] + finite["distance_to_ridge"]
    relative = finite.assign(relative=finite["distance_to_dmmse"] / total)
    figure = Figure(figsize=(style.FULL_WIDTH, 2.9))
    axes = figure.subplots()
    draw_curves(axes, relative, "relative", scale, window=window)
    style.step_axis(axes, evaluation["step"].max())
    axes.axhline(0.5, color=style.MUTED, linewidth=0.7, linestyle=":")
    axes.set_ylim(-0.02, 1.02)
    d, ridge = r"d_\mathrm{dMMSE}", r"d_\mathrm{ridge}"
    axes.set_ylabel(f"relative distance on $q_M$\n${d}\\,/\\,({d} + {ridge})$")
    for height, text in ((1, "at ridge"), (0.5, "halfway"), (0, "at dMMSE$_M$")):
        axes.annotate(
            text, (1, height), xytext=(4, 0), xycoords=("axes fraction", "data"),
            textcoords="offset points", va="center", color=style.MUTED, annotation_clip=False,
        )  # fmt: skip
    style.diversity_key(figure, DiversityScale(scale.finite))
    return figure
