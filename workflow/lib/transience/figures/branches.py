"""Branches where they leave their parent, in the joint trajectory PCA of the variant they leave."""

import textwrap
from collections.abc import Iterator

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from transience.figures import style
from transience.figures.curves import Tables
from transience.figures.doses import doses
from transience.figures.panels import COLOURS
from transience.figures.settings import MAIN, variant_shown
from transience.figures.style import DiversityScale
from transience.problem.diversity import symbol

MOST_COLUMNS, MOST_ROWS, KEY = 4, 8, 0.8  # the key is so wide as a part of a panel, of three
ROW, AROUND = 1.7, 0.8  # inches
OTHERS, PARENT = "#d8d8d8", "#8c8c8c"
COMPONENTS = ["pc1", "pc2"]
NO_BRANCHES = "no variant branches from another one"
UNNAMED = {"none": "no phase, or another length", "": "no control of its M and seed"}


def branches(tables: Tables, window: int) -> Figure:
    """Panels by kind of branch and by M, of the first seed, as seeds have planes of their own."""
    points = _of_one_plane(tables["branch_trajectories"])
    if points.empty:
        return style.blank(NO_BRANCHES)
    first, whole = points.iloc[0], tables["trajectory_pca"]
    whole = whole[(whole["variant"] == first["plane"]) & (whole["seed"] == first["seed"])]
    shown = DiversityScale.of(points["num_tasks"]).key_values(MOST_COLUMNS)
    rows = [*_rows(points, tables["interventions"])][:MOST_ROWS]
    figure = Figure(figsize=(style.FULL_WIDTH, AROUND + ROW * len(rows)))
    widths = [*[1.0] * len(shown), KEY * len(shown) / 3]
    grid = figure.subplots(len(rows), len(shown) + 1, squeeze=False, width_ratios=widths)
    for (*panels, key), (kind, names) in zip(grid, rows, strict=True):
        colours = dict(zip(names, COLOURS, strict=False))
        for axes, num_tasks in zip(panels, shown, strict=True):
            own = points[(points["num_tasks"] == num_tasks) & points["variant"].isin(names)]
            _draw_panel(axes, whole, own, num_tasks, colours)
        _draw_key(key, kind, colours)
    _align(grid[:, :-1], points, whole, shown)
    _key_of_marks(figure)
    return figure


def _of_one_plane(points: pd.DataFrame) -> pd.DataFrame:
    """Branches of the main variant, or the first that has some; of the first seed."""
    if points.empty:
        return points
    plane = variant_shown(MAIN, sorted(points["plane"].unique()))
    points = points[points["plane"] == plane]
    return points[points["seed"] == points["seed"].min()]


def _rows(points: pd.DataFrame, interventions: pd.DataFrame) -> Iterator[tuple[str, list[str]]]:
    """Kinds of branches, and the variants of each as they leave, no more than there are colours."""
    named: dict[str, str] = {}
    for table, column in ((interventions, "kind"), (doses(interventions), "series")):
        named |= table.drop_duplicates("variant").set_index("variant")[column].to_dict()
    starts = points.groupby(["variant", "num_tasks"])["step"].min().groupby("variant").mean()
    names = starts.sort_values(kind="stable").index
    kinds = pd.Series([named.get(name, "") for name in names], index=names)
    for kind, own in kinds.groupby(kinds):
        for first in range(0, len(own), len(COLOURS)):
            yield UNNAMED.get(kind, kind), [*own.index[first : first + len(COLOURS)]]


def _draw_panel(
    axes: Axes, whole: pd.DataFrame, own: pd.DataFrame, num_tasks: float, colours: dict[str, str]
) -> None:
    """Panel: all paths of the plane, that of M darker, and branches of M from where they leave."""
    if own.empty:
        style.nothing_to_show(axes, "no such branch")
        return
    for m, path in whole[whole["predictor"].isna()].sort_values("step").groupby("num_tasks"):
        look = {"color": PARENT, "linewidth": 0.7} if m == num_tasks else {"color": OTHERS}
        axes.plot(path["pc1"], path["pc2"], **{"linewidth": 0.4, "zorder": 1} | look)
    for name, path in own.groupby("variant"):
        xy, colour = path.sort_values("step")[COMPONENTS].to_numpy(), colours[name]
        axes.plot(*xy.T, color=colour, linewidth=1.0, zorder=3)
        axes.plot(*xy[0], "o", color=colour, markersize=3.2, markerfacecolor="white",
                  markeredgewidth=0.8, zorder=5)  # fmt: skip
        axes.plot(*xy[-1], "*", color=colour, markersize=6.5, markeredgecolor="white",
                  markeredgewidth=0.4, zorder=6)  # fmt: skip
    ideals = whole[whole["num_tasks"] == num_tasks].set_index("predictor")[COMPONENTS]
    for name, shape in (("dmmse", "D"), ("ridge", "s")):
        if name in ideals.index:
            axes.plot(*ideals.loc[name], shape, color="black", markersize=4, zorder=4,
                      markerfacecolor="none", markeredgewidth=0.8)  # fmt: skip
    if whole["pc2"].isna().all():
        style.nothing_to_show(axes, "the checkpoints span no plane")


def _align(
    grid: np.ndarray, points: pd.DataFrame, whole: pd.DataFrame, shown: tuple[float, ...]
) -> None:
    """Show one part of the plane in all panels: where branches are, and their ideals."""
    there = whole[whole["num_tasks"].isin(shown)]
    paths = there[there["predictor"].notna() | (there["step"] >= points["step"].min())]
    seen = pd.concat([points[COMPONENTS], paths[COMPONENTS]])
    least, most = seen.min(), seen.max()
    for axes in grid.flat:
        for which, name in zip("xy", COMPONENTS, strict=True):
            room = 0.06 * (most[name] - least[name]) or 1.0
            if np.isfinite(room):
                axes.set(**{f"{which}lim": (least[name] - room, most[name] + room)})
        place = axes.get_subplotspec()
        axes.xaxis.set_major_locator(MaxNLocator(4))
        axes.yaxis.set_major_locator(MaxNLocator(4))
        axes.tick_params(labelbottom=place.is_last_row(), labelleft=place.is_first_col())
        axes.set_xlabel("PC1" if place.is_last_row() else "")
        axes.set_ylabel("PC2" if place.is_first_col() else "")
    for axes, num_tasks in zip(grid[0], shown, strict=True):
        axes.set_title(f"M = {symbol(num_tasks)}")


def _draw_key(axes: Axes, kind: str, colours: dict[str, str]) -> None:
    """Key of a row: the kind of branch, and the variants in their colours."""
    axes.set_axis_off()
    handles = [
        Line2D([], [], color=colour, label=textwrap.fill(name, style.LINE))
        for name, colour in colours.items()
    ]
    title = textwrap.fill(kind, style.LINE)
    axes.legend(handles=handles, title=title, loc="center left", alignment="left")


def _key_of_marks(figure: Figure) -> None:
    style.marker_key(
        figure,
        Line2D([], [], color=PARENT, linewidth=0.7, label="untouched, same M"),
        Line2D([], [], color=OTHERS, linewidth=0.5, label="other M"),
        style.marker("o", "leaves", markerfacecolor="white"),
        style.marker("*", "end", markersize=7),
        style.marker("D", "dMMSE$_M$", markerfacecolor="none", color="black"),
        style.marker("s", "ridge", markerfacecolor="none", color="black"),
    )
