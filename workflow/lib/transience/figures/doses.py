"""Interventions of one kind that differ in strength and onset alone, and what to call them."""

import math

import numpy as np
import pandas as pd

from transience.problem.diversity import symbol

WORDS = {
    "num_tasks": "M in stages",
    "fresh_fraction": "share of new tasks",
    "task_drift": "drift of tasks",
    "weight_decay": "weight decay",
    "learning_rate_factor": "factor of the rate",
    "batch_size": "batch size",
}
WEIGHTS = {"mlp": "MLPs"}
MOMENTS = {"start": "the start", r"$t_{crit}$": r"$t_{crit}$", "departure": "the departure"}


def doses(runs: pd.DataFrame) -> pd.DataFrame:
    """Rows of table `interventions` that changed one thing, with what they are a dose of.

    Further columns: `series`, what was changed, of which weights and for how long, in words;
    `moment`, when; `place`, the mean step of that moment, by which moments are in order.
    """
    known = runs[runs["kind"].isin([*WORDS]) & runs["value"].notna()].copy()
    of_variant = {name: (_series(own), _moment(own)) for name, own in known.groupby("variant")}
    for column, part in (("series", 0), ("moment", 1)):
        known[column] = [of_variant[name][part] for name in known["variant"]]
    return known.assign(place=known.groupby("moment")["onset"].transform("mean"))


def in_order(runs: pd.DataFrame) -> pd.DataFrame:
    """Variants of table `interventions`, the index: by kind, as they begin, and how strong.

    Columns: `kind`, and `series` and `moment` where a variant is a dose (`doses`), else missing.
    """
    found = doses(runs).groupby("variant")[["series", "moment", "place", "value"]].first()
    each = runs.groupby("variant")[["kind"]].first().join(found).reset_index()
    order = each.sort_values(["kind", "series", "place", "value", "variant"])
    return order.set_index("variant")[["kind", "series", "moment"]]


def _series(runs: pd.DataFrame) -> str:
    """What a variant changes, of which weights, and for how many steps unless it is to the end."""
    first = runs.iloc[0]
    words = WORDS[first["kind"]]
    if first["kind"] == "weight_decay" and first["weight_decay_of"] != "all":
        words += f" of {WEIGHTS.get(first['weight_decay_of'], first['weight_decay_of'])}"
    early = runs["steps"] != runs["control_steps"]
    lengths = runs["release"].fillna(runs["steps"].where(early)) - runs["onset"]
    same = lengths.notna().all() and lengths.nunique() == 1
    return f"{words}, {lengths.iloc[0]:,.0f} steps long" if same else words


def _moment(runs: pd.DataFrame) -> str:
    """When a variant begins: a moment in the course of its controls, or a step."""
    onset = runs["onset"]
    start, t_crit, departure = MOMENTS
    named = {start: 0, t_crit: runs["control_t_crit"], departure: runs["control_high"]}
    for name, steps in named.items():
        if (onset == steps).all():
            return name
    least, most = onset.min(), onset.max()
    return f"{least:,}" if least == most else f"{least:,} to {most:,}"


def since(moment: str) -> str:
    """From a moment on, in words."""
    return f"from {MOMENTS.get(moment, f'step {moment}')}"


def strength(kind: str, value: float) -> str:
    """A strength as a label: 0.1, or ∞ of M."""
    return symbol(value) if kind == "num_tasks" else f"{value:g}"


def spans_a_decade(values: np.ndarray) -> bool:
    """Whether positive strengths are so far apart that they want a logarithmic axis."""
    least, most = values.min(), values.max()
    return bool(0 < 10 * least <= most < math.inf)
