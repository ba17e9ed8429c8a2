"""When detectors raise an alarm, and what it costs to stop there (ours)."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from transience.figures import style
from transience.figures.curves import Tables
from transience.figures.style import DiversityScale

WORDS = {
    "ood_loss": "loss on new tasks rises",
    "below_ridge": "batch loss below ridge's",
    "projection": "on the way to dMMSE$_M$",
    "calm_gradient": "gradients vary less",
    "small_gradient": "gradients are smaller",
}
LEAVING = ("left", "passed_by")  # outcomes of runs in which an alarm is no false one


def alarms(tables: Tables, window: int) -> Figure:
    """Step of each alarm over that of the least OOD loss, and the OOD loss that is found there."""
    runs = tables["alarms"]
    runs = runs.assign(
        when=runs["alarm"] / runs["t_crit"].clip(lower=1),
        cost=runs["ood_loss_at_alarm"] / runs["least_ood_loss"],
        cost_at_end=runs["final_ood_loss"] / runs["least_ood_loss"],
    )
    figure = Figure(figsize=(style.FULL_WIDTH, 3.2))
    when, cost = figure.subplots(1, 2, sharey=True)
    scale = DiversityScale.of(runs["num_tasks"])
    leaving = runs[runs["outcome"].isin(LEAVING)]
    for row, detector in enumerate(WORDS):
        own = leaving[leaving["detector"] == detector]
        _draw(when, own, "when", row, scale)
        _draw(cost, own, "cost", row, scale)
    _draw(cost, leaving.drop_duplicates(["num_tasks", "seed"]), "cost_at_end", len(WORDS), scale)
    labels = [_label(runs[runs["detector"] == one], words) for one, words in WORDS.items()]
    when.set_yticks(range(len(WORDS) + 1), [*labels, "no alarm: the end"])
    when.set_ylim(len(WORDS) + 0.5, -0.5)
    style.panel_title(when, "a", "When the alarm is raised")
    style.panel_title(cost, "b", "What stopping there costs")
    when.set_xlabel("step of the alarm over that of the least OOD loss")
    cost.set_xlabel("OOD loss over its least")
    for axes in (when, cost):
        axes.axvline(1, color="black", linewidth=0.6)
        if leaving.empty:
            style.nothing_to_show(axes, "no run leaves ridge")
    if leaving["when"].notna().any():
        style.plain_log_axis(when, "x")
    style.diversity_key(figure, scale)
    style.marker_key(
        figure,
        style.marker("o", "leaves ridge", markerfacecolor=style.MUTED),
        style.marker("o", "never near ridge", markerfacecolor="white"),
    )
    return figure


def _draw(axes: Axes, runs: pd.DataFrame, column: str, row: int, scale: DiversityScale) -> None:
    """Points of the runs, an M below the other, hollow where a run passed ridge by."""
    places = np.linspace(-0.3, 0.3, max(len(scale.values), 2))
    for place, num_tasks in zip(places, scale.values, strict=False):
        own = runs[runs["num_tasks"] == num_tasks].dropna(subset=[column])
        colour = scale.colour(num_tasks)
        for outcome, face in zip(LEAVING, (colour, "white"), strict=True):
            found = own.loc[own["outcome"] == outcome, column]
            axes.plot(found, np.full(len(found), row + place), "o", color=colour, markersize=3.4,
                      markerfacecolor=face, markeredgewidth=0.8)  # fmt: skip


def _label(runs: pd.DataFrame, words: str) -> str:
    """A detector in words, and how often it missed a run or raised a false alarm."""
    tested = runs[~runs["sets_it"]]
    left, staying = (tested[tested["outcome"].isin(LEAVING) == which] for which in (True, False))
    missed, false = int(left["alarm"].isna().sum()), int(staying["false_alarm"].sum())
    return f"{words}\nmissed {missed} of {len(left)}, false {false} of {len(staying)}"
