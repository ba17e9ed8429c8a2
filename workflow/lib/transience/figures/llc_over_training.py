"""Loss and local learning coefficient (LLC) over training, and a cheap indicator of the LLC."""

import itertools

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from transience.complexity.indicator_agreement import LOSS, matched
from transience.complexity.summary import llc_by_checkpoint
from transience.figures import style
from transience.figures.curves import Tables, by_seed, draw_curves
from transience.figures.style import DiversityScale
from transience.files.selections import mean_over_positions

INDICATOR = "gradient_noise"  # followed the LLC best in the default sweep, and costs nothing more
SCOPES = {
    "all": "all points",
    "training": "within a run",
    "end": "at the end",
    "beyond_loss": "loss held fixed",
}
LLC_LABEL = r"$\hat{λ}$ (centred, dimensionless)"


def llc_over_training(tables: Tables, window: int) -> Figure:
    """Loss on q_M and LLC over training, one against the other, and LLC against an indicator."""
    losses = mean_over_positions(tables["evaluation"], "training")
    estimates = llc_by_checkpoint(tables["llc"])
    scale = DiversityScale.of(losses["num_tasks"])
    figure = Figure(figsize=(style.FULL_WIDTH, 5.6))
    (loss, llc), (plane, indicator) = figure.subplots(2, 2)
    for axes in (loss, llc):
        style.step_axis(axes, losses["step"].max())
        axes.set_xlim(left=10 * style.first_step_shown(losses["step"].max()))
    draw_curves(loss, losses, "loss", scale, window=window)
    _draw_llc(llc, estimates, scale)
    style.plain_log_axis(loss)
    loss.set_ylabel("loss on $q_M$ (mean squared error)")
    _draw_paths(plane, estimates, losses, scale)
    _draw_indicator(indicator, tables, scale)
    style.panel_title(loss, "a", "Loss on training tasks")
    style.panel_title(llc, "b", r"LLC estimate $\hat{λ}$ (band: range of seeds)")
    style.panel_title(plane, "c", "From the first LLC to the last (star)")
    style.panel_title(indicator, "d", r"$\hat{λ}$ against a cheap indicator")
    _draw_keys(figure, estimates, scale)
    return figure


def _draw_keys(figure: Figure, estimates: pd.DataFrame, scale: DiversityScale) -> None:
    style.diversity_key(figure, scale)
    entries = [style.marker("*", "end of training", markersize=7)]
    if (estimates["flags"] != "").any():
        entries.append(style.marker("o", "LLC flagged", markerfacecolor="white"))
    if estimates["centred_llc"].isna().any():
        entries.append(style.marker("x", "LLC missing (diverged)", color="#c00000"))
    style.marker_key(figure, *entries)


def _draw_llc(axes: Axes, estimates: pd.DataFrame, scale: DiversityScale) -> None:
    """Mean over seeds with a band from the least to the greatest; hollow where one is flagged."""
    for num_tasks, rows in estimates.groupby("num_tasks"):
        seeds, look = by_seed(rows, "centred_llc"), scale.line(num_tasks)
        mean = seeds.mean(axis=1)
        low, high = seeds.min(axis=1), seeds.max(axis=1)
        axes.fill_between(seeds.index, low, high, color=look["color"], alpha=0.2, linewidth=0)
        axes.plot(mean.index, mean, **look)
        flagged = (by_seed(rows, "flags").fillna("") != "").any(axis=1)
        for hollow in (False, True):
            _draw_points(axes, mean[flagged == hollow], look["color"], hollow=hollow)
        missing = seeds.index[seeds.isna().any(axis=1)]
        axes.plot(
            missing, np.full(len(missing), 0.03), "x", color="#c00000", markersize=4.5,
            transform=axes.get_xaxis_transform(), zorder=4,
        )  # fmt: skip
    axes.set_ylim(bottom=min(0, axes.get_ylim()[0]))
    if estimates["centred_llc"].isna().all():
        style.nothing_to_show(axes, style.no_llc(estimates))
    axes.set_ylabel(LLC_LABEL)


def _draw_points(axes: Axes, points: pd.Series, colour: object, *, hollow: bool) -> None:
    axes.plot(
        points.index, points, "o", color=colour, markersize=3.2, markeredgewidth=0.8, zorder=4,
        markerfacecolor="white" if hollow else colour,
    )  # fmt: skip


def _draw_paths(
    axes: Axes, estimates: pd.DataFrame, losses: pd.DataFrame, scale: DiversityScale
) -> None:
    """Each M's way through the plane of loss and LLC, means over seeds, with arrows along it."""
    points = estimates.merge(losses, on=["num_tasks", "seed", "step"])
    means = points.groupby(["num_tasks", "step"])[["loss", "centred_llc"]].mean().dropna()
    for num_tasks, path in means.groupby("num_tasks"):
        look = scale.line(num_tasks)
        axes.plot(path["loss"], path["centred_llc"], **look, marker=".", markersize=4)
        ends = path.to_numpy()
        for start, end in itertools.pairwise(ends):
            axes.annotate(
                "", start + 0.6 * (end - start), start,
                arrowprops={"arrowstyle": "-|>", "color": look["color"], "linewidth": 0,
                            "mutation_scale": 9, "shrinkA": 0, "shrinkB": 0},
            )  # fmt: skip
        axes.plot(*ends[-1], "*", color=look["color"], markersize=7, zorder=4)
    axes.set_ylim(bottom=min(0, axes.get_ylim()[0]))
    if means.empty:
        style.nothing_to_show(axes, style.no_llc(estimates))
    axes.set_xlabel("loss on $q_M$ (mean squared error)")
    axes.set_ylabel(LLC_LABEL)


def _draw_indicator(axes: Axes, tables: Tables, scale: DiversityScale) -> None:
    """All runs and checkpoints, lines joining those of a run; what is not above 0 is counted."""
    points = matched(tables["indicators"], tables["llc"]).sort_values("step")
    shown = points[(points[[INDICATOR, "centred_llc"]] > 0).all(axis=1)]
    for (num_tasks, _), run in shown.groupby(["num_tasks", "seed"]):
        colour = scale.colour(num_tasks)
        path = run.set_index(INDICATOR)["centred_llc"]
        axes.plot(path.index, path, color=colour, linewidth=0.5, alpha=0.5)
        for hollow in (False, True):
            of_this_kind = ((run["flags"] != "") == hollow).to_numpy()
            _draw_points(axes, path[of_this_kind], colour, hollow=hollow)
    if not shown.empty:
        for which in "xy":
            style.plain_log_axis(axes, which)
    else:
        none = style.no_llc(tables["llc"])
        style.nothing_to_show(axes, "no LLC and indicator above 0" if len(points) else none)
    lines = _agreement_lines(tables["indicator_agreement"])
    lines += [f"missing or not above 0: {len(points) - len(shown)} points"] * (
        len(shown) < len(points)
    )
    what = "gradient noise: tr Cov of a sequence's gradient (label⁴/weight²)"
    axes.set_xlabel("\n".join([what, *lines]))  # below the axes, where no point is
    axes.set_ylabel(LLC_LABEL)


def _agreement_lines(agreement: pd.DataFrame) -> list[str]:
    """Rank correlations in words, those of the loss itself in brackets for comparison."""
    correlations = agreement.set_index(["indicator", "scope"])["rank_correlation"].dropna()
    lines = []
    for scope, words in SCOPES.items():
        if (INDICATOR, scope) in correlations:
            of_loss = correlations.get((LOSS, scope))
            beside = "" if of_loss is None else f" ({of_loss:.2f})"
            lines.append(f"{words} {correlations[INDICATOR, scope]:.2f}{beside}")
    found = ["rank correlation (of the loss)"] * bool(lines) + lines
    return [", ".join(found[first : first + 2]) for first in range(0, len(found), 2)]
