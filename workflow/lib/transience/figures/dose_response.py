"""Strength of an intervention against what it preserves, and what it costs on q_M (ours)."""

import math
import textwrap

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, MaxNLocator, NullLocator

from transience.figures import style
from transience.figures.curves import Tables
from transience.figures.doses import doses, since, spans_a_decade
from transience.figures.panels import panels
from transience.figures.style import DiversityScale

MOST_PANELS, COLUMNS = 12, 4
LEAST = -1.0  # what is worse stands at the edge
APART = 0.2  # of the width of a panel between labels
LINE = 22  # characters of a title
FEW_TICKS = 5  # a logarithmic axis of less than this factor has ticks as a linear one has
NO_STRENGTHS = "no intervention of two strengths at one onset"


def dose_response(tables: Tables, window: int) -> Figure:
    """What an intervention of two strengths or more preserves, and below it what it costs."""
    runs = tables["interventions"]
    scale = DiversityScale.of(runs["num_tasks"])
    cost = runs["final_loss"] / runs["control_final_loss"]
    known = doses(runs.assign(cost=cost.where(np.isfinite(cost))))
    groups = [rows for _, rows in known.groupby(["kind", "series", "place", "moment"])]
    groups = [rows for rows in groups if rows["value"].nunique() > 1][:MOST_PANELS]
    if not groups:
        return style.blank(NO_STRENGTHS)
    figure, grid = panels(len(groups), COLUMNS, height=3.0, around=0.5, stacked=2)
    for (above, below), rows in zip(grid, groups, strict=True):
        above.set_title(_title(rows))
        _draw_preserved(above, rows, scale)
        _draw_cost(below, rows, scale)
        for axes in (above, below):
            _strength_axis(axes, rows)
        above.tick_params(labelbottom=False)
        above.set_xlabel("")
    _align(grid, pd.concat(groups))
    style.diversity_key(figure, scale)
    marks = [style.marker("o", "mean over seeds"), style.marker(".", "a seed", markersize=3)]
    if (pd.concat(groups)["preserved"] < LEAST).any():
        marks.append(style.marker("v", f"below {LEAST:g}"))
    style.marker_key(figure, *marks)
    return figure


def _title(rows: pd.DataFrame) -> str:
    """What is changed, for how long, and from when on, each on lines of its own."""
    what, *length = rows["series"].iloc[0].split(", ", 1)
    parts = [what, *length, since(rows["moment"].iloc[0])]
    return ",\n".join(textwrap.fill(part, LINE) for part in parts)


def _draw_preserved(axes: Axes, rows: pd.DataFrame, scale: DiversityScale) -> None:
    """Panel: 1 is the least OOD loss of the control, 0 that at its end."""
    for level, pattern in ((0.0, "-"), (1.0, ":")):
        axes.axhline(level, color="black", linewidth=0.6, linestyle=pattern, zorder=1)
    _draw(axes, rows, "preserved", scale)
    if rows["preserved"].isna().all():
        style.nothing_to_show(axes, "the control's OOD loss rises by less than 10 %")


def _draw_cost(axes: Axes, rows: pd.DataFrame, scale: DiversityScale) -> None:
    """Panel: 1 is as good on q_M as the control."""
    axes.axhline(1.0, color="black", linewidth=0.6, zorder=1)
    _draw(axes, rows, "cost", scale)


def _align(grid: np.ndarray, runs: pd.DataFrame) -> None:
    """One scale for all panels above, and one for all below."""
    preserved = runs["preserved"].clip(LEAST)
    least, most = min(0.0, preserved.min()), max(1.0, preserved.max())
    cheapest, dearest = min(1.0, runs["cost"].min()), max(1.0, runs["cost"].max())
    room = (dearest / cheapest) ** 0.06 + 1e-3
    for above, below in grid:
        above.set_ylim(least - 0.06 * (most - least), most + 0.06 * (most - least))
        below.set_ylim(cheapest / room, dearest * room)
        style.plain_log_axis(below)
        if dearest / cheapest < FEW_TICKS:
            below.yaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))
            below.yaxis.set_minor_locator(NullLocator())
        first = above.get_subplotspec().is_first_col()
        above.set_ylabel("OOD loss preserved" if first else "")
        below.set_ylabel("loss on $q_M$\nover the control's" if first else "")
        for axes in (above, below):
            axes.tick_params(labelleft=first)


def _draw(axes: Axes, rows: pd.DataFrame, column: str, scale: DiversityScale) -> None:
    """Points of each M, those of seeds small, and a line through their means."""
    for num_tasks, own in rows.dropna(subset=[column]).groupby("num_tasks"):
        colour = scale.colour(num_tasks)
        axes.plot(_places(rows, own["value"]), own[column].clip(LEAST), ".", markersize=2.5,
                  color=colour, zorder=2)  # fmt: skip
        mean = own.groupby("value")[column].mean()
        low, x = mean < LEAST, _places(rows, mean.index)
        axes.plot(x, mean.clip(LEAST), color=colour, linewidth=0.9, zorder=3)
        for which, shape in ((~low, "o"), (low, "v")):
            axes.plot(x[which], mean.clip(LEAST)[which], shape, color=colour, markersize=3.6,
                      zorder=4)  # fmt: skip


def _places(rows: pd.DataFrame, values: pd.Series | pd.Index) -> np.ndarray:
    """Where strengths stand: M on the axis of M, others by value."""
    if rows["kind"].iloc[0] == "num_tasks":
        return DiversityScale.of(rows["value"]).positions(values)
    return np.asarray(values, dtype=float)


def _strength_axis(axes: Axes, rows: pd.DataFrame) -> None:
    """Make x the axis of the strengths: that of M, or with a label at those that were tried."""
    values = np.sort(rows["value"].unique())
    if rows["kind"].iloc[0] == "num_tasks":
        style.diversity_axis(axes, DiversityScale.of(values), width=1.2, label="M meanwhile")
        return
    logarithmic = spans_a_decade(values)
    axes.set_xscale("log" if logarithmic else "linear")
    places = np.log(values) if logarithmic else values
    places = 0.08 + 0.84 * (places - places[0]) / (places[-1] - places[0])
    axes.xaxis.set_major_locator(FixedLocator(values[style.labels_that_fit(places, APART)]))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(lambda value, _: _short(value))
    axes.margins(x=0.08 / 0.84)
    axes.set_xlabel("strength (log scale)" if logarithmic else "strength")


def _short(value: float) -> str:
    """A strength, small powers of ten as such."""
    power = round(math.log10(value)) if value > 0 else 0
    is_power = power < -2 and math.isclose(value, 10.0**power)
    return f"$10^{{{power}}}$" if is_power else f"{value:g}"
