"""What of the loss on new tasks is preserved, by onset and strength of an intervention (ours)."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import ListedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle

from transience.figures import style
from transience.figures.curves import Tables
from transience.figures.doses import doses, strength
from transience.figures.style import DiversityScale
from transience.problem.diversity import symbol

MOST_DIVERSITIES, MOST_PANELS = 6, 12
NO_DOSES = "no intervention at two onsets or strengths"
COLUMN, LABELS, FEWEST = 0.56, 0.85, 2  # inches of an onset and of the labels; onsets of room
ROW, AROUND, KEYS = 0.135, 0.75, 1.15  # inches of an M, around a panel, and for the keys
# Without its darkest ends, on which no mark could be seen
COLOURS = ListedColormap(colormaps["RdYlBu"](np.linspace(0.13, 0.87, 256)))
SCALE = Normalize(-1, 1)
UNKNOWN = "#d9d9d9"
MARKS = {
    "prevented": {"marker": "o"},
    "delayed": {"marker": ">"},
    "slowed": {"marker": ">", "markerfacecolor": "white"},
    "hastened": {"marker": "<"},
    "unchanged": {"marker": "x"},
    "rescued": {"marker": "^"},
    "stopped": {"marker": "s"},
    "another outcome": {"marker": "D", "markerfacecolor": "white"},
}


def intervention_maps(tables: Tables, window: int) -> Figure:
    """A map for each kind of intervention: onsets across, strengths up, a cell for each M."""
    known = doses(tables["interventions"])
    chosen = [rows for _, rows in known.groupby("series") if _has_two(rows)]
    chosen = sorted(chosen, key=lambda rows: -rows["value"].nunique())[:MOST_PANELS]
    if not chosen:
        return style.blank(NO_DOSES)
    scale = DiversityScale.of(known["num_tasks"])
    shown = DiversityScale(scale.key_values(MOST_DIVERSITIES))
    shelves = [*_shelves(chosen)]
    heights = [AROUND + ROW * max(_num_rows(rows, shown) for rows in each) for each in shelves]
    figure = Figure(figsize=(style.FULL_WIDTH, sum(heights) + KEYS))
    *parts, keys = figure.subfigures(len(shelves) + 1, 1, height_ratios=[*heights, KEYS])
    for part, each in zip(parts, shelves, strict=True):
        widths = [*map(_width, each), 0.01 + style.FULL_WIDTH - sum(map(_width, each))]
        *grid, rest = part.subplots(1, len(each) + 1, width_ratios=widths, squeeze=False)[0]
        rest.set_axis_off()
        for axes, rows in zip(grid, each, strict=True):
            _draw_map(axes, rows, shown)
    _draw_keys(keys, known)
    return figure


def _has_two(rows: pd.DataFrame) -> bool:
    return rows["value"].nunique() > 1 or rows["moment"].nunique() > 1


def _width(rows: pd.DataFrame) -> float:
    return LABELS + COLUMN * max(FEWEST, rows["moment"].nunique())


def _num_rows(rows: pd.DataFrame, shown: DiversityScale) -> int:
    return rows["value"].nunique() * len(_diversities(rows, shown))


def _diversities(rows: pd.DataFrame, shown: DiversityScale) -> list[float]:
    return [value for value in shown.values if (rows["num_tasks"] == value).any()]


def _shelves(panels: list[pd.DataFrame]) -> Iterator[list[pd.DataFrame]]:
    """Panels that fit side by side, in order."""
    shelf: list[pd.DataFrame] = []
    for rows in panels:
        if shelf and sum(map(_width, [*shelf, rows])) > style.FULL_WIDTH:
            yield shelf
            shelf = []
        shelf.append(rows)
    yield shelf


def _draw_map(axes: Axes, rows: pd.DataFrame, shown: DiversityScale) -> None:
    """Panel: a block of cells, one for each M, where the onset and strength was tried."""
    moments = rows.sort_values("place")["moment"].unique().tolist()
    values, diversities = sorted(rows["value"].unique()), _diversities(rows, shown)
    block = len(diversities) + 0.4  # rows of a strength, and the gap above
    for (moment, value, num_tasks), cell in rows.groupby(["moment", "value", "num_tasks"]):
        if num_tasks in diversities:
            height = values.index(value) * block + diversities[::-1].index(num_tasks)
            _draw_cell(axes, cell, moments.index(moment), height)
    axes.set_xticks(range(len(moments)), moments)
    axes.set_xlim(-0.55, max(FEWEST, len(moments)) - 0.45)
    axes.set_ylim(-0.6, len(values) * block - 0.8)
    _label_rows(axes, rows["kind"].iloc[0], values, diversities, block)
    axes.set_title(rows["series"].iloc[0].replace(", ", ",\n"), pad=14)
    axes.grid(False)
    axes.spines[:].set_visible(False)
    axes.set_xlabel("from step", loc="left")


def _draw_cell(axes: Axes, runs: pd.DataFrame, x: float, y: float) -> None:
    """Cell of one M: its colour is the mean over runs, each verdict that they have is a mark."""
    mean = runs["preserved"].mean()
    colour = UNKNOWN if np.isnan(mean) else COLOURS(SCALE(mean))
    axes.add_patch(
        Rectangle((x - 0.46, y - 0.48), 0.92, 0.96, facecolor=colour, edgecolor="#888888", lw=0.4)
    )
    verdicts = [*dict.fromkeys(map(_mark, runs["verdict"].value_counts().index))]
    for place, verdict in enumerate(verdicts):
        shift = 0.24 * (place - (len(verdicts) - 1) / 2)
        axes.plot(x + shift, y, **_look(verdict))


def _mark(verdict: str) -> str:
    return verdict if verdict in MARKS else "another outcome"


def _look(verdict: str) -> dict[str, object]:
    look = {"color": "black", "markersize": 3.6, "markeredgewidth": 0.8, "linestyle": "none"}
    return look | MARKS[verdict]


def _label_rows(
    axes: Axes, kind: str, values: list[float], diversities: list[float], block: float
) -> None:
    """Each M beside its row, and each strength further out."""
    below = np.arange(len(values)) * block
    heights = [low + row for low in below for row in range(len(diversities))]
    axes.set_yticks(heights, [symbol(m) for m in diversities[::-1]] * len(values), minor=True)
    middle = (len(diversities) - 1) / 2
    axes.set_yticks(below + middle, [strength(kind, value) for value in values])
    axes.yaxis.remove_overlapping_locs = False
    axes.tick_params(axis="y", which="minor", length=0, pad=2, labelcolor=style.MUTED)
    axes.tick_params(axis="y", which="major", length=0, pad=18)
    axes.tick_params(axis="x", length=0)
    for text, offset in (("strength", -18), ("M", -2)):
        axes.annotate(text, (0, 1), (offset, 0), xycoords="axes fraction", ha="right", va="bottom",
                      textcoords="offset points", color=style.MUTED)  # fmt: skip


def _draw_keys(figure: Figure, known: pd.DataFrame) -> None:
    """Scale of the colours, and the marks that occur."""
    bar = figure.subplots()
    bar.set_axis_off()
    mappable = ScalarMappable(SCALE, COLOURS)
    told = figure.colorbar(mappable, ax=bar, orientation="horizontal", extend="both", fraction=0.5)
    told.set_ticks([-1, -0.5, 0, 0.5, 1])
    told.set_label("part of the control's rise in OOD loss that was preserved (mean over seeds)")
    there = {*map(_mark, known["verdict"])}
    handles: list[Line2D | Patch] = [
        Line2D([], [], label=name, **_look(name)) for name in MARKS if name in there
    ]
    if known["preserved"].isna().any():
        label = "the control rises by < 10 %"
        handles.append(Patch(facecolor=UNKNOWN, edgecolor="#888888", lw=0.4, label=label))
    figure.legend(handles=handles, loc="outside lower center", ncols=5)
