"""All variants side by side: the loss on new tasks over training, one panel for each M (ours)."""

import math
from collections.abc import Iterator
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from transience.figures import style
from transience.figures.curves import Tables, by_seed, draw_seeds
from transience.figures.doses import in_order
from transience.figures.kinds import MOST_COLUMNS, MOST_ROWS, kind_panels, label_outside, rows_of
from transience.figures.panels import COLOURS, diversity_panels
from transience.figures.settings import MAIN, variant_shown
from transience.figures.style import DiversityScale
from transience.files.selections import mean_over_positions

MOST_PANELS, COLUMNS = 8, 4
SAME = 1e-3  # relative difference of ridge's losses on one test set, computed in two runs
NOT_SHARED = "no M that two variants share"
ROW, AROUND = 1.6, 0.8  # inches
RIDGE = {"label": "ridge", "color": style.RIDGE_COLOUR, "linestyle": "--", "linewidth": 0.9}
ONE_OF_MANY = {"color": "#a8a8a8", "zorder": 1}  # what others are compared with

# Inches in the key: its rows, and the line before a name with the space behind it
KEY_ROW, KEY_LINE = 0.16, 0.5

Look = dict[str, Any]


def variants(tables: Tables, window: int) -> Figure:
    """OOD loss over training of every variant, for M that two of them have, and ridge's loss."""
    loss = mean_over_positions(tables["evaluation"], "gaussian")
    shared = _shared(tables["transient_ridge"])
    loss = loss[loss["num_tasks"].isin(shared.values)]
    names = sorted(loss["variant"].unique())
    if len(names) > len(COLOURS):
        shown = shared.key_values(MOST_COLUMNS)
        return _by_kind(tables, loss, names, shown, window=window)
    shared = shared.key_values(MOST_PANELS)
    looks = {name: _look(colour) for name, colour in zip(names, COLOURS, strict=False)}
    in_a_row = _columns_of_key(looks)
    around = 0.5 + KEY_ROW * math.ceil((len(looks) + 1) / in_a_row)
    figure, grid = diversity_panels(
        shared, COLUMNS, NOT_SHARED, height=1.9, around=around, sharey=True
    )
    for axes, num_tasks in zip(grid, shared, strict=False):
        _draw_panel(axes, tables, loss, num_tasks, looks, window=window)
        axes.set_xlabel("step (log scale)")
        if axes.get_subplotspec().is_first_col():
            axes.set_ylabel("OOD loss on $q_∞$")
    if shared:
        style.plain_log_axis(grid[0])
    handles = [Line2D([], [], label=name, **look) for name, look in looks.items()]
    figure.legend(
        handles=[*handles, Line2D([], [], **RIDGE)], loc="outside lower center", ncols=in_a_row
    )
    return figure


def _by_kind(
    tables: Tables,
    loss: pd.DataFrame,
    names: list[str],
    shown: tuple[float, ...],
    *,
    window: int,
) -> Figure:
    """Rows of variants that change the same, each with the main variant; too many for one panel."""
    main = variant_shown(MAIN, names)
    rows = [*_rows(tables["interventions"], [name for name in names if name != main])][:MOST_ROWS]
    figure, grid = kind_panels(rows, shown, height=ROW, around=AROUND)
    for panels, (_, colours) in zip(grid, rows, strict=True):
        looks = {name: _look(colour) for name, colour in colours.items()} | {main: ONE_OF_MANY}
        for axes, num_tasks in zip(panels, shown, strict=True):
            if loss.loc[loss["num_tasks"] == num_tasks, "variant"].isin(colours).any():
                _draw_panel(axes, tables, loss, num_tasks, looks, window=window)
            else:
                style.nothing_to_show(axes, "no such variant")
            style.step_axis(axes, loss["step"].max())
            axes.sharey(grid[0, 0])
            label_outside(axes, "step (log scale)", "OOD loss on $q_∞$")
    style.plain_log_axis(grid[0, 0])
    style.marker_key(figure, Line2D([], [], label=main, **ONE_OF_MANY), Line2D([], [], **RIDGE))
    return figure


def _rows(runs: pd.DataFrame, names: list[str]) -> Iterator[tuple[str, dict[str, str]]]:
    """Kinds of what variants change, and colours; doses of one kind that are many, by moment."""
    each = in_order(runs).astype(object)
    first = [name for name in each.index if name in names]
    each = each.reindex([*first, *(name for name in names if name not in first)])
    series = each["series"].fillna("")
    many = series.map(series.value_counts()) > len(COLOURS)
    parts = series.where(~many, series + each["moment"].fillna(""))
    return rows_of(each["kind"].fillna(""), parts)


def _look(colour: str) -> Look:
    return {"color": colour, "zorder": 2}


def _shared(runs: pd.DataFrame) -> DiversityScale:
    """M of two variants or more."""
    count = runs.groupby("num_tasks")["variant"].nunique()
    return DiversityScale.of(count.index[count > 1])


def _draw_panel(
    axes: Axes,
    tables: Tables,
    loss: pd.DataFrame,
    num_tasks: float,
    looks: dict[str, Look],
    *,
    window: int,
) -> None:
    """Panel: lines of variants, ends of seeds, ridge's loss, once for each where they differ."""
    runs = tables["transient_ridge"].query("num_tasks == @num_tasks")
    runs = runs[runs["variant"].isin(looks)]
    loss = loss[(loss["num_tasks"] == num_tasks) & loss["variant"].isin(looks)]
    for name, rows in loss.groupby("variant"):
        seeds = by_seed(rows, "loss")
        draw_seeds(axes, seeds, looks[name], window=window)
        for _, seed in seeds.items():
            end = seed.dropna().tail(1)
            axes.plot(end.index, end, "o", color=looks[name]["color"], markersize=2.4, linewidth=0)
    by_variant = runs.pivot(index="seed", columns="variant", values="ridge_ood_loss")
    # Of a seed, as seeds have test sets of their own.
    apart = by_variant.max(axis=1) - by_variant.min(axis=1)
    levels = {style.RIDGE_COLOUR: by_variant.mean(axis=1).mean()}
    if (apart > SAME * by_variant.max(axis=1)).any():
        levels = {looks[name]["color"]: level for name, level in by_variant.mean().items()}
    for colour, level in levels.items():
        axes.axhline(level, color=colour, linewidth=0.9, linestyle="--", zorder=1)
    style.step_axis(axes, loss["step"].max())


def _columns_of_key(looks: dict[str, Look]) -> int:
    """How many names fit side by side, ridge's included."""
    longest = max(map(len, [*looks, "ridge"]))
    fitting = int(style.FULL_WIDTH / (KEY_LINE + style.CHARACTER * longest))
    return max(1, min(fitting, len(looks) + 1))
