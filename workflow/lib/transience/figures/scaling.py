"""How M_1/2 and the times go with one setting each, and what that foretells (ours)."""

import math

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

from transience.figures import style
from transience.figures.curves import Tables

COLUMNS, MOST_KNOBS = 4, 8
HEIGHT, AROUND = 1.75, 0.4  # inches of a row of panels, and of the key
ROOM = 1.25  # by this factor a panel goes beyond its points
APART = 0.12  # of the width of a panel between labels
NOTHING = "nothing to fit: no variant changes one setting alone, or too few points are known"
FEW_TICKS = 5  # a logarithmic axis of less than this factor has ticks as a linear one has
LAW = "one power law of all settings (of T: the mean slope)"
TOO_FEW = "too few points to fit"
NO_PAPER = "nothing is foretold of the paper"
WORDS = {
    "task.task_dimension": "D",
    "task.num_examples": "K (examples)",
    "task.noise_variance": "σ² (noise)",
    "model.width+model.mlp_width": "width",
    "model.num_layers": "blocks",
    "training.batch_size": "batch",
    "training.learning_rate": "learning rate",
    "training.num_steps": "T (steps)",
    "num_tasks": "M",
}
QUANTITIES = {
    "threshold": "$M_{1/2}$ at the end",
    "t_crit": "$t_{crit}$ in steps",
    "departure": "Departure in steps",
}
LOOKS = ("o", "s", "D", "P", "X")  # of seeds
BEYOND = {"color": style.MUTED, "fillstyle": "none"}


def scaling(tables: Tables, window: int) -> Figure:
    """M_1/2 against each knob with the law fitted, exponents, and their product at the paper."""
    points, fitted = tables["scaling_points"], tables["scaling"]
    thresholds = points[(points["quantity"] == "threshold") & (points["knob"] != "other")]
    knobs = _knobs(thresholds)
    if not knobs or fitted.empty:
        return style.blank(NOTHING)
    rows = math.ceil(len(knobs) / COLUMNS)
    figure = Figure(figsize=(style.FULL_WIDTH, AROUND + HEIGHT * (rows + 1)))
    grid = figure.subplots(rows + 1, COLUMNS, squeeze=False)
    above, below, letters = grid[:-1].ravel(), grid[-1], iter("abcdefghijkl")
    for place, (axes, knob) in enumerate(zip(above, knobs, strict=False)):
        _draw_knob(axes, thresholds, fitted, knob)
        style.panel_title(axes, next(letters), _in_words(knob))
        axes.sharey(above[0])
        axes.set_ylabel("$M_{1/2}$" if place % COLUMNS == 0 else "")
    for axes in above[len(knobs) :]:
        axes.set_axis_off()
    style.plain_log_axis(above[0])
    low, high = above[0].get_ylim()
    if high / low < FEW_TICKS:
        above[0].yaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))
        above[0].yaxis.set_minor_locator(NullLocator())
    order = [*knobs, *(one for one in fitted["knob"].unique() if one == "num_tasks")]
    for place, (quantity, title) in enumerate(QUANTITIES.items()):
        _draw_exponents(below[place], fitted[fitted["quantity"] == quantity], order)
        style.panel_title(below[place], next(letters), title)
        below[place].tick_params(labelleft=place == 0)
    _draw_paper(below[3], tables, knobs)
    style.panel_title(below[3], next(letters), "$M_{1/2}$, to the paper")
    style.marker_key(figure, *_key(thresholds))
    return figure


def _knobs(thresholds: pd.DataFrame) -> list[str]:
    """Those of the paper first; T where the course of some training tells of it."""
    there = {*thresholds["knob"]} - {""}
    course = thresholds[thresholds["knob"].isin(["", "training.num_steps"])]
    if course["step"].nunique() > 1:
        there.add("training.num_steps")
    named = [knob for knob in WORDS if knob in there]
    return [*named, *sorted(there - {*named})][:MOST_KNOBS]


def _in_words(knob: str) -> str:
    return WORDS.get(knob, knob.rpartition(".")[2].replace("_", " "))


def _looks(thresholds: pd.DataFrame) -> dict[int, str]:
    """Markers of seeds."""
    seeds = sorted(thresholds["seed"].unique())
    return {seed: LOOKS[place % len(LOOKS)] for place, seed in enumerate(seeds)}


def _key(thresholds: pd.DataFrame) -> list:
    handles = [
        style.marker(shape, f"seed {seed}", color=style.TRAINED_COLOUR)
        for seed, shape in _looks(thresholds).items()
    ]
    of_main = thresholds["knob"].isin(["", "training.num_steps"])
    unknown = thresholds[thresholds["value"].isna() & (of_main | thresholds["share"].eq(1.0))]
    if np.isinf(unknown["high"]).any():
        handles.append(style.marker("^", "above all M", **BEYOND))
    if np.isfinite(unknown["high"]).any():
        handles.append(style.marker("v", "below all M", **BEYOND))
    law = style.marker("", LAW, color="black", linestyle="--", linewidth=0.9)
    return [*handles, law]


def _draw_knob(axes: Axes, thresholds: pd.DataFrame, fitted: pd.DataFrame, knob: str) -> None:
    """Panel: M_1/2 of each value of one knob, the main variant's among them, and the law."""
    own, start = _of_knob(thresholds, knob)
    for seed, shape in _looks(thresholds).items():
        rows = own[own["seed"] == seed]
        known = rows.dropna(subset=["value"])
        axes.plot(known["at"], known["value"], shape, color=style.TRAINED_COLOUR, markersize=3.5,
                  zorder=3)  # fmt: skip
        for row in rows[rows["value"].isna()].itertuples():
            above = math.isinf(row.high)
            axes.plot(row.at, max(1.0, row.low if above else row.high), "^" if above else "v",
                      markersize=4, zorder=3, **BEYOND)  # fmt: skip
    values = np.unique(own["at"])
    law = fitted[(fitted["knob"] == knob) & (fitted["quantity"] == "threshold")]
    if len(law) and np.isfinite(law["main_quantity"].iloc[0]):
        line = law["main_quantity"].iloc[0] * (values / start) ** law["exponent"].iloc[0]
        axes.plot(values, line, "--", color="black", linewidth=0.9, zorder=2)
    axes.axvline(start, color="#bbbbbb", linewidth=0.6, zorder=1)
    _value_axis(axes, values)


def _of_knob(thresholds: pd.DataFrame, knob: str) -> tuple[pd.DataFrame, float]:
    """Rows of a knob with its value in column `at`, and the main variant's value."""
    main = thresholds[thresholds["knob"] == ""]
    if knob == "training.num_steps":
        longer = thresholds[thresholds["knob"] == knob]
        own = pd.concat([main, longer])
        start = main["step"].max() if len(main) else longer["main_value"].iloc[0]
        return own.assign(at=own["step"].astype(float)), float(start)
    turned = thresholds[(thresholds["knob"] == knob) & (thresholds["share"] == 1.0)]
    start = float(turned["main_value"].iloc[0])
    at_start = main[main["share"] == 1.0].assign(knob_value=start)
    own = pd.concat([at_start, turned])
    return own.assign(at=own["knob_value"]), start


def _value_axis(axes: Axes, values: np.ndarray) -> None:
    """Make x logarithmic with a label at values that were tried, as far as they fit."""
    axes.set_xscale("log")
    axes.set_xlim(values[0] / ROOM, values[-1] * ROOM)
    places = np.log(values / values[0]) / max(np.log(values[-1] / values[0]), 1e-9)
    axes.xaxis.set_major_locator(FixedLocator(values[style.labels_that_fit(places, APART)]))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def _draw_exponents(axes: Axes, fitted: pd.DataFrame, order: list[str]) -> None:
    """Panel: exponent of each knob with its interval; a row for each knob."""
    axes.axvline(0, color="black", linewidth=0.6, zorder=1)
    fitted = fitted[fitted["knob"].isin(order)]
    if fitted.empty:
        style.nothing_to_show(axes, TOO_FEW)
    for row in fitted.itertuples():
        _draw_interval(axes, order.index(row.knob), (row.exponent, row.low, row.high))
    _rows(axes, [_in_words(knob) for knob in order])
    axes.set_xlabel("exponent")


def _draw_interval(axes: Axes, place: int, values: tuple[float, float, float], **look) -> None:
    middle, low, high = values
    look = {"color": style.TRAINED_COLOUR} | look
    if math.isfinite(low) and math.isfinite(high):
        axes.plot([low, high], [place, place], linewidth=1.0, zorder=2, **look)
    axes.plot(middle, place, "o", markersize=3.5, zorder=3, **look)


def _rows(axes: Axes, names: list[str]) -> None:
    """Names of rows, the first above."""
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.grid(False, axis="y")


def _draw_paper(axes: Axes, tables: Tables, knobs: list[str]) -> None:
    """Panel: the factor by which each knob's law takes M_1/2 to the paper, and all together."""
    foretold = tables["extrapolation"].query("quantity == 'threshold'")
    if foretold.empty:
        axes.set_axis_off()
        style.nothing_to_show(axes, NO_PAPER)
        return
    fitted = tables["scaling"].query("quantity == 'threshold'")
    start, fitted = fitted["main_quantity"].iloc[0], fitted.dropna(subset=["paper_value"])
    for row in fitted[fitted["knob"].isin(knobs)].itertuples():
        ratio = row.paper_value / row.main_value
        factors = tuple(ratio ** np.array([row.exponent, row.low, row.high]))
        _draw_interval(axes, knobs.index(row.knob), factors)
    (found,) = foretold[["value", "low", "high"]].to_numpy(float)
    _draw_interval(axes, len(knobs), tuple(found / start), color="black")
    axes.axvline(1, color="black", linewidth=0.6, zorder=1)
    _rows(axes, [*map(_in_words, knobs), f"all: {found[0]:,.0f}"])
    axes.yaxis.tick_right()
    style.plain_log_axis(axes, "x")
    axes.set_xlabel(f"factor on {start:.0f}")
