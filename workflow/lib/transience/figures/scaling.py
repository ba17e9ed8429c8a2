"""How M_1/2 and the times go with one setting each, and what that foretells (ours)."""

import math

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from transience.figures import style
from transience.figures.curves import Tables

COLUMNS, MOST_KNOBS = 4, 8
HEIGHT, AROUND = 1.75, 0.4  # inches of a row of panels, and of the key
ROOM = 1.25  # by this factor a panel goes beyond its points
APART = 0.12  # of the width of a panel between labels
MOST = 1e9  # ends of intervals beyond stand at the edge
NOTHING = "no variant changes numbers by one factor alone"
TOO_FEW = "too few points to fit"
WORDS = {
    "model.width": "width",
    "model.num_layers": "blocks",
    "task.task_dimension": "D",
    "task.num_examples": "K (examples)",
    "task.noise_variance": "σ² (noise)",
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
LOOKS = ("o", "s", "^", "D", "v")  # of seeds


def scaling(tables: Tables, window: int) -> Figure:
    """M_1/2 against each knob with the law fitted, exponents, and their product at the paper."""
    points, fitted = tables["scaling_points"], tables["scaling"]
    thresholds = points[(points["quantity"] == "threshold") & (points["knob"] != "other")]
    knobs = [*dict.fromkeys(thresholds.loc[thresholds["knob"] != "", "knob"])][:MOST_KNOBS]
    if not knobs or fitted.empty:
        return style.blank(NOTHING)
    rows = math.ceil(len(knobs) / COLUMNS)
    figure = Figure(figsize=(style.FULL_WIDTH, AROUND + HEIGHT * (rows + 1)))
    grid = figure.subplots(rows + 1, COLUMNS, squeeze=False)
    above, below = grid[:-1].ravel(), grid[-1]
    for place, (axes, knob) in enumerate(zip(above, knobs, strict=False)):
        _draw_knob(axes, thresholds, fitted, knob)
        style.panel_title(axes, "abcdefgh"[place], WORDS.get(knob, _short(knob)))
        axes.sharey(above[0])
        axes.set_ylabel("$M_{1/2}$" if place % COLUMNS == 0 else "")
    for axes in above[len(knobs) :]:
        axes.set_axis_off()
    style.plain_log_axis(above[0])
    order = [*knobs, *(one for one in fitted["knob"].unique() if one not in knobs)]
    for place, (quantity, title) in enumerate(QUANTITIES.items()):
        _draw_exponents(below[place], fitted[fitted["quantity"] == quantity], order)
        style.panel_title(below[place], "ijk"[place], title)
        below[place].tick_params(labelleft=place == 0)
    _draw_paper(below[3], tables, thresholds, order)
    style.panel_title(below[3], "l", "$M_{1/2}$ at the paper's size")
    style.marker_key(figure, *_key(thresholds))
    return figure


def _short(knob: str) -> str:
    return knob.rpartition(".")[2].replace("_", " ")


def _key(thresholds: pd.DataFrame) -> list:
    seeds = sorted(thresholds["seed"].unique())
    handles = [
        style.marker(LOOKS[place % len(LOOKS)], f"seed {seed}", color=style.TRAINED_COLOUR)
        for place, seed in enumerate(seeds)
    ]
    if thresholds["value"].isna().any():
        handles.append(style.marker("^", "beyond all M", color=style.MUTED, fillstyle="none"))
    law = style.marker("", "power law of all panels", color="black", linestyle="--", linewidth=0.9)
    return [*handles, law]


def _draw_knob(axes: Axes, thresholds: pd.DataFrame, fitted: pd.DataFrame, knob: str) -> None:
    """Panel: M_1/2 of each value of one knob, the main variant's among them, and the law."""
    own = thresholds[thresholds["knob"].isin([knob, ""])].copy()
    law = fitted[(fitted["knob"] == knob) & (fitted["quantity"] == "threshold")]
    start = _main_value(fitted, own, knob)
    own["knob_value"] = own["knob_value"].where(own["knob"] == knob, start)
    for place, (_, rows) in enumerate(own.groupby("seed")):
        shape, known = LOOKS[place % len(LOOKS)], rows.dropna(subset=["value"])
        axes.plot(known["knob_value"], known["value"], shape, color=style.TRAINED_COLOUR,
                  markersize=3.5, zorder=3)  # fmt: skip
        for row in rows[rows["value"].isna()].itertuples():
            _draw_bound(axes, row)
    values = np.unique(own["knob_value"])
    main = own[(own["knob"] == "") & own["value"].notna()]["value"]
    if len(law) and len(main):
        line = np.exp(np.log(main).mean()) * (values / start) ** law["exponent"].iloc[0]
        axes.plot(values, line, "--", color="black", linewidth=0.9, zorder=2)
    axes.axvline(start, color="#bbbbbb", linewidth=0.6, zorder=1)
    _value_axis(axes, values)


def _main_value(fitted: pd.DataFrame, own: pd.DataFrame, knob: str) -> float:
    """The main variant's value of a knob, from the fit; T is where its runs end."""
    known = fitted.loc[fitted["knob"] == knob, "main_value"].dropna()
    return float(known.iloc[0]) if len(known) else math.nan


def _draw_bound(axes: Axes, row: tuple) -> None:
    """An arrow from the bound that is known: M_1/2 lies beyond all M of the variant."""
    beyond = math.isinf(row.high)
    axes.plot(row.knob_value, row.low if beyond else row.high, "^" if beyond else "v",
              color=style.MUTED, markersize=4, fillstyle="none", zorder=3)  # fmt: skip


def _value_axis(axes: Axes, values: np.ndarray) -> None:
    """Make x logarithmic with a label at values that were tried, as far as they fit."""
    axes.set_xscale("log")
    axes.set_xlim(values[0] / ROOM, values[-1] * ROOM)
    places = np.log(values / values[0]) / max(np.log(values[-1] / values[0]), 1e-9)
    shown: list[int] = []
    for number, place in enumerate(places):
        if not shown or place - places[shown[-1]] >= APART:
            shown.append(number)
    axes.xaxis.set_major_locator(FixedLocator(values[shown]))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def _draw_exponents(axes: Axes, fitted: pd.DataFrame, order: list[str]) -> None:
    """Panel: exponent of each knob with its interval; a row for each knob."""
    axes.axvline(0, color="black", linewidth=0.6, zorder=1)
    if fitted.empty:
        style.nothing_to_show(axes, TOO_FEW)
    for row in fitted.itertuples():
        _draw_interval(axes, order.index(row.knob), (row.exponent, row.low, row.high))
    _rows(axes, order)
    axes.set_xlabel("exponent")


def _draw_interval(axes: Axes, place: int, values: tuple[float, float, float], **look) -> None:
    middle, low, high = values
    look = {"color": style.TRAINED_COLOUR} | look
    if math.isfinite(low) and math.isfinite(high):
        axes.plot([low, high], [place, place], linewidth=1.0, zorder=2, **look)
    axes.plot(middle, place, "o", markersize=3.5, zorder=3, **look)


def _rows(axes: Axes, order: list[str]) -> None:
    """Names of knobs at the left, the first above."""
    axes.set_yticks(range(len(order)), [WORDS.get(knob, _short(knob)) for knob in order])
    axes.set_ylim(len(order) - 0.4, -0.6)
    axes.grid(False, axis="y")


def _draw_paper(axes: Axes, tables: Tables, thresholds: pd.DataFrame, order: list[str]) -> None:
    """Panel: the factor by which each knob's law takes M_1/2 to the paper, and all together."""
    foretold = tables["extrapolation"].query("quantity == 'threshold'")
    main = thresholds[(thresholds["knob"] == "") & thresholds["value"].notna()]["value"]
    if foretold.empty or main.empty:
        axes.set_axis_off()
        style.nothing_to_show(axes, "the paper differs in what no variant changes")
        return
    start, fitted = np.exp(np.log(main).mean()), tables["scaling"]
    rows = fitted[(fitted["quantity"] == "threshold") & fitted["paper_value"].notna()]
    for row in rows.itertuples():
        ratio = row.paper_value / row.main_value
        factors = tuple(ratio ** np.array([row.exponent, row.low, row.high]))
        _draw_interval(axes, order.index(row.knob), factors)
    (found,) = foretold[["value", "low", "high"]].to_numpy(float)
    together = [one for one in order if one != "num_tasks"]
    _draw_interval(axes, len(together), tuple(found / start), color="black")
    axes.axvline(1, color="black", linewidth=0.6, zorder=1)
    _rows(axes, [*together, f"all: {found[0]:,.0f}"])
    axes.yaxis.tick_right()
    style.plain_log_axis(axes, "x")
    axes.set_xlabel(f"factor on {start:.0f}")
