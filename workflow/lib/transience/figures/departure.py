"""When runs leave ridge, and when the trade-off of loss and complexity says they should (eq. 8)."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from transience.departure.observed import HALFWAY
from transience.figures import style
from transience.figures.curves import Tables
from transience.figures.distances import draw_relative_distance
from transience.figures.outcomes import SHAPES, draw_run, outcome_markers
from transience.figures.style import DiversityScale

ESTIMATE = "centred_llc"
AT_ONCE = 1.0  # sequences: where n* = 0 is drawn on an axis that has no 0,
BAND = 4.0  # in a band of this factor to both sides, the M one above the other
ORDERINGS = {
    "crossover": "$n^*$ of eq. 8",
    "ratio": "Δλ / −Δℓ",
    "llc_difference": "Δλ alone",
    "loss_gap": "Δℓ alone",
    "num_tasks": "M alone",
}
FORMS = {ESTIMATE: ("o", style.TRAINED_COLOUR), "llc": ("^", style.MUTED)}


def departure(tables: Tables, window: int) -> Figure:
    """Relative distance over training, n* against the observed departure, rank correlations."""
    runs = tables["free_energy"].query("estimate == @ESTIMATE and num_tasks < inf")
    scale = DiversityScale(DiversityScale.of(tables["evaluation"]["num_tasks"]).finite)
    figure = Figure(figsize=(style.FULL_WIDTH, 5.4))
    panels = figure.subplot_mosaic("AA;BC", height_ratios=(1, 1.15))
    draw_relative_distance(panels["A"], tables["evaluation"], scale, window=window)
    _draw_departures(panels["A"], runs, scale)
    _draw_prediction(panels["B"], runs, scale, off=tables["llc"].empty)
    _draw_correlations(panels["C"], tables["free_energy_agreement"])
    style.panel_title(panels["A"], "a", "Relative distance on $q_M$, and departure from ridge")
    style.panel_title(panels["B"], "b", "Predicted crossover against departure")
    style.panel_title(panels["C"], "c", "Order of departures: rank correlation")
    style.diversity_key(figure, scale)
    style.marker_key(
        figure,
        *outcome_markers(),
        style.marker("o", r"$\hat{λ}$ centred", color=style.TRAINED_COLOUR),
        style.marker("^", "paper's form", color=style.MUTED),
    )
    return figure


def _draw_departures(axes: Axes, runs: pd.DataFrame, scale: DiversityScale) -> None:
    """A circle at the step from which on a run stays below a half."""
    left = runs[runs["outcome"] == "left"]
    axes.scatter(
        left["departure_step"], np.full(len(left), HALFWAY), s=16, zorder=4, linewidths=0.9,
        facecolors="white", edgecolors=[scale.colour(m) for m in left["num_tasks"]],
    )  # fmt: skip


def _draw_prediction(axes: Axes, runs: pd.DataFrame, scale: DiversityScale, *, off: bool) -> None:
    """Both in sequences; n* = 0 stands in the band at the foot, a missing one is counted."""
    shown = np.isfinite(runs["predicted_samples"]) & runs["outcome"].isin(SHAPES)
    there = runs[shown]
    for row in there.itertuples():
        place = (scale.finite.index(row.num_tasks) + 0.5) / len(scale.finite)
        at_once = AT_ONCE * BAND ** (1.6 * place - 0.8)
        ends = (row.predicted_low, row.predicted_samples, row.predicted_high)
        predicted = tuple(_shown(value, at_once) for value in ends)
        draw_run(axes, row, predicted, scale.colour(row.num_tasks))
    ends = there[["observed_low", "observed_high", "predicted_high", "predicted_samples"]]
    ends = ends.to_numpy(float)
    ends = ends[np.isfinite(ends) & (ends > 0)]
    low, high = (ends.min(), ends.max()) if len(ends) else (10.0, 1000.0)
    axes.set_xlim(low / 3, high * 3)  # before the scale, which would look for some above 0
    axes.set_xscale("log")
    _axis_of_predictions(axes, high * 3)
    whole = [low / 3, high * 3]
    axes.plot(whole, whole, color=style.MUTED, linewidth=0.8, linestyle=(0, (3, 2)), zorder=1)
    if runs.empty:
        style.nothing_to_show(axes, style.NO_FINITE)
    elif off:
        style.nothing_to_show(axes, style.LLC_IS_OFF)
    else:
        _say_what_is_missing(axes, there, len(runs) - len(there))
    axes.set_xlabel("observed departure (sequences seen)")
    axes.set_ylabel("predicted $n^*$ (sequences)")


def _say_what_is_missing(axes: Axes, there: pd.DataFrame, missing: int) -> None:
    """Above the band: that it is one, or, where it holds all runs, what that means."""
    if len(there) and (there["predicted_samples"] == 0).all():
        runs = "the run" if len(there) == 1 else f"any of {len(there)} runs"
        note = (
            f"Equation 8 predicts no crossover\nfor {runs}: it prefers\ndMMSE$_M$ from the start."
        )
    else:
        note = "in the band: no crossover,\ndMMSE$_M$ preferred from the start"
    note += f"\nNot shown (no $n^*$ or no departure): {missing}" * bool(missing)
    axes.text(0.03, 0.98, note, transform=axes.transAxes, va="top", color=style.MUTED)


def _axis_of_predictions(axes: Axes, high: float) -> None:
    """Logarithmic, with n* = 0 in a band at the foot."""
    axes.set_ylim(AT_ONCE / BAND, high)
    axes.set_yscale("log")
    axes.axhspan(AT_ONCE / BAND, AT_ONCE * BAND, color="#f2eef5", zorder=0, linewidth=0)
    powers = range(1, int(np.log10(high)) + 1)
    labels = [f"$\\mathdefault{{10^{{{power}}}}}$" for power in powers]
    axes.set_yticks([AT_ONCE, *(10.0**power for power in powers)], ["0", *labels])
    axes.yaxis.set_minor_locator(NullLocator())


def _shown(value: float, at_once: float) -> float:
    """Where a prediction stands: n* = 0 in the band, none where there is none."""
    if value == 0:
        return at_once
    return value if value > 0 and np.isfinite(value) else np.nan


def _draw_correlations(axes: Axes, agreement: pd.DataFrame) -> None:
    """Rank correlation over all pairs, with its interval, by predictor and form of the LLC."""
    found = agreement[agreement["scope"] == "all"].set_index(["estimate", "predictor"])
    for place, (estimate, (shape, colour)) in enumerate(FORMS.items()):
        for height, name in enumerate(ORDERINGS):
            if (estimate, name) not in found.index:
                continue
            row, y = found.loc[(estimate, name)], height + 0.2 * (place - 0.5)
            axes.plot([row["low"], row["high"]], [y, y], color=colour, linewidth=1.0)
            axes.plot(row["rank_correlation"], y, shape, color=colour, markersize=4)
    axes.axvline(0, color=style.MUTED, linewidth=0.8)
    if found["rank_correlation"].isna().all():
        style.nothing_to_show(axes, "too few pairs of runs with a known order")
    axes.set_xlim(-1.08, 1.08)
    axes.set_yticks(range(len(ORDERINGS)), ORDERINGS.values())
    axes.set_ylim(len(ORDERINGS) - 0.5, -0.5)
    axes.grid(False, axis="y")
    axes.set_xlabel("Somers' D with the departure (95 % interval)")
