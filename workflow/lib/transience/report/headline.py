"""What a sweep shows, in words: computed from its tables, for the head of the report."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence

import pandas as pd

from transience.complexity.limits import FLAGS
from transience.complexity.summary import LLC_IS_OFF
from transience.files.selections import of_last_step
from transience.files.tables import RUN_KEYS
from transience.problem.diversity import symbol

LEAST_SHOWN = 0.0005  # 0.1 % when rounded
MOST_LISTED = 6  # runs in a line
NEAR = 1.25  # most of a loss over that of ridge, of a model that has learnt ridge (ours)


def _transient(runs: pd.DataFrame) -> list[float]:
    """Finite M that are transient in every seed."""
    every = runs.groupby("num_tasks")["transient"].all()
    return [value for value, holds in every.items() if holds and math.isfinite(value)]


def _least_over_ridge(runs: pd.DataFrame, found: Sequence[float]) -> pd.Series:
    """The least OOD loss of runs of these M, over that of ridge."""
    those = runs[runs["num_tasks"].isin(found)]
    return those["least_ood_loss"] / those["ridge_ood_loss"]


def headline(runs: pd.DataFrame) -> str:
    """Title of the page."""
    if not runs["num_tasks"].map(math.isfinite).any():
        return "No finite task diversity in this sweep"
    if found := _transient(runs):
        if (_least_over_ridge(runs, found) <= NEAR).all():
            return "Ridge regression, learnt and then left again"
        return "Better at new tasks, and then worse again"
    if runs["transient"].any():
        return "Transient ridge, but not in every seed"
    return "No transient ridge at this scale"


def main_result(runs: pd.DataFrame) -> str:
    """In a few sentences, from the table `transient_ridge` of one variant."""
    found = _transient(runs)
    seeds = runs["seed"].nunique()
    where = "the only seed" if seeds == 1 else f"each of {seeds} seeds"
    if found:
        those = runs[runs["num_tasks"].isin(found)]
        fall = those["initial_ood_loss"] - those["least_ood_loss"]
        way = fall / (those["initial_ood_loss"] - those["ridge_ood_loss"])
        first = (
            f"Trained on M = {_listed(found)} tasks, in {where}, models first get better at new "
            f"tasks, {_span(way)} of the way to ridge regression, and then worse again: their loss "
            f"on new tasks ends {_span(those['rise'] - 1)} above its least value, which is "
            f"{_times(_least_over_ridge(runs, found))} times that of ridge."
        )
        first += _of_largest(runs, found)
    elif runs["num_tasks"].map(math.isinf).all():
        first = f"The sweep has M = ∞ only, in {where}, and nothing to leave ridge for."
    else:
        first = (
            f"At no finite task diversity does the loss on new tasks fall and then rise again, by "
            f"10 % or more, in {where}."
        )
    infinite = runs[runs["num_tasks"].map(math.isinf)]
    if infinite.empty:
        return first
    if infinite["rise"].max() < 1 + LEAST_SHOWN:
        return f"{first} At M = ∞ it falls to the end."
    return f"{first} At M = ∞ it ends {_span(infinite['rise'] - 1)} above its least."


def _of_largest(runs: pd.DataFrame, found: Sequence[float]) -> str:
    """What became of the largest finite M, if that is larger than all that are transient."""
    finite = runs[runs["num_tasks"].map(math.isfinite)]
    largest = finite["num_tasks"].max()
    if largest <= max(found):
        return ""
    rise = finite[finite["num_tasks"] == largest]["rise"] - 1
    return f" At M = {symbol(largest)} it ends {_span(rise)} above its least."


def _listed(values: Sequence[float]) -> str:
    texts = [symbol(value) for value in values]
    return " and ".join([", ".join(texts[:-1]), texts[-1]]) if len(texts) > 1 else texts[0]


def _span(fractions: pd.Series) -> str:
    """Range of fractions in whole per cent, or in tenths where they are small."""
    digits = 0 if fractions.max() >= 0.1 else 1
    low, high = (f"{100 * value:.{digits}f}" for value in (fractions.min(), fractions.max()))
    return f"{low} %" if low == high else f"{low} to {high} %"


def _times(ratios: pd.Series) -> str:
    low, high = (f"{value:.1f}" for value in (ratios.min(), ratios.max()))
    return low if low == high else f"{low} to {high}"


def missing_runs(
    tables: Mapping[str, pd.DataFrame], expected: Sequence[tuple[str, float, int]]
) -> list[str]:
    """Which of the configured runs a table lacks, by (variant, M, seed): one line a table."""
    lines = []
    llc = () if tables["llc"].empty else ("llc",)  # where it is off, `warnings` says so
    for name in ("training", "evaluation", *llc, "trajectory_pca", "transient_ridge"):
        found = tables[name][RUN_KEYS].drop_duplicates()
        found = set(found.itertuples(index=False, name=None))
        absent = [run for run in expected if run not in found]
        if absent:
            listed = "; ".join(
                f"{variant} M = {symbol(num_tasks)} seed {seed}"
                for variant, num_tasks, seed in absent[:MOST_LISTED]
            )
            more = "; …" if len(absent) > MOST_LISTED else ""
            lines.append(
                f"{len(absent)} of {len(expected)} runs are missing from the table {name}: "
                f"{listed}{more}."
            )
    return lines


def warnings(estimates: pd.DataFrame) -> list[str]:
    """What a reader should know before trusting the LLC: counts of flags, over all checkpoints."""
    if estimates.empty:
        return [f"{LLC_IS_OFF}: claims that need it are not tested, and its panels are empty."]
    counts = Counter(flag for flags in estimates["flags"] for flag in flags.split(",") if flag)
    flagged = int((estimates["flags"] != "").sum())
    lines = []
    if estimates["diverged"].any():
        lines.append(
            f"{estimates['diverged'].sum()} of {estimates['chains'].sum()} LLC chains diverged; "
            f"{(estimates['diverged'] > 0).sum()} estimates are missing."
        )
    if flagged:
        each = ", ".join(
            f"{words} {counts[flag]}" for flag, words in FLAGS.items() if flag in counts
        )
        last = of_last_step(estimates)
        at_end = f", at the end of training {int((last['flags'] != '').sum())} of {len(last)}"
        words = f"{flagged} of {len(estimates)} LLC estimates carry a flag"
        lines.append(f"{words}{at_end if len(last) < len(estimates) else ''} ({each}).")
    return lines
