"""Departures from ridge of runs held out, predicted by each theory and by M alone."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from transience.figures import style
from transience.figures.curves import Tables
from transience.figures.outcomes import draw_run, outcome_markers
from transience.figures.style import DiversityScale

PANELS = {
    "rational_description_length": "Rational, $K$ from tasks",
    "rational_mean_gap": "Rational, mean gap",
    "rational_llc": r"Rational, $K$ from $\hat{λ}$",
    "power_law": "Power law of M",
    "equation_8": "$n^*$ of eq. 8",
}
ROWS = {
    "rational_description_length": "tasks (a)",
    "rational_mean_gap": "mean gap (b)",
    "rational_llc": r"$\hat{λ}$ (c)",
    "rational_llc_of_dmmse": r"$\hat{λ}$, none of ridge",
    "equation_8": "eq. 8 (e)",
    "exponential": "exponential",
    "constant": "constant",
}
SCHEMES = {
    "num_tasks": ("o", style.TRAINED_COLOUR, "unseen M"),
    "seed": ("^", style.MUTED, "unseen seed"),
}
BEYOND = 100.0  # predictions farther than that from all departures stand at the edge
EMPTY = "too few departures to predict others"


def departure_prediction(tables: Tables, window: int) -> Figure:
    """Predicted against observed departure by law, and how much better than a power law each is."""
    table, scores = tables["departure_prediction"], tables["departure_prediction_scores"]
    scale = DiversityScale(DiversityScale.of(tables["free_energy"]["num_tasks"]).finite)
    figure = Figure(figsize=(style.FULL_WIDTH, 4.9))
    panels = figure.subplots(2, 3).ravel()
    for place, (axes, (law, title)) in enumerate(zip(panels, PANELS.items(), strict=False)):
        runs = table[(table["predictor"] == law) & (table["held_out"] == "num_tasks")]
        _draw_law(axes, runs, table, scale)
        style.panel_title(axes, "abcde"[place], title)
        axes.set_xlabel("observed (sequences)")
        axes.set_ylabel("predicted (sequences)" if place in (0, 3) else "")
    _draw_scores(panels[-1], scores[scores["scope"] == "all"])
    style.panel_title(panels[-1], "f", "Against the power law")
    style.diversity_key(figure, scale)
    style.marker_key(
        figure,
        *outcome_markers(),
        *(style.marker(shape, words, color=colour) for shape, colour, words in SCHEMES.values()),
    )
    return figure


def _draw_law(axes: Axes, runs: pd.DataFrame, every: pd.DataFrame, scale: DiversityScale) -> None:
    """Predictions of one law for runs of an M it has not seen; all panels have the same axes."""
    if runs.empty:
        style.nothing_to_show(axes, style.NO_FINITE if not scale.finite else EMPTY)
        axes.set_xticks([])
        axes.set_yticks([])
        return
    seen = every[["observed_low", "observed_high"]].to_numpy(float)
    seen = seen[np.isfinite(seen) & (seen > 0)]
    low, high = seen.min() / 2, seen.max() * 2
    ends = low / BEYOND, high * BEYOND
    for row in runs.itertuples():
        interval = [row.predicted_low, row.predicted_samples, row.predicted_high]
        predicted = tuple(np.clip(interval, ends[0] * 1.4, ends[1] / 1.4))
        draw_run(axes, row, predicted, scale.colour(row.num_tasks))
    axes.plot([low, high], [low, high], color=style.MUTED, linewidth=0.8, linestyle="--", zorder=1)
    axes.set(xscale="log", yscale="log", xlim=(low, high), ylim=ends)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(LogLocator(numticks=5))
        axis.set_minor_formatter(NullFormatter())


def _draw_scores(axes: Axes, scores: pd.DataFrame) -> None:
    """Mean log probability less that of the power law, with its interval, by law and scheme."""
    found = scores.set_index(["held_out", "predictor"])
    for place, (scheme, (shape, colour, _)) in enumerate(SCHEMES.items()):
        for height, law in enumerate(ROWS):
            if (scheme, law) in found.index:
                row, y = found.loc[(scheme, law)], height + 0.24 * (place - 0.5)
                ends = [row["advantage_low"], row["advantage_high"]]
                axes.plot(ends, [y, y], color=colour, linewidth=1.0)
                axes.plot(row["advantage"], y, shape, color=colour, markersize=4)
    axes.axvline(0, color=style.MUTED, linewidth=0.8)
    if not found["advantage"].notna().any():
        style.nothing_to_show(axes, EMPTY)
    axes.set_yticks(range(len(ROWS)), ROWS.values())
    axes.set_ylim(len(ROWS) - 0.5, -0.5)
    axes.grid(False, axis="y")
    axes.set_xlabel("log probability (nats a run)")
