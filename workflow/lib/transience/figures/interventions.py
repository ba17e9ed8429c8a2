"""What each variant of training bought and cost beside its control, one row for each (ours)."""

import textwrap

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from transience.figures import style
from transience.figures.curves import Tables
from transience.figures.doses import in_order
from transience.figures.pareto import NO_CONTROL
from transience.figures.style import DiversityScale

ROW = 0.17  # inches for a variant
COLUMNS = {
    "preserved": ("OOD loss preserved", "0: control's end, 1: its least"),
    "gain": ("gain over stopping early", "below the control's path"),
    "cost": ("cost on $q_M$", "loss on $q_M$ over the control's"),
}
EFFECTS = {"preserved": "preserved", "gain": "gain", "cost": "loss_ratio"}  # quantity of a column
LEAST_SEEDS = 3  # of which an interval is shown: of two it is as wide as the panel
MOST_ROWS = 60
NAME = 32  # characters in a line of a name


def interventions(tables: Tables, window: int) -> Figure:
    """What of the OOD loss is preserved, gained over stopping early, and paid for on q_M."""
    runs, effects = tables["interventions"], tables["intervention_effects"]
    runs = runs.assign(cost=runs["final_loss"] / runs["control_final_loss"])
    order = in_order(runs).index.tolist()[:MOST_ROWS]
    names = [textwrap.fill(name, NAME) for name in order]
    lines = max((name.count("\n") + 1 for name in names), default=1)
    figure = Figure(figsize=(style.FULL_WIDTH, 1.0 + ROW * lines * max(len(order), 3)))
    grid = figure.subplots(1, len(COLUMNS), sharey=True)
    scale = DiversityScale.of(runs["num_tasks"])
    for letter, axes, (column, (title, label)) in zip("abc", grid, COLUMNS.items(), strict=True):
        style.panel_title(axes, letter, title)
        axes.set_xlabel(label)
        own = effects[effects["quantity"] == EFFECTS[column]].dropna(subset=["mean"])
        _draw(axes, runs, column, order, scale, effects=own)
    grid[0].set_yticks(range(len(order)), names)
    grid[0].set_ylim(max(len(order), 3) - 0.5, -0.5)
    if not order:
        style.nothing_to_show(grid[1], NO_CONTROL)
    style.diversity_key(figure, scale)
    return figure


def _draw(
    axes: Axes,
    runs: pd.DataFrame,
    column: str,
    order: list[str],
    scale: DiversityScale,
    *,
    effects: pd.DataFrame,
) -> None:
    """Points of a column: large ones are means over the seeds of an M, small ones the seeds."""
    height = {name: row for row, name in enumerate(order)}
    known = runs[runs["variant"].isin(order)].dropna(subset=[column])
    effects = effects[effects["variant"].isin(order)]
    apart = 0.5 / max(len(scale.values), 1)
    for place, num_tasks in enumerate(scale.values):
        of_m = known[known["num_tasks"] == num_tasks]
        shift = apart * (place - (len(scale.values) - 1) / 2)
        look = {"color": scale.colour(num_tasks)}
        rows = [height[name] + shift for name in of_m["variant"]]
        axes.plot(of_m[column], rows, ".", markersize=2, **look)
        for row in effects[effects["num_tasks"] == num_tasks].itertuples():
            at = height[row.variant] + shift
            axes.plot(row.mean, at, "o", markersize=3.4, **look)
            if row.num_seeds >= LEAST_SEEDS:
                axes.plot([row.low, row.high], [at, at], linewidth=0.9, **look)
    axes.axvline({"gain": 0.0, "preserved": 0.0, "cost": 1.0}[column], color="black", linewidth=0.6)
    axes.margins(x=0.06)
