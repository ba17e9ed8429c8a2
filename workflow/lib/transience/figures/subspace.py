"""How far to trust the plane of the joint PCA: variance, loadings, and what chance would give.

How far the plane depends on probe and schedule is in the table `trajectory_subspace`.
"""

import math

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from transience.figures import style
from transience.figures.against_diversity import draw_against_diversity
from transience.figures.curves import Tables
from transience.figures.style import DiversityScale, panel_title

COLOURS = ("#000000", style.TRAINED_COLOUR)
NO_PLANE = "the checkpoints\nspan no plane"
ALL_EQUAL = "all checkpoints\nare equal"
CHANCE = {"color": style.MUTED, "linewidth": 0.9, "linestyle": (0, (2, 1.5))}


def subspace(tables: Tables, _window: int) -> Figure:
    """Variance and loadings by component; bends towards ridge, beside those of chance."""
    figure = Figure(figsize=(style.FULL_WIDTH, 2.6))
    variance, loadings, bends = figure.subplots(1, 3)
    scale = DiversityScale.of(tables["transient_ridge"]["num_tasks"])
    components, found = tables["trajectory_pca_components"], tables["trajectory_subspace"]
    _draw_variances(variance, components, found)
    _draw_loadings(loadings, components)
    _draw_deflections(bends, tables["transient_ridge"], found, scale)
    style.marker_key(
        figure,
        style.marker("o", "sweep, a point a seed"),
        style.marker("", "by chance", **CHANCE),
    )
    return figure


def _draw_variances(axes: Axes, components: pd.DataFrame, found: pd.DataFrame) -> None:
    fractions = components.groupby(["component", "seed"])["explained_variance_fraction"].first()
    rows = fractions.reset_index()
    axes.plot(rows["component"], 100 * rows["explained_variance_fraction"], "ok", markersize=2.8)
    chance = found[found["quantity"] == "variance"].groupby("number")["value"].mean()
    axes.plot(chance.index, 100 * chance, **CHANCE)
    if rows["explained_variance_fraction"].isna().all():
        style.nothing_to_show(axes, ALL_EQUAL)
    axes.set(xlabel="component", ylabel="variance explained (%)", ylim=(0, None))
    axes.set_xticks(sorted({*rows["component"], *chance.index}))
    panel_title(axes, "a", "Variance")


def _draw_loadings(axes: Axes, components: pd.DataFrame) -> None:
    squares = components.assign(square=components["loading"] ** 2)
    shares = squares.groupby(["component", "seed", "position"])["square"].sum(min_count=1)
    for (component, _), share in shares.groupby(["component", "seed"]):
        if component <= 2:
            axes.plot(
                share.index.get_level_values("position"), 100 * share, color=COLOURS[component - 1]
            )
    if shares.isna().all():
        style.nothing_to_show(axes, ALL_EQUAL)
    for component in (1, 2):
        axes.plot([], [], color=COLOURS[component - 1], label=f"PC{component}")
    axes.legend(loc="best")
    axes.set(xlabel="position (examples seen)", ylabel="share of squared loading (%)")
    axes.set_ylim(0, None)
    panel_title(axes, "b", "Loadings by position")


def _draw_deflections(
    axes: Axes, runs: pd.DataFrame, found: pd.DataFrame, scale: DiversityScale
) -> None:
    finite = runs[runs["num_tasks"].map(math.isfinite)]
    draw_against_diversity(
        axes, finite, "ridge_deflection", scale, shape="o", colour="#000000", filled=True
    )
    for quantity in ("reordered_median", "reordered_95"):
        rows = found[found["quantity"] == quantity]
        mean = rows.assign(m=rows["setting"].astype(float)).groupby("m")["value"].mean()
        axes.plot(scale.positions(mean.index), mean, **CHANCE)
    if finite["ridge_deflection"].isna().all():
        style.nothing_to_show(axes, NO_PLANE if len(finite) else style.NO_FINITE)
    style.diversity_axis(axes, scale, width=1.6)
    axes.set(ylabel="bend (1: to ridge)", ylim=(0, None))
    panel_title(axes, "c", "Bend, and by chance")
