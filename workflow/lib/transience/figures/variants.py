"""All variants side by side: the loss on new tasks over training, one panel for each M (ours)."""

import math
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from transience.figures import style
from transience.figures.curves import Tables, by_seed, draw_seeds
from transience.figures.panels import COLOURS, diversity_panels
from transience.figures.style import DiversityScale
from transience.files.selections import mean_over_positions

MOST_PANELS, COLUMNS = 8, 4
SAME = 1e-3  # relative difference of ridge's losses on one test set, computed in two runs
NOT_SHARED = "no M that two variants share"
# Of lines whose colour has been used before
PATTERNS = ("solid", (0, (1.2, 1.2)), (0, (5, 1.2, 1.2, 1.2)), (0, (7, 2)))

# Inches in the key: its rows, and the line before a name with the space behind it
KEY_ROW, KEY_LINE = 0.16, 0.5

Look = dict[str, Any]


def variants(tables: Tables, window: int) -> Figure:
    """OOD loss over training of every variant, for M that two of them have, and ridge's loss."""
    loss = mean_over_positions(tables["evaluation"], "gaussian")
    looks = _looks(loss["variant"])
    shared = _shared(tables["transient_ridge"])
    in_a_row = _columns_of_key(looks)
    key_rows = math.ceil((len(looks) + 1) / in_a_row)
    around = 0.5 + KEY_ROW * key_rows
    figure, grid = diversity_panels(
        shared, COLUMNS, NOT_SHARED, height=1.9, around=around, sharey=True
    )
    for axes, num_tasks in zip(grid, shared, strict=False):
        own = loss[loss["num_tasks"] == num_tasks]
        ridge = tables["transient_ridge"].query("num_tasks == @num_tasks")
        _draw_panel(axes, own, ridge, looks, window=window)
        axes.set_xlabel("step (log scale)")
        if axes.get_subplotspec().is_first_col():
            axes.set_ylabel("OOD loss on $q_∞$")
    if shared:
        style.plain_log_axis(grid[0])
    handles = [Line2D([], [], label=name, **look) for name, look in looks.items()]
    handles.append(Line2D([], [], label="ridge", color="black", linestyle="--", linewidth=0.9))
    figure.legend(handles=handles, loc="outside lower center", ncols=in_a_row)
    return figure


def _looks(names: pd.Series) -> dict[str, Look]:
    """Colour and pattern of each variant's lines."""
    each = {}
    for place, name in enumerate(sorted(names.unique())):
        turn, colour = divmod(place, len(COLOURS))
        pattern = PATTERNS[turn % len(PATTERNS)]
        each[name] = {"color": COLOURS[colour], "linestyle": pattern, "zorder": 2}
    return each


def _shared(runs: pd.DataFrame) -> tuple[float, ...]:
    """M of two variants or more, thinned to so many as there are panels."""
    count = runs.groupby("num_tasks")["variant"].nunique()
    return DiversityScale.of(count.index[count > 1]).key_values(MOST_PANELS)


def _draw_panel(
    axes: Axes, loss: pd.DataFrame, runs: pd.DataFrame, looks: dict[str, Look], *, window: int
) -> None:
    """Panel: a line for each variant, and ridge's loss once, or once for each where they differ."""
    for name, rows in loss.groupby("variant"):
        draw_seeds(axes, by_seed(rows, "loss"), looks[name], window=window)
    by_variant = runs.pivot(index="seed", columns="variant", values="ridge_ood_loss")
    apart = by_variant.max(axis=1) - by_variant.min(
        axis=1
    )  # of a seed, as seeds have own test sets
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
