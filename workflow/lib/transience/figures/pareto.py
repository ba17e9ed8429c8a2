"""Where runs end in the plane of both losses, on q_M and on new tasks, by M (ours)."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from transience.figures import style
from transience.figures.curves import Tables
from transience.figures.panels import COLOURS, diversity_panels
from transience.figures.style import DiversityScale
from transience.files.selections import mean_over_positions

MOST_PANELS, COLUMNS = 6, 3
NO_CONTROL = "no run with a control of its M and seed"
SHAPES = ("o", "^", "s", "D", "v", "P", "X", "h")
CONTROL_COLOUR = "#999999"


def pareto(tables: Tables, window: int) -> Figure:
    """Paths of the controls, ends of the other variants, and the front that none can pass."""
    runs = tables["interventions"]
    shown = DiversityScale.of(runs["num_tasks"]).key_values(MOST_PANELS) if len(runs) else ()
    figure, grid = diversity_panels(shown, COLUMNS, NO_CONTROL, height=2.3, around=0.9)
    kinds = sorted(runs["kind"].unique())
    for axes, num_tasks in zip(grid, shown, strict=False):
        _draw_panel(axes, tables, num_tasks, kinds)
        axes.set_xlabel("loss on $q_M$")
        axes.set_ylabel("OOD loss on $q_∞$")
    figure.legend(handles=_key(kinds), loc="outside lower center", ncols=4)
    return figure


def look_of(kind: str, kinds: list[str]) -> dict[str, str]:
    """Colour and shape of a kind of intervention, of all in a sweep."""
    place = kinds.index(kind)
    return {"color": COLOURS[place % len(COLOURS)], "marker": SHAPES[place % len(SHAPES)]}


def _key(kinds: list[str]) -> list[Line2D]:
    looks = [look_of(kind, kinds) for kind in kinds]
    ends = [
        style.marker(one.pop("marker"), kind, **one) for kind, one in zip(kinds, looks, strict=True)
    ]
    control = Line2D([], [], color=CONTROL_COLOUR, linewidth=0.9, label="control, over training")
    front = Line2D([], [], color="black", linewidth=0.9, linestyle="--", label="front")
    return [*ends, control, style.marker("*", "its end", color="black"), front]


def _draw_panel(axes: Axes, tables: Tables, num_tasks: float, kinds: list[str]) -> None:
    runs = tables["interventions"].query("num_tasks == @num_tasks")
    evaluation, fronts = (
        frame[(frame["num_tasks"] == num_tasks) & frame["variant"].isin(runs["control"])]
        for frame in (tables["evaluation"], tables["front"])
    )
    front = fronts.pivot_table("loss", "fresh_fraction", "distribution")  # mean over runs
    axes.plot(front["training"], front["gaussian"], "--", color="black", linewidth=0.9, zorder=3)
    for path in _paths(evaluation):
        axes.plot(path["training"], path["gaussian"], color=CONTROL_COLOUR, linewidth=0.6, zorder=1)
        axes.plot(*path.iloc[-1][["training", "gaussian"]], "*", color="black", markersize=5)
    for kind, ends in runs.groupby("kind"):
        mean = ends.groupby("variant")[["final_loss", "final_ood_loss"]].mean()
        axes.scatter(mean["final_loss"], mean["final_ood_loss"], s=14, **look_of(kind, kinds),
                     linewidths=0, alpha=0.85, zorder=4)  # fmt: skip
    _limit(axes, front, runs)


def _paths(evaluation: pd.DataFrame) -> list[pd.DataFrame]:
    """Losses on q_M and on new tasks by step, a table for each run."""
    losses = [
        mean_over_positions(evaluation, name).set_index(["variant", "seed", "step"])["loss"]
        for name in ("training", "gaussian")
    ]
    both = pd.concat(losses, axis=1, keys=("training", "gaussian")).sort_index()
    return [path for _, path in both.groupby(level=["variant", "seed"])]


def _limit(axes: Axes, front: pd.DataFrame, runs: pd.DataFrame) -> None:
    """Leave out what comes before a model has learnt anything: most of a path is there."""
    for which, column, ends in (
        ("x", "training", ["final_loss", "control_final_loss"]),
        ("y", "gaussian", ["final_ood_loss", "control_final_ood_loss"]),
    ):
        least, most = front[column].min(), np.nanmax([front[column].max(), *runs[ends].max()])
        axes.set(**{f"{which}lim": (least - 0.08 * (most - least), most + 0.15 * (most - least))})
