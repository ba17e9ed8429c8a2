"""Are the SGLD settings of the LLC sound? Plateau, step size, curvature, locality, orderings.

Drawn on demand (`make calibrate`) and no part of the report.
"""

import math
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

from transience.complexity.calibration.grid import CONFIGURED
from transience.complexity.calibration.ordering import RESOLVED
from transience.complexity.limits import MAX_LOSS_RISE, MAX_STIFFNESS
from transience.figures import style
from transience.figures.curves import Tables
from transience.figures.style import DiversityScale
from transience.problem.diversity import symbol

LIMIT: dict[str, Any] = {"color": "#c00000", "linewidth": 0.8, "linestyle": ":"}
FORMS: dict[str, dict[str, Any]] = {
    "centred_llc": {"linestyle": "-", "filled": True},
    "llc": {"linestyle": (0, (2.5, 1.2)), "filled": False},
}
SHAPES = {"half_step_size": "o", "fourfold_nbeta": "^"}
LABEL, MARGIN = 0.34, 1.35  # of an axis: width of a number, and factor beyond the last of them
SWEEPS = (  # column, settings that vary it, title, label
    ("nbeta", ["quarter_nbeta", CONFIGURED, "fourfold_nbeta"], "nβ at fixed h*", "nβ (1/label²)"),
    ("step_size", ["half_step_size", CONFIGURED], "ε", "step size ε (weight²)"),
    ("h_star", ["quarter_h", CONFIGURED, "fourfold_h"], "h*", "h* = γ/nβ (label²/weight²)"),
)


def llc_calibration(tables: Tables, _window: int) -> Figure:
    """LLC against nβ, ε and h* at the first and last checkpoint; then what limits the settings."""
    rows = tables["llc_calibration"].assign(h_star=lambda rows: rows["gamma"] / rows["nbeta"])
    scale = DiversityScale.of(rows["num_tasks"])
    steps = sorted({rows["step"].min(), rows["step"].max()})
    figure = Figure(figsize=(style.FULL_WIDTH, 1.9 * len(steps) + 2.4))
    grid = figure.subplots(len(steps) + 1, 3, squeeze=False)
    titles = [f"Step {step:,}: {title}" for step in steps for _, _, title, _ in SWEEPS]
    titles += ["Stiffest curvature", "Rise of the loss", "Differences between M"]
    for panels, step in zip(grid, steps, strict=False):
        for axes, (column, settings, _, label) in zip(panels, SWEEPS, strict=True):
            chosen = rows[(rows["step"] == step) & rows["setting"].isin(settings)]
            _draw_estimates(axes, chosen, column, scale)
            axes.set_xlabel(label)
        panels[0].set_ylabel(r"$\hat{λ}$ (dimensionless)")
    _draw_curvature(grid[-1, 0], tables["llc_curvature"], rows, scale)
    _draw_rise(grid[-1, 1], rows, scale)
    _draw_orders(grid[-1, 2], tables["llc_ordering"])
    for axes, letter, title in zip(grid.flat, "abcdefghi", titles, strict=False):
        style.panel_title(axes, letter, title)
    _draw_keys(figure, scale)
    return figure


def _draw_estimates(axes: Axes, rows: pd.DataFrame, column: str, scale: DiversityScale) -> None:
    """Mean over seeds and its error from chains, of both forms, for each M."""
    for form, look in FORMS.items():
        for num_tasks in scale.values:
            of_m = rows[rows["num_tasks"] == num_tasks]
            by_seed = of_m.groupby([column, "seed"])[form]
            variance = by_seed.var(ddof=1) / by_seed.size()
            mean = by_seed.mean().groupby(column).mean()
            error = np.sqrt(variance.groupby(column).sum()) / of_m["seed"].nunique()
            colour = scale.colour(num_tasks)
            axes.errorbar(
                mean.index, mean, error, color=colour, fmt="o", markersize=2.6,
                markerfacecolor=colour if look["filled"] else "white", markeredgewidth=0.7,
                linestyle=look["linestyle"], linewidth=0.9, elinewidth=0.7,
            )  # fmt: skip
    _value_axis(axes, sorted(rows[column].unique()))


def _value_axis(axes: Axes, values: list[float]) -> None:
    """Make x logarithmic with ticks at the values tried, if they are apart, and nowhere else."""
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(FixedLocator(_apart(values)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _number(value)))
    axes.set_xlim(values[0] / MARGIN, values[-1] * MARGIN)
    axes.yaxis.set_major_locator(MaxNLocator(5))


def _apart(values: list[float]) -> list[float]:
    """The least, the greatest and what has room between: an ε that was lowered stands anywhere."""
    first, last = values[0], values[-1]
    least, kept = (MARGIN**2 * last / first) ** LABEL, [first]
    for value in values[1:-1]:
        if min(value / kept[-1], last / value) >= least:
            kept.append(value)
    return kept if first == last else [*kept, last]


def _number(value: float) -> str:
    """`1,600`, or a power of ten where zeros would be many."""
    if 0.01 <= value < 1e6:
        return f"{value:,.3g}" if value < 1000 else f"{value:,.0f}"
    mantissa, exponent = f"{value:.1e}".split("e")
    return rf"${float(mantissa):g} \cdot 10^{{{int(exponent)}}}$"


def _draw_curvature(
    axes: Axes, curvature: pd.DataFrame, calibration: pd.DataFrame, scale: DiversityScale
) -> None:
    """Largest eigenvalues by step and M, a point a seed, and what the configured ε allows."""
    for num_tasks in scale.values:
        rows = curvature[curvature["num_tasks"] == num_tasks]
        look = {"color": scale.colour(num_tasks), "linewidth": 0.9}
        axes.plot(rows["step"], rows["remaining_curvature"], "o", **look, markersize=2.6)
        mean = rows.groupby("step")["remaining_curvature"].mean()
        axes.plot(mean.index, mean, **look)
    configured = calibration[calibration["setting"] == CONFIGURED].iloc[0]
    total = 4 * MAX_STIFFNESS / configured["step_size"] - configured["gamma"]
    axes.axhline(total / configured["nbeta"], **LIMIT)
    _value_axis(axes, sorted(curvature["step"].unique()))
    axes.set_xlabel("training step (log scale)")
    axes.set_ylabel("largest curvature left by the\npreconditioner (label²/weight²)")
    axes.set_ylim(bottom=0)


def _draw_rise(axes: Axes, calibration: pd.DataFrame, scale: DiversityScale) -> None:
    """Greatest over seeds and checkpoints, of the mean over chains."""
    rows = calibration[calibration["setting"].isin(SWEEPS[0][1])]
    rises = rows.groupby(["num_tasks", "nbeta", "seed", "step"])["loss_rise_fraction"].mean()
    greatest = 100 * rises.groupby(["num_tasks", "nbeta"]).max()
    for num_tasks in scale.values:
        of_m = greatest[num_tasks]
        axes.plot(
            of_m.index, of_m, "o-", color=scale.colour(num_tasks), markersize=2.6, linewidth=0.9
        )
    axes.axhline(100 * MAX_LOSS_RISE, **LIMIT)
    _value_axis(axes, sorted(rows["nbeta"].unique()))
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.set_xlabel(SWEEPS[0][3])
    axes.set_ylabel("greatest rise of the loss\n(% of its range)")


def _draw_orders(axes: Axes, ordering: pd.DataFrame) -> None:
    """Differences between two M in their errors, under two settings; off the diagonal: reversed."""
    limit = 2 * RESOLVED
    for form, look in FORMS.items():
        for setting, shape in SHAPES.items():
            rows = ordering[(ordering["estimate"] == form) & (ordering["setting"] == setting)]
            x = rows["configured_difference"] / rows["configured_error"]
            y = rows["difference"] / rows["error"]
            limit = np.nanmax([limit, *abs(x), *abs(y)])
            axes.plot(
                x, y, shape, color=style.TRAINED_COLOUR, markersize=3, markeredgewidth=0.6,
                markerfacecolor=style.TRAINED_COLOUR if look["filled"] else "none",
            )  # fmt: skip
    if ordering[["configured_difference", "difference"]].isna().any(axis=1).all():
        reason = "every difference is missing" if len(ordering) else "one M, nothing to order"
        style.nothing_to_show(axes, reason)
    limit *= 1.5
    for sign in (-1, 1):
        axes.fill_between([0, sign * limit], 0, -sign * limit, color="#c00000", alpha=0.08, lw=0)
    for set_scale in (axes.set_xscale, axes.set_yscale):
        set_scale("symlog", linthresh=RESOLVED)
    tick = 10.0 ** math.floor(math.log10(limit))
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(FixedLocator([-tick, 0, tick]))
        axis.set_minor_locator(FixedLocator([-10, -RESOLVED, RESOLVED, 10]))
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}".replace("-", "−")))
    axes.set(xlim=(-limit, limit), ylim=(-limit, limit))
    axes.set_xlabel("as configured (in errors)")
    axes.set_ylabel("at the other setting\n(in errors, log beyond ±2)")


def _draw_keys(figure: Figure, scale: DiversityScale) -> None:
    shown = scale.key_values()
    handles = [Line2D([], [], color=scale.colour(m), label=symbol(m)) for m in shown]
    figure.legend(handles=handles, title="M", loc="outside right upper")
    style.marker_key(
        figure,
        *(
            style.marker(
                "o", text, markersize=3, linestyle=FORMS[form]["linestyle"], linewidth=0.9,
                markerfacecolor="#444444" if FORMS[form]["filled"] else "white",
            )
            for form, text in (("centred_llc", "centred"), ("llc", "at the checkpoint"))
        ),
        Line2D([], [], label="limit", **LIMIT),
        style.marker("o", "ε/2", color=style.TRAINED_COLOUR, markersize=3),
        style.marker("^", "4 nβ", color=style.TRAINED_COLOUR, markersize=3.5),
        style.marker("s", "order reversed", color="#f6dcdc", markersize=6),
    )  # fmt: skip
