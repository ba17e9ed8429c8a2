"""How far to trust the plane of the joint PCA: more components, loadings, sensitivity, chance."""

import math

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from transience.figures import style
from transience.figures.against_diversity import draw_against_diversity
from transience.figures.curves import Tables, smooth
from transience.figures.style import DiversityScale, panel_title

COLOURS = ("#000000", style.TRAINED_COLOUR, style.DMMSE_COLOUR, "#b35900")
NO_PLANE = "the checkpoints\nspan no plane"
ALL_EQUAL = "all checkpoints\nare equal"
CHANCE = {"color": style.MUTED, "linewidth": 0.9, "linestyle": (0, (2, 1.5))}


def subspace(tables: Tables, window: int) -> Figure:
    """Variance, further components, loadings; sensitivity to probe and schedule; chance."""
    figure = Figure(figsize=(style.FULL_WIDTH, 4.7))
    grid = figure.subplots(2, 3)
    scale = DiversityScale.of(tables["trajectory_pca"]["num_tasks"])
    components, found = tables["trajectory_pca_components"], tables["trajectory_subspace"]
    _draw_variances(grid[0, 0], components, found)
    _draw_further_plane(grid[0, 1], tables["trajectory_pca"], scale, window)
    _draw_loadings(grid[0, 2], components)
    _draw_probe_sizes(grid[1, 0], found)
    _draw_schedules(grid[1, 1], found)
    _draw_deflections(grid[1, 2], tables["transient_ridge"], found, scale)
    style.diversity_key(figure, scale)
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


def _draw_further_plane(
    axes: Axes, points: pd.DataFrame, scale: DiversityScale, window: int
) -> None:
    pair = ("pc3", "pc4") if points["pc4"].notna().any() else ("pc1", "pc2")
    first = points[(points["seed"] == points["seed"].min()) & points["predictor"].isna()]
    for num_tasks, path in first.groupby("num_tasks"):
        path = path.sort_values("step")
        axes.plot(*(smooth(path[name], window) for name in pair), **scale.line(num_tasks))
    if first[list(pair)].isna().any(axis=None):
        style.nothing_to_show(axes, NO_PLANE)
    axes.set(xlabel=f"{pair[0].upper()} (units of prediction)", ylabel=pair[1].upper())
    panel_title(axes, "b", f"Further plane, seed {points['seed'].min()}")


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
    panel_title(axes, "c", "Loadings by position")


def _draw_probe_sizes(axes: Axes, found: pd.DataFrame) -> None:
    rows = found[found["quantity"] == "probe_size"]
    rows = rows.assign(size=rows["setting"].astype(int))
    for (number, _), run in rows.sort_values("size").groupby(["number", "seed"]):
        axes.plot(run["size"], run["value"], "o-", color=COLOURS[number - 1], markersize=2.8)
    if len(rows):
        axes.set_xscale("log", base=4)
        axes.set_xticks(sorted(rows["size"].unique()), map(str, sorted(rows["size"].unique())))
    else:
        style.nothing_to_show(axes, "no smaller probe")
    _angle_axis(axes, "probe sequences used")
    panel_title(axes, "d", "Smaller probes")


def _draw_schedules(axes: Axes, found: pd.DataFrame) -> None:
    rows = found[found["quantity"] == "schedule"]
    names = sorted(rows["setting"].unique())
    for (number, _), run in rows.groupby(["number", "seed"]):
        x = [names.index(name) for name in run["setting"]]
        axes.plot(x, run["value"], "o", color=COLOURS[number - 1], markersize=2.8)
    axes.set_xticks(range(len(names)), names)
    axes.set_xlim(-0.6, max(len(names), 1) - 0.4)
    if not names:
        style.nothing_to_show(axes, "too few checkpoints")
    _angle_axis(axes, "checkpoints used")
    panel_title(axes, "e", "One schedule only")


def _angle_axis(axes: Axes, label: str) -> None:
    """Both angles of the plane: the smaller black, the larger in the second colour."""
    for number, text in enumerate(("smaller angle", "larger angle")):
        axes.plot([], [], color=COLOURS[number], label=text)
    axes.legend(loc="upper right")
    axes.set(xlabel=label, ylabel="principal angle (degrees)", ylim=(0, 90))


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
    axes.set(ylabel="bend towards ridge (1: as far)", ylim=(0, None))
    panel_title(axes, "f", "Bend, and by chance")
