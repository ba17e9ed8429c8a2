"""Loss and local learning coefficient (LLC) against M: the paper's Figure 3."""

import math

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from transience.complexity.summary import llc_by_run
from transience.figures import style
from transience.figures.against_diversity import draw_against_diversity, draw_mean_line, spread
from transience.figures.curves import Tables
from transience.figures.style import DiversityScale
from transience.files.selections import mean_over_positions, of_last_step


def loss_and_llc(tables: Tables, _window: int) -> Figure:
    """Loss on q_M of the trained models and both predictors, and the LLC, against M."""
    runs = llc_by_run(tables["llc"])
    scale = DiversityScale.of(tables["evaluation"]["num_tasks"])
    figure = Figure(figsize=(style.FULL_WIDTH, 2.8))
    loss, llc = figure.subplots(1, 2)
    _draw_losses(loss, tables, scale)
    _draw_llc(llc, runs, scale)
    style.panel_title(loss, "a", "Loss on $q_M$ at the end of training")
    style.panel_title(llc, "b", r"LLC estimate $\hat{λ}$ at the end of training")
    trained, dashed = style.TRAINED_COLOUR, {"linestyle": (0, (3.5, 1.2))}
    entries = [
        style.marker("D", "dMMSE$_M$", color=style.DMMSE_COLOUR, markersize=3.5),
        style.marker("s", "ridge", color="black", markersize=3.8, markerfacecolor="none"),
        style.marker("o", r"trained; $\hat{λ}$ centred", color=trained, markersize=3.6),
        style.marker("^", r"$\hat{λ}$ in the paper's form", color=style.MUTED, markersize=3.6),
    ]
    if runs.loc[np.isinf(runs["num_tasks"]), "llc"].notna().any():
        name = r"$\hat{λ}_∞$ of either"
        entries.append(style.marker("none", name, color=style.MUTED, **dashed))
    if (runs["flags"] != "").any():
        entries.append(
            style.marker("o", "flagged", color=trained, markersize=3.6, markerfacecolor="none")
        )
    if runs["centred_llc"].isna().any():
        entries.append(style.marker("x", "missing (diverged)", color="#c00000"))
    style.marker_key(figure, *entries)
    return figure


def _draw_losses(axes: Axes, tables: Tables, scale: DiversityScale) -> None:
    predictors = mean_over_positions(tables["predictors"], "training")
    trained = of_last_step(mean_over_positions(tables["evaluation"], "training"))
    for rows, shape, colour, filled in (
        (predictors.query("predictor == 'ridge'"), "s", style.RIDGE_COLOUR, False),
        (
            predictors.query("predictor == 'dmmse' and num_tasks < inf"),
            "D",
            style.DMMSE_COLOUR,
            True,
        ),
        (trained, "o", style.TRAINED_COLOUR, True),
    ):
        draw_against_diversity(axes, rows, "loss", scale, shape=shape, colour=colour, filled=filled)
    style.diversity_axis(axes, scale, width=2.9)
    axes.set_ylim(bottom=0)
    axes.set_ylabel("loss (mean squared error)")


def _draw_llc(axes: Axes, runs: pd.DataFrame, scale: DiversityScale) -> None:
    """Both forms of the estimate, errors over chains, seeds side by side, red where missing."""
    runs = runs.assign(x=spread(runs, scale))
    missing = runs[runs["centred_llc"].isna()]
    _draw_form(axes, runs, ("llc", "llc_error"), scale, shape="^", colour=style.MUTED)
    _draw_form(axes, runs, ("centred_llc", "error"), scale, shape="o", colour=style.TRAINED_COLOUR)
    axes.plot(
        missing["x"], np.full(len(missing), 0.03), "x", color="#c00000", markersize=4.5,
        transform=axes.get_xaxis_transform(), zorder=4,
    )  # fmt: skip
    style.diversity_axis(axes, scale, width=2.9)
    if len(missing) < len(runs):
        axes.set_ylim(bottom=min(0, axes.get_ylim()[0]))
    else:
        style.nothing_to_show(axes, style.no_llc(runs))
    axes.set_ylabel(r"$\hat{λ}$ (dimensionless)")


def _draw_form(
    axes: Axes, runs: pd.DataFrame, columns: tuple[str, str], scale: DiversityScale, *,
    shape: str, colour: str,
) -> None:  # fmt: skip
    """Estimates of one form with errors and mean over seeds; dashed, the level of M = inf."""
    llc, error = columns
    there = runs[runs[llc].notna()]
    for flagged, rows in there.groupby(there["flags"] != ""):
        axes.errorbar(
            rows["x"], rows[llc], rows[error].fillna(0), fmt=shape, color=colour,
            markersize=3.6, markerfacecolor="white" if flagged else colour, markeredgewidth=0.8,
            elinewidth=0.8, capsize=1.5, capthick=0.6, zorder=3,
        )  # fmt: skip
    draw_mean_line(axes, there, llc, scale, color=colour, linewidth=0.9)
    infinite = there[np.isinf(there["num_tasks"])][llc].mean()
    if math.isfinite(infinite):
        axes.axhline(infinite, color=colour, linewidth=1.0, linestyle=(0, (3.5, 1.2)), zorder=1)
