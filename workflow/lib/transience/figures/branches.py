"""Branches where they leave their parent, in the joint trajectory PCA of the variant they leave."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from transience.figures import style
from transience.figures.curves import Tables, smooth
from transience.figures.doses import doses
from transience.figures.kinds import MOST_COLUMNS, MOST_ROWS, kind_panels, label_outside, rows_of
from transience.figures.settings import MAIN, variant_shown
from transience.figures.style import DiversityScale

ROW, AROUND = 1.7, 0.8  # inches
OTHERS, PARENT = "#d8d8d8", "#8c8c8c"
COMPONENTS = ["pc1", "pc2"]
NO_BRANCHES = "no variant branches from another one"


def branches(tables: Tables, window: int) -> Figure:
    """Panels by kind of branch and by M, of the first seed, as seeds have planes of their own."""
    points = _of_one_plane(tables["branch_trajectories"])
    if points.empty:
        return style.blank(NO_BRANCHES)
    first, whole = points.iloc[0], tables["trajectory_pca"]
    whole = whole[(whole["variant"] == first["plane"]) & (whole["seed"] == first["seed"])]
    shown = DiversityScale.of(points["num_tasks"]).key_values(MOST_COLUMNS)
    rows = [*rows_of(_kinds(points, tables["interventions"]))][:MOST_ROWS]
    figure, grid = kind_panels(rows, shown, height=ROW, around=AROUND)
    for panels, (_, colours) in zip(grid, rows, strict=True):
        for axes, num_tasks in zip(panels, shown, strict=True):
            own = points[(points["num_tasks"] == num_tasks) & points["variant"].isin(colours)]
            _draw_panel(axes, whole, own, num_tasks, colours, window=window)
    _align(grid, points, whole, shown)
    _key_of_marks(figure)
    return figure


def _of_one_plane(points: pd.DataFrame) -> pd.DataFrame:
    """Branches of the main variant, or the first that has some; of the first seed."""
    if points.empty:
        return points
    plane = variant_shown(MAIN, sorted(points["plane"].unique()))
    points = points[points["plane"] == plane]
    return points[points["seed"] == points["seed"].min()]


def _kinds(points: pd.DataFrame, interventions: pd.DataFrame) -> pd.Series:
    """Kind of each variant that branches, by variant, as they leave."""
    named: dict[str, str] = {}
    for table, column in ((interventions, "kind"), (doses(interventions), "series")):
        named |= table.drop_duplicates("variant").set_index("variant")[column].to_dict()
    starts = points.groupby(["variant", "num_tasks"])["step"].min().groupby("variant").mean()
    names = starts.sort_values(kind="stable").index
    return pd.Series([named.get(name, "") for name in names], index=names, dtype=str)


def _draw_panel(
    axes: Axes,
    whole: pd.DataFrame,
    own: pd.DataFrame,
    num_tasks: float,
    colours: dict[str, str],
    *,
    window: int,
) -> None:
    """Panel: all paths of the plane, that of M darker, and branches of M from where they leave.

    Paths are smoothed: a branch together with what its parent did before, to its last checkpoint.
    """
    if own.empty:
        style.nothing_to_show(axes, "no such branch")
        return
    for m, path in whole[whole["predictor"].isna()].sort_values("step").groupby("num_tasks"):
        look = {"color": PARENT, "linewidth": 0.7} if m == num_tasks else {"color": OTHERS}
        line = (smooth(path[component], window) for component in COMPONENTS)
        axes.plot(*line, **{"linewidth": 0.4, "zorder": 1} | look)
    for name, path in own.groupby("variant"):
        line, colour = _line(path, whole, window), colours[name]
        axes.plot(*line.T, color=colour, linewidth=1.0, zorder=3)
        axes.plot(*line[0], "o", color=colour, markersize=3.2, markerfacecolor="white",
                  markeredgewidth=0.8, zorder=5)  # fmt: skip
        axes.plot(*line[-1], "*", color=colour, markersize=6.5, markeredgecolor="white",
                  markeredgewidth=0.4, zorder=6)  # fmt: skip
    ideals = whole[whole["num_tasks"] == num_tasks].set_index("predictor")[COMPONENTS]
    for name, shape in (("dmmse", "D"), ("ridge", "s")):
        if name in ideals.index:
            axes.plot(*ideals.loc[name], shape, color="black", markersize=4, zorder=4,
                      markerfacecolor="none", markeredgewidth=0.8)  # fmt: skip
    if whole["pc2"].isna().all():
        style.nothing_to_show(axes, "the checkpoints span no plane")


def _line(branch: pd.DataFrame, whole: pd.DataFrame, window: int) -> np.ndarray:
    """Smoothed points (checkpoints, 2) of a branch, but for its last."""
    first = branch.iloc[0]
    before = whole[(whole["num_tasks"] == first["num_tasks"]) & whole["predictor"].isna()]
    before = before[before["step"] < branch["step"].min()]
    if first["parent"] != first["plane"]:
        before = before.iloc[:0]  # a branch of a branch
    path = pd.concat([before.sort_values("step"), branch.sort_values("step")])[COMPONENTS]
    line = smooth(path, window).to_numpy(copy=True)
    line[-1] = path.iloc[-1]
    return line[len(before) :]


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
        axes.xaxis.set_major_locator(MaxNLocator(4))
        axes.yaxis.set_major_locator(MaxNLocator(4))
        label_outside(axes, "PC1", "PC2")


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
