"""The OOD loss by position in the context: where transient ridge shows most (ours).

With few examples in the context no predictor can know the task, and the loss is large whatever a
model does. With many, ridge is nearly exact, and a model that has left it stands out.
"""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from transience.figures import style
from transience.figures.curves import Tables, draw_curves, smooth
from transience.figures.style import DiversityScale

# 1 - transient_ridge.FALL, as a test checks: if imported, edits there would redraw the figure
FALLEN = 0.9


def ood_loss_by_position(tables: Tables, window: int) -> Figure:
    """OOD loss late in the context over training; its rise after t_crit at every position."""
    loss = _by_position(tables["evaluation"])
    scale = DiversityScale.of(tables["transient_ridge"]["num_tasks"])
    figure = Figure(figsize=(style.FULL_WIDTH, 3.1))
    late, rise = figure.subplots(1, 2)
    positions = sorted(loss["position"].unique())
    last = positions[-max(1, len(positions) // 4) :]  # the last quarter
    ridge = _by_position(tables["predictors"]).query("predictor == 'ridge'")
    _draw_late(late, loss, ridge, last, scale, window=window)
    _draw_rise(rise, rises(loss, tables["transient_ridge"], window), scale)
    seen = f"{last[0]:g}" + (f"–{last[-1]:g}" if len(last) > 1 else "")
    style.panel_title(late, "a", f"OOD loss after {seen} example{'s' * (seen != 1)}")
    style.panel_title(rise, "b", r"OOD loss at the end over that at $t_{crit}$")
    style.diversity_key(figure, scale)
    style.marker_key(figure, style.marker("none", "ridge (a)", linestyle=":", color="black"))
    return figure


def _by_position(table: pd.DataFrame) -> pd.DataFrame:
    """Rows of new tasks, by position (examples seen, from 0)."""
    return table[table["position"].notna() & (table["distribution"] == "gaussian")]


def _draw_late(
    axes: Axes, loss: pd.DataFrame, ridge: pd.DataFrame, positions: list[float],
    scale: DiversityScale, *, window: int,
) -> None:  # fmt: skip
    """Panel: the mean over some positions, over training."""
    chosen = loss[loss["position"].isin(positions)]
    means = chosen.groupby(["num_tasks", "seed", "step"], as_index=False)["loss"].mean()
    draw_curves(axes, means, "loss", scale, window=window)
    level = ridge[ridge["position"].isin(positions)]["loss"].mean()
    axes.axhline(level, color=style.RIDGE_COLOUR, linewidth=0.9, linestyle=":")
    style.step_axis(axes, means["step"].max())
    style.plain_log_axis(axes)
    axes.set_ylabel("OOD loss on $q_∞$ (mean squared error)")


def rises(loss: pd.DataFrame, runs: pd.DataFrame, window: int) -> pd.DataFrame:
    """Smoothed OOD loss at the end over that at t_crit, by position: positions × runs.

    Runs whose mean OOD loss never falls by a tenth (M = 1) have nothing to rise from.
    """
    fallen = runs[runs["least_ood_loss"] < FALLEN * runs["initial_ood_loss"]]
    columns = {}
    for run, t_crit in fallen.set_index(["num_tasks", "seed"])["t_crit"].items():
        rows = loss[(loss["num_tasks"] == run[0]) & (loss["seed"] == run[1])]
        curves = smooth(rows.pivot(index="step", columns="position", values="loss"), window)
        columns[run] = curves.iloc[-1] / curves.loc[t_crit]
    return pd.DataFrame(columns, index=pd.Index(sorted(loss["position"].unique())))


def _draw_rise(axes: Axes, rises: pd.DataFrame, scale: DiversityScale) -> None:
    """Panel: thin lines for seeds, bold ones for their mean."""
    axes.axhline(1, color=style.MUTED, linewidth=0.7)
    for num_tasks in sorted({run[0] for run in rises}):
        seeds, look = rises[num_tasks], scale.line(num_tasks)
        if seeds.shape[1] > 1:
            axes.plot(seeds.index, seeds.to_numpy(), **look, linewidth=0.5, alpha=0.45)
        axes.plot(seeds.index, seeds.mean(axis=1), **look)
    if rises.empty:
        style.nothing_to_show(axes, "no OOD loss falls by a tenth")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("position in the context (examples seen)")
    axes.set_ylabel("final loss / loss at $t_{crit}$")
