"""How well predictors order the departures, where some of these are known by bounds only."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import ndtri

from transience.departure.predicted import crossover

CONFIDENCE = 0.95
NUM_RESAMPLES = 1000
SCOPES = ("all", "same_num_tasks")
MIN_PAIRS = 3  # fewer have no rank correlation


def known_order(low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Order of events in (low, high]: (n,), (n,) -> (n, n), 1 where j comes after i for sure.

    -1 where before, 0 where the two intervals overlap.
    """
    after = low[None, :] >= high[:, None]
    return after.astype(float) - after.T


def concordance(predicted: np.ndarray, order: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Somers' D: pairs ordered as predicted less those ordered otherwise, over all known pairs.

    ``predicted`` (r, n), ``order`` (n, n) from `known_order`, ``weights`` (r, n): how often a
    resample has each run -> (r,). Equal predictions count as neither, a missing one leaves out its
    run; Kendall's τ where nothing is cut off or equal. NaN without any pair.
    """
    weights = np.where(np.isnan(predicted), 0.0, weights)
    one, other = predicted[:, :, None], predicted[:, None, :]
    signs = (other > one).astype(float) - (other < one)  # r n n
    agree = np.einsum("ri,ij,rij,rj->r", weights, order, signs, weights)
    pairs = np.einsum("ri,ij,rj->r", weights, np.abs(order), weights)
    return np.divide(agree, pairs, out=np.full(len(pairs), math.nan), where=pairs > 0)


def orderings(delta_loss: np.ndarray, delta_llc: np.ndarray) -> dict[str, np.ndarray]:
    """What may say which run leaves later, each the greater the later: Δℓ (n,), Δλ (r, n)."""
    loss = np.broadcast_to(delta_loss, delta_llc.shape)
    with np.errstate(divide="ignore"):
        ratio = np.where(loss < 0, delta_llc / np.where(loss < 0, -loss, 1.0), math.inf)
    return {
        "crossover": crossover(loss, delta_llc),
        "ratio": np.where(np.isnan(delta_llc), math.nan, ratio),
        "llc_difference": delta_llc,
        "loss_gap": loss,
    }


def agreement_table(table: pd.DataFrame, *, seed: int = 0) -> pd.DataFrame:
    """Table `free_energy_agreement`: how each predictor orders the departures of finite M.

    Intervals are percentiles of a bootstrap over runs, each resample with new errors of the LLCs
    (that of M = inf shared by the runs of a seed). The same ``seed`` gives the same intervals.
    """
    groups = table.groupby(["variant", "estimate"])
    rows = [
        {"variant": variant, "estimate": estimate} | row
        for (variant, estimate), runs in groups
        for row in _agreement(runs[np.isfinite(runs["num_tasks"])], np.random.default_rng(seed))
    ]
    columns = ["variant", "estimate", "predictor", "scope", "rank_correlation", "low", "high"]
    return pd.DataFrame(rows, columns=[*columns, "num_runs", "num_pairs"])


def _agreement(runs: pd.DataFrame, rng: np.random.Generator) -> list[dict[str, Any]]:
    num_tasks = runs["num_tasks"].to_numpy()
    drawn = orderings(runs["delta_loss"].to_numpy(), _drawn_differences(runs, rng))
    drawn["num_tasks"] = np.broadcast_to(num_tasks, (NUM_RESAMPLES + 1, len(runs)))
    weights = np.concatenate([np.ones((1, len(runs))), _resampled(len(runs), rng)])
    order = known_order(runs["observed_low"].to_numpy(), runs["observed_high"].to_numpy())
    within = order * (num_tasks[:, None] == num_tasks)
    rows = []
    for scope, known in zip(SCOPES, (order, within), strict=True):
        for name, predicted in drawn.items():
            there = ~np.isnan(predicted[0])
            num_pairs = int(np.abs(known[np.ix_(there, there)]).sum()) // 2
            found = concordance(predicted, known, weights)
            if num_pairs < MIN_PAIRS:
                found = np.full_like(found, math.nan)
            spread = pd.Series(found[1:]).quantile([(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
            rows.append(
                {
                    "predictor": name,
                    "scope": scope,
                    "rank_correlation": found[0],
                    "low": spread.iloc[0],
                    "high": spread.iloc[1],
                    "num_runs": int(there.sum()),
                    "num_pairs": num_pairs,
                }
            )
    return rows


def _resampled(number: int, rng: np.random.Generator) -> np.ndarray:
    """How often each resample has each of that many runs: (r, number)."""
    picks = rng.integers(max(1, number), size=(NUM_RESAMPLES, number))
    return (picks[:, :, None] == np.arange(number)).sum(axis=1)


def _drawn_differences(runs: pd.DataFrame, rng: np.random.Generator) -> np.ndarray:
    """Δλ (1 + resamples, runs): as estimated, then with errors drawn anew."""
    own, reference = (
        runs[f"{name}_llc_error"].fillna(0).to_numpy() for name in ("run", "reference")
    )
    together = np.hypot(own, reference)
    width = (runs["delta_llc_high"] - runs["delta_llc"]).fillna(0).to_numpy()
    few_chains = np.divide(  # how much wider Student's t is than a Gaussian
        width, together * ndtri((1 + CONFIDENCE) / 2), out=np.ones_like(own), where=together > 0
    )
    seeds = runs["seed"].rank(method="dense").to_numpy(int) - 1
    size = NUM_RESAMPLES + 1
    noise = own * rng.standard_normal((size, len(runs)))
    noise += reference * rng.standard_normal((size, seeds.max(initial=0) + 1))[:, seeds]
    noise[0] = 0
    return runs["delta_llc"].to_numpy() + few_chains * noise
