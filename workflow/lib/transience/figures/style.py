"""One style for all figures: sizes, the colour scale of M, the M axis, step axes.

Sizes are those of a page with columns of 3.3 inches and a full width of 7 inches; no text is
smaller than 7 points there. Black means ridge or M = inf, in every figure.
"""

import itertools
import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullFormatter

from transience.complexity.summary import LLC_IS_OFF
from transience.problem.diversity import symbol

FULL_WIDTH = 7.0  # inches
DMMSE_COLOUR = "#00806b"
RIDGE_COLOUR = "#000000"
TRAINED_COLOUR = "#7a1fa2"
MUTED = "#666666"
STYLE = {
    "font.family": "DejaVu Sans",
    "font.size": 7,
    "axes.titlesize": 8,
    "axes.titlelocation": "left",
    "axes.titlepad": 5,
    "axes.labelsize": 7,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e6e6e6",
    "grid.linewidth": 0.5,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.minor.width": 0.4,
    "ytick.minor.width": 0.4,
    "lines.linewidth": 1.2,
    "lines.solid_capstyle": "round",
    "legend.fontsize": 7,
    "legend.title_fontsize": 7,
    "legend.frameon": False,
    "legend.handlelength": 1.6,
    "legend.borderaxespad": 0.3,
    "figure.constrained_layout.use": True,
    "pdf.fonttype": 42,  # text stays text
}
SPREAD = 1.2  # of colours over M: the larger, the more of them are about the middle, M = 16
USUAL = 6  # doublings of M from 1 to 64; in a sweep that goes further colours do too
TOLD_APART = 0.55  # of all colours, over the number of M: between neighbours beyond M = 64
INFINITE_GAP = 1.5  # doublings of M between the largest finite M and the tick of M = inf
CHARACTER = 0.062  # inches: width of a digit at 7 points, with some air
LINE = 24  # characters that fit a narrow panel
NO_FINITE = "no finite M in this sweep"
MAX_KEY_ENTRIES = 12
BELOW = "key below all panels"
DECADES = 9  # of steps, with a label each: there are at most six
APART = 0.055  # of the height of a panel: lines of text that don't touch, if it is 2 inches high
MAX_SEEDS_APART = 5  # more seeds than that are shown as a band


@dataclass(frozen=True)
class DiversityScale:
    """Colours, line styles and axis positions of the task diversities of one sweep."""

    values: tuple[float, ...]  # ascending, inf last

    @classmethod
    def of(cls, num_tasks: Sequence[float]) -> "DiversityScale":
        """Scale of the distinct values of a column."""
        return cls(tuple(sorted({float(value) for value in num_tasks})))

    @cached_property
    def finite(self) -> tuple[float, ...]:
        """The finite values."""
        return tuple(value for value in self.values if math.isfinite(value))

    @cached_property
    def infinite(self) -> tuple[float, ...]:
        """The value inf, if there is one."""
        return self.values[len(self.finite) :]

    def colour(self, num_tasks: float) -> Any:
        """Sequential, safe for colour-blind readers; M = inf is black.

        Logistic in log M about 16, and a little linear: half of all colours are between 4 and 64,
        where log M alone would leave neighbours like 12 and 16 alike. The same in every sweep of M
        up to 64; one of larger M spreads them as much wider, about a middle as much higher, and
        neighbours that would be alike all the same, as 256 and 362 by themselves, move apart.
        """
        if math.isinf(num_tasks):
            return RIDGE_COLOUR
        fraction = self._moved_apart.get(num_tasks, self._fraction(num_tasks))
        return matplotlib.colormaps["plasma"](0.86 * fraction)

    @cached_property
    def _further(self) -> float:
        """Doublings of M by which the sweep goes beyond 64."""
        return max(0.0, math.log2(max(self.finite, default=1.0)) - USUAL)

    @cached_property
    def _moved_apart(self) -> dict[float, float]:
        """Places of M in the sequence of colours, from 0 to 1, in a sweep that goes beyond 64."""
        if not self._further:
            return {}
        wanted = [self._fraction(value) for value in self.finite]
        return dict(zip(self.finite, apart(wanted, TOLD_APART / len(wanted)), strict=True))

    def _fraction(self, num_tasks: float) -> float:
        doublings = math.log2(max(1.0, num_tasks))
        spread, middle = SPREAD * USUAL / (USUAL + self._further), 4 + self._further / 2
        logistic = 1 / (1 + 2 ** (spread * (middle - doublings)))
        return 0.87 * logistic + 0.13 * min(1.0, doublings / 16)

    def line(self, num_tasks: float) -> dict[str, Any]:
        """Arguments of a curve; that of M = inf is dashed and on top."""
        if math.isinf(num_tasks):
            return {"color": RIDGE_COLOUR, "linestyle": (0, (3.5, 1.2)), "zorder": 3}
        return {"color": self.colour(num_tasks), "zorder": 2}

    def position(self, num_tasks: float) -> float:
        """Where M stands on the axis: log2 M, and M = inf behind a gap."""
        if math.isfinite(num_tasks):
            return math.log2(num_tasks)
        return math.log2(self.finite[-1]) + INFINITE_GAP if self.finite else 0.0

    def positions(self, num_tasks: Sequence[float]) -> np.ndarray:
        """Positions of many M."""
        return np.array([self.position(value) for value in num_tasks])

    def key_values(self, most: int = MAX_KEY_ENTRIES) -> tuple[float, ...]:
        """Values for a key of bounded length: all, or those at powers of a base, and inf."""
        every = max(1, math.ceil(len(self.finite) / (most - 1)))
        chosen = [*self._thinned(), self.finite[::every] + self.infinite]
        return next(values for values in chosen if len(values) <= most)

    def axis_values(self, width: float) -> tuple[float, ...]:
        """Values whose labels fit side by side on an axis of that width in inches."""
        span = self.position(self.values[-1]) - self.position(self.values[0]) + 1
        for values in self._thinned():
            if self._fit(values, width / span):
                return values
        kept = self.values[:1]
        for value in self.finite[1:]:
            if self._fit((*kept, value, *self.infinite), width / span):
                kept = (*kept, value)
        return kept + self.infinite

    def _thinned(self) -> list[tuple[float, ...]]:
        powers = [
            tuple(v for v in self.finite if (math.log2(v) / exponent).is_integer())
            for exponent in (1, 2, 3, 4, 6, 8)
        ]
        return [self.values, *(some + self.infinite for some in powers if len(some) >= 4)]

    def _fit(self, values: tuple[float, ...], inches: float) -> bool:
        pairs = itertools.pairwise(values)
        return all(
            (self.position(b) - self.position(a)) * inches
            >= CHARACTER * ((len(symbol(a)) + len(symbol(b))) / 2 + 0.6)
            for a, b in pairs
        )


def diversity_axis(
    axes: Axes, scale: DiversityScale, *, width: float, label: str = "task diversity M"
) -> None:
    """Make x the M axis: log-spaced, M = inf a tick of its own behind a dotted line."""
    ticks = scale.axis_values(width)
    axes.xaxis.set_major_locator(FixedLocator(scale.positions(ticks).tolist()))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda _, i: symbol(ticks[i or 0])))
    axes.xaxis.set_minor_locator(FixedLocator(scale.positions(scale.values).tolist()))
    axes.set_xlim(scale.position(scale.values[0]) - 0.5, scale.position(scale.values[-1]) + 0.5)
    axes.grid(False, axis="x")
    if scale.finite and len(scale.finite) < len(scale.values):
        boundary = scale.position(math.inf) - INFINITE_GAP / 2
        axes.axvline(boundary, color="#999999", linewidth=0.6, linestyle=":", zorder=0)
    axes.set_xlabel(label)


def first_step_shown(last_step: int) -> float:
    """Power of ten at or below a thousandth of training: before it, nothing has been learnt."""
    return max(1.0, 10.0 ** math.floor(math.log10(max(last_step, 1) / 1000)))


def step_axis(axes: Axes, last_step: int) -> None:
    """Make x the axis of training steps, logarithmic."""
    axes.set_xscale("log")
    axes.set_xlim(first_step_shown(last_step), last_step * 1.08)
    axes.xaxis.set_major_locator(LogLocator(numticks=DECADES))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel("training step (log scale)")


def plain_log_axis(axes: Axes, which: str = "y") -> None:
    """Make x or y logarithmic with plain numbers, ticks at 1, 2 and 5 where they are few."""
    axes.set(**{f"{which}scale": "log"})
    axis = {"x": axes.xaxis, "y": axes.yaxis}[which]
    low, high = axis.get_view_interval()
    subs = (1.0, 2.0, 5.0) if high / low < 300 else (1.0,)
    axis.set_major_locator(LogLocator(subs=subs))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


def labels_that_fit(places: Sequence[float], least: float) -> list[int]:
    """Numbers of places, ascending, that stand at least so far from the one labelled before."""
    shown: list[int] = []
    for number, place in enumerate(places):
        if not shown or place - places[shown[-1]] >= least:
            shown.append(number)
    return shown


def diversity_key(figure: Figure, scale: DiversityScale) -> Legend | None:
    """Key of the colours of M, to the right of all panels; none for a scale without values."""
    if not scale.values:
        return None
    shown = scale.key_values()
    handles = [Line2D([], [], label=symbol(value), **scale.line(value)) for value in shown]
    title = "M" if len(shown) == len(scale.values) else "M (selected)"
    return figure.legend(handles=handles, title=title, loc="outside right upper")


def end_labels(axes: Axes, ends: dict[float, float], scale: DiversityScale) -> None:
    """Name M at the right of a panel where its curve ends (y by M), apart; none if they are many.

    A line leads to names that had to move. Limits and scale of y must be as they stay.
    """
    if len(ends) * APART > 1:
        return
    to_fraction = axes.transScale + axes.transLimits
    x = axes.get_xlim()[1]
    wanted = {m: to_fraction.transform((x, y))[1] for m, y in ends.items()}
    ordered = sorted(wanted, key=wanted.__getitem__)
    places = dict(zip(ordered, apart([wanted[m] for m in ordered], APART), strict=True))
    moved = any(abs(places[m] - wanted[m]) > APART / 2 for m in ordered)
    x_of_names = 1.06 if moved else 1.01
    for m, place in places.items():
        line = {"arrowstyle": "-", "linewidth": 0.5, "color": scale.colour(m), "shrinkB": 0}
        axes.annotate(
            symbol(m), (1, wanted[m]), xycoords="axes fraction", xytext=(x_of_names, place),
            textcoords="axes fraction", va="center", color=scale.colour(m), annotation_clip=False,
            arrowprops=line | {"shrinkA": 0, "relpos": (0, 0.5)} if moved else None,
        )  # fmt: skip


def apart(wanted: Sequence[float], least: float) -> list[float]:
    """Places in [0, 1], ascending as wanted, at least so far from each other and near to wanted.

    Neighbours that are too near share a block, centred on the mean of what they want.
    """
    blocks: list[list[float]] = []
    for value in wanted:
        blocks.append([value])
        while len(blocks) > 1 and _low(blocks[-1], least) < _high(blocks[-2], least) + least:
            blocks[-2:] = [blocks[-2] + blocks[-1]]
    return [_low(block, least) + i * least for block in blocks for i in range(len(block))]


def _low(block: Sequence[float], least: float) -> float:
    """Where a block begins: as its mean wants it, within [0, 1]."""
    length = (len(block) - 1) * least
    return min(max(sum(block) / len(block) - length / 2, 0.0), 1.0 - length)


def _high(block: Sequence[float], least: float) -> float:
    return _low(block, least) + (len(block) - 1) * least


def marker_key(figure: Figure, *handles: Line2D) -> Legend:
    """Key of markers and reference lines, below all panels; see `fit_keys`."""
    return _below(figure, handles, [str(one.get_label()) for one in handles], len(handles))


def fit_keys(figure: Figure) -> None:
    """Give keys below the panels as many rows as their texts need, once these are as they stay."""
    for key in [one for one in figure.legends if one.get_gid() == BELOW]:
        handles, labels = key.legend_handles, [text.get_text() for text in key.get_texts()]
        rows = 1
        while key.get_window_extent().width > figure.bbox.width and rows < len(handles):
            rows += 1
            key.remove()
            key = _below(figure, handles, labels, math.ceil(len(handles) / rows))


def _below(figure: Figure, handles: Sequence[Any], labels: Sequence[str], columns: int) -> Legend:
    place = {"loc": "outside lower center", "ncols": columns}
    key = figure.legend(handles=handles, labels=labels, **place)
    key.set_gid(BELOW)
    return key


def marker(shape: str, label: str, **overrides: Any) -> Line2D:
    """Entry of a key for a marker."""
    look = {"color": "#444444", "markersize": 4.5, "linestyle": "none"} | overrides
    return Line2D([], [], marker=shape, label=label, **look)


def nothing_to_show(axes: Axes, reason: str) -> None:
    """Say in the middle of an empty panel why it is empty: `no finite M in this sweep`."""
    lines = textwrap.fill(reason, LINE)
    axes.text(
        0.5, 0.5, lines, transform=axes.transAxes, ha="center", va="center", color=MUTED,
        backgroundcolor="white",
    )  # fmt: skip


def blank(reason: str) -> Figure:
    """A low figure that says why there is nothing in it."""
    figure = Figure(figsize=(FULL_WIDTH, 1.2))
    axes = figure.subplots()
    axes.set_axis_off()
    nothing_to_show(axes, reason)
    return figure


def no_llc(llc: pd.DataFrame) -> str:
    """Why a panel of LLCs is empty, from the table of estimates that it would show."""
    return LLC_IS_OFF if llc.empty else "every estimate is missing: chains diverged"


def panel_title(axes: Axes, letter: str, text: str) -> None:
    """Title of a panel, with its letter in bold."""
    axes.set_title(rf"$\bf{{{letter}}}$  {text}")
