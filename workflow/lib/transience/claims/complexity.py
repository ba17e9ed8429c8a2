"""Claims about losses on q_M and local learning coefficients (LLC)."""

from __future__ import annotations

import math

import pandas as pd

from transience.claims.claim import (
    Finding,
    along_curve,
    by_m_text,
    claim,
    numbers_text,
    rank_correlation,
    tasks_text,
)
from transience.claims.sweep_tables import Sweep

REACHED = 1.10  # loss over that of the predictor that a model has reached (ours)
PLATEAU = 0.25  # range over mean of LLCs on a plateau (ours)
PLATEAU_STARTS = 32  # the paper's M


@claim("The gap between the losses of dMMSE_M and ridge on q_M shrinks as M grows.")
def loss_gap_shrinks(sweep: Sweep) -> Finding:
    """The loss of ridge less that of dMMSE_M on q_M (ideal predictors, mean over seeds) has a rank
    correlation with M of at most -0.8.
    """
    if len(sweep.finite) < 3:
        return Finding.not_testable("The sweep has fewer than three finite M.")
    losses = sweep.final_losses
    gaps = (losses["ridge"] - losses["dmmse"]).unstack("seed").loc[sweep.finite]
    correlation = rank_correlation(gaps.index, gaps.mean(axis="columns"))
    shows = f"Loss of ridge less that of dMMSE_M on q_M, by seed: {by_m_text(gaps)}; "
    if math.isnan(correlation):
        return Finding.not_testable(f"{shows}they are alike for all M.")
    return Finding.of(
        correlation <= -0.8, f"{shows}rank correlation of the mean with M: {correlation:.2f}."
    )


@claim("On either side of the threshold models reach the loss of their predictor.")
def models_reach_predictors(sweep: Sweep) -> Finding:
    """On q_M the lowest M ends within 10 % of the loss of dMMSE_M, and M = inf within 10 % of that
    of ridge, in every seed.
    """
    if not (sweep.finite and sweep.has_infinity):
        return Finding.not_testable("The sweep lacks M = inf or has no finite M.")
    losses = sweep.final_losses
    low, high = losses.loc[sweep.finite[0]], losses.loc[math.inf]
    low_ratio, high_ratio = low["model"] / low["dmmse"], high["model"] / high["ridge"]
    return Finding.of(
        max(low_ratio.max(), high_ratio.max()) <= REACHED,
        f"Final loss on q_M over that of dMMSE_M at M = {sweep.finite[0]:g}: "
        f"{numbers_text(low_ratio)}; over that of ridge at M = inf: {numbers_text(high_ratio)}, "
        "by seed.",
    )


@claim("The LLC at the end of training rises with M.", needs_llc=True)
@along_curve
def llc_rises(sweep: Sweep, llcs: pd.DataFrame) -> Finding:
    """Every transient M has a larger LLC than the lowest M, in every seed."""
    if not sweep.transient or not _measured(llcs, [sweep.finite[0], *sweep.transient]):
        return Finding.not_testable(
            "No M is transient in every seed, or all chains of one diverged."
        )
    chosen = llcs.loc[[sweep.finite[0], *sweep.transient]]
    return Finding.of(
        bool((chosen.iloc[1:] > chosen.iloc[0]).all(axis=None)),
        f"LLC at the end of training, by seed: {by_m_text(chosen)}.",
    )


@claim("The LLC crosses that of ridge (M = inf) as transience sets in.", needs_llc=True)
@along_curve
def llc_crosses_infinity(sweep: Sweep, llcs: pd.DataFrame) -> Finding:
    """In every seed the LLC of the lowest M is below that of M = inf, and that of some transient M,
    one for all seeds, above it.
    """
    if not sweep.transient or not _measured(llcs, [sweep.finite[0], *sweep.transient, math.inf]):
        return Finding.not_testable(
            "No M is transient in every seed, there is no M = inf, or all chains of one diverged."
        )
    infinite = llcs.loc[math.inf]
    above = [m for m in sweep.transient if (llcs.loc[m] > infinite).all()]
    papers = sweep.final_llcs_at_checkpoint
    papers_above = [m for m in sweep.transient if (papers.loc[m] > papers.loc[math.inf]).all()]
    return Finding.of(
        bool(above and (llcs.loc[sweep.finite[0]] < infinite).all()),
        f"LLC at the end (centred), by seed: {by_m_text(llcs)}. Transient M above M = inf in every "
        f"seed: {tasks_text(above)}. Compared with the loss of the checkpoint instead, as in the "
        f"paper, which reads low where weights are no minimum: {by_m_text(papers)}; above M = inf: "
        f"{tasks_text(papers_above)}.",
    )


@claim("The LLC plateaus above M = 32.", needs_llc=True)
@along_curve
def llc_plateaus(sweep: Sweep, llcs: pd.DataFrame) -> Finding:
    """Above M = 32 the range of the LLCs of finite M (at least three, means over seeds) is at most
    25 % of their mean.
    """
    high = [m for m in sweep.finite if m > PLATEAU_STARTS]
    if len(high) < 3 or not _measured(llcs, high):
        return Finding.not_testable("The sweep has fewer than three M above 32, or one diverged.")
    means = llcs.loc[high].mean(axis="columns")
    spread = (means.max() - means.min()) / means.mean()
    return Finding.of(
        bool(spread <= PLATEAU),
        f"LLC at the end above M = 32, mean of seeds: {by_m_text(means.to_frame())}; range over "
        f"mean {spread:.2f}.",
    )


@claim("The LLC of large M converges to that of ridge.", needs_llc=True)
@along_curve
def llc_converges(sweep: Sweep, llcs: pd.DataFrame) -> Finding:
    """The LLC of the largest finite M is within 25 % of that of M = inf, in every seed. Not
    testable if that M does not end nearer to ridge than to dMMSE_M.
    """
    if not sweep.finite or not _measured(llcs, [sweep.finite[-1], math.inf]):
        return Finding.not_testable("The sweep lacks M = inf or a finite M, or one diverged.")
    largest = sweep.finite[-1]
    relative = sweep.by_m("relative_distance_at_end").loc[largest]
    if (relative < 0.5).any():
        return Finding.not_testable(
            f"The largest finite M = {largest:g} is too low: it doesn't end near ridge (relative "
            f"distance {numbers_text(relative)}, by seed)."
        )
    ratio = llcs.loc[largest] / llcs.loc[math.inf]
    return Finding.of_numbers(
        bool((ratio - 1).abs().max() <= PLATEAU),
        f"LLC of M = {largest:g} over that of M = inf, by seed: {numbers_text(ratio)}.",
        ratio,
        relative,
    )


def _measured(llcs: pd.DataFrame, diversities: list[float]) -> bool:
    """Whether every seed of these M has an LLC that is a number."""
    return bool(llcs.reindex(diversities).notna().all(axis=None))
