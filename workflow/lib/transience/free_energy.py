"""Does the trade-off between loss and complexity predict when a run leaves ridge?

The paper explains transient ridge by the free energy of neighbourhoods (its eqs. 6-8),
-log Z_n ≈ n ℓ(u) + λ(u) log n, and leaves open whether it tells *when*. Between ridge (u) and
dMMSE_M (v), with Δℓ = ℓ(v) - ℓ(u) and Δλ = λ(v) - λ(u), ridge is preferred while
log(n)/n > -Δℓ/Δλ; n* is where that ends. Choices that are ours:

- Δℓ: losses of the ideal predictors on q_M, times K/2σ²: nats per sequence.
- λ(v): LLC at the end of the run; λ(u): at the end of the M = inf run of the same seed.
- n: sequences seen, optimiser steps times batch size.
- departure: see `departure`. It lies between two checkpoints, or is cut off by the start or end of
  training; nothing is made up for what was cut off (`known_order`).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import lambertw
from scipy.stats import norm, t

from transience import command
from transience.summaries import RUN, llc_by_run, mean_over_positions
from transience.tables import read_metadata, read_table, write_table

ESTIMATES = {"centred_llc": "error", "llc": "llc_error"}  # forms of the LLC and their errors
HALFWAY = 0.5  # relative distance: as far from dMMSE_M as from ridge
NEAR = 0.25  # distance to ridge, as a part of that at the start, of a run that has come near it
CONFIDENCE = 0.95
NUM_RESAMPLES = 1000
SCOPES = ("all", "same_num_tasks")
MIN_PAIRS = 3  # fewer have no rank correlation


# Prediction


def crossover(delta_loss: np.ndarray, delta_llc: np.ndarray) -> np.ndarray:
    """n* in sequences: the larger root of log(n)/n = -Δℓ/Δλ (paper, eq. 8), elementwise.

    ``delta_loss`` in nats per sequence. 0 where there is no root and dMMSE_M is preferred at every
    n (-Δℓ/Δλ > 1/e, or Δλ ≤ 0); inf where its loss is not lower; NaN where something is missing.
    The smaller root, below n = e, is not a change from ridge to dMMSE_M. The result grows with
    ``delta_llc``, so ends of its interval give those of n*.
    """
    gain, cost = np.broadcast_arrays(-np.asarray(delta_loss, float), np.asarray(delta_llc, float))
    ratio = np.divide(gain, cost, out=np.full(gain.shape, math.inf), where=cost > 0)
    root = (ratio <= 1 / math.e) & (gain > 0)
    safe = np.where(root, ratio, 1 / math.e)
    # log n = -W, W the lower branch of W exp(W) = -ratio; NaN by rounding at the very end of it
    log_n = -np.nan_to_num(lambertw(-safe, -1).real, nan=-1.0)
    found = np.where(root, np.exp(log_n), 0.0)
    found = np.where(gain <= 0, math.inf, found)
    return np.where(np.isnan(gain) | np.isnan(cost), math.nan, found)


def prediction(num_tasks: float, delta_loss: float, delta_llc: float) -> str:
    """Which case of `crossover` it is, in a word; see the column `prediction` of the table."""
    if math.isinf(num_tasks):
        return "reference"
    if math.isnan(delta_loss) or math.isnan(delta_llc):
        return "missing"
    if delta_loss >= 0:
        return "ridge_stays"
    if delta_llc <= 0:
        return "no_trade_off"
    return "crossover" if -delta_loss / delta_llc <= 1 / math.e else "dmmse_at_once"


def llc_difference_needed(delta_loss: np.ndarray, sequences: np.ndarray) -> np.ndarray:
    """Δλ that would put n* at ``sequences`` (eq. 8 solved for Δλ); NaN below n = e or at inf."""
    known = np.isfinite(sequences) & (sequences >= math.e)
    n = np.where(known, sequences, math.e)
    return np.where(known, -delta_loss * n / np.log(n), math.nan)


# Observation


def relative_distance(frame: pd.DataFrame) -> np.ndarray:
    """d_dMMSE / (d_dMMSE + d_ridge) of rows of `evaluation`; NaN where both are 0."""
    dmmse, ridge = (frame[f"distance_to_{name}"].to_numpy() for name in ("dmmse", "ridge"))
    total = dmmse + ridge
    return np.divide(dmmse, total, out=np.full(len(frame), math.nan), where=total > 0)


def departure(steps: np.ndarray, relative: np.ndarray, to_ridge: np.ndarray) -> tuple:
    """Outcome of a run, and the bounds (low, high] of the step at which it leaves ridge (ours).

    Arrays by checkpoint: step, relative distance (1 at ridge), distance to ridge; on q_M. A run is
    *at ridge* where it is nearer to ridge than to dMMSE_M and its distance to ridge is at most
    `NEAR` of that at the start (an untrained model is about as far from both, so being nearer means
    nothing yet). ``low`` is the last checkpoint before it first falls below `HALFWAY` after that,
    ``high`` the first from which it stays below to the end; they differ by more than a checkpoint
    where the run hovers.

    `left`; `stays` (high is inf); `direct`: never at ridge, ends nearer to dMMSE_M (low is 0);
    `neither`: never at ridge, and not nearer to dMMSE_M at the end (0, inf).
    """
    above = relative >= HALFWAY
    last = int(np.flatnonzero(above)[-1]) + 1 if above.any() else 0
    high = float(steps[last]) if last < len(steps) else math.inf
    arrived = np.flatnonzero(above & (to_ridge <= NEAR * to_ridge[0]))
    if not len(arrived):
        return ("direct" if math.isfinite(high) else "neither"), 0.0, high
    below = np.flatnonzero(~above)
    below = below[below > arrived[0]]
    low = float(steps[below[0] - 1] if len(below) else steps[-1])
    return ("left" if math.isfinite(high) else "stays"), low, high


def departures(evaluation: pd.DataFrame) -> pd.DataFrame:
    """`departure` of every run of the table evaluation: `RUN`, outcome, low and high in steps."""
    rows = []
    on_own_tasks = mean_over_positions(evaluation, "training").sort_values("step")
    for run, frame in on_own_tasks.groupby(RUN):
        found = ("reference", math.nan, math.nan)
        if math.isfinite(run[1]):
            steps, to_ridge = (frame[c].to_numpy() for c in ("step", "distance_to_ridge"))
            found = departure(steps, relative_distance(frame), to_ridge)
        rows.append((*run, *found))
    return pd.DataFrame(rows, columns=[*RUN, "outcome", "low", "high"])


# Table free_energy


def free_energy_table(
    evaluation: pd.DataFrame, predictors: pd.DataFrame, llc: pd.DataFrame, config: dict[str, Any]
) -> pd.DataFrame:
    """Table `free_energy` from those tables; ``config`` has task, training and variants."""
    runs = _observed(departures(evaluation), config)
    runs = runs.merge(_loss_differences(predictors, config), on=RUN)
    estimates = llc_by_run(llc)
    frames = [
        _predicted(runs.merge(_llc_differences(estimates, name), on=RUN)).assign(estimate=name)
        for name in ESTIMATES
    ]
    return pd.concat(frames, ignore_index=True)


def section_of(config: dict[str, Any], variant: str, section: str) -> dict[str, Any]:
    """A section of the configuration with the variant's own values in it."""
    return config[section] | (config["variants"][variant] or {}).get(section, {})


def _observed(runs: pd.DataFrame, config: dict[str, Any]) -> pd.DataFrame:
    """Bounds of the departure in sequences seen: of the run, and over all seeds of its M."""
    batch = {v: section_of(config, v, "training")["batch_size"] for v in runs["variant"].unique()}
    left = runs["outcome"] == "left"
    observed = runs[[*RUN, "outcome"]].assign(departure_step=runs["high"].where(left))
    for end in ("low", "high"):
        observed[f"observed_{end}"] = runs[end] * runs["variant"].map(batch)
    seeds = observed.groupby(["variant", "num_tasks"])
    observed["seeds_low"] = seeds["observed_low"].transform("min")
    observed["seeds_high"] = seeds["observed_high"].transform("max")
    return observed


def _loss_differences(predictors: pd.DataFrame, config: dict[str, Any]) -> pd.DataFrame:
    """Δℓ of every run in nats per sequence: K/2σ² times the difference of mean squared errors."""
    losses = mean_over_positions(predictors, "training")
    losses = losses.pivot(index=RUN, columns="predictor", values="loss").reset_index()
    tasks = {v: section_of(config, v, "task") for v in losses["variant"].unique()}
    nats = {v: task["num_examples"] / (2 * task["noise_variance"]) for v, task in tasks.items()}
    difference = (losses["dmmse"] - losses["ridge"]) * losses["variant"].map(nats)
    return losses[RUN].assign(delta_loss=difference)


def _llc_differences(estimates: pd.DataFrame, name: str) -> pd.DataFrame:
    """Δλ of every run with its 95 % interval, from one form of the LLC at the end of training.

    The interval is that of Student's t with a chain less than there are: errors come from few.
    """
    columns = {name: "run_llc", ESTIMATES[name]: "run_llc_error"}
    runs = estimates[[*RUN, "chains", *columns]].rename(columns=columns)
    reference = runs[np.isinf(runs["num_tasks"])].drop(columns=["num_tasks", "chains"])
    names = {"run_llc": "reference_llc", "run_llc_error": "reference_llc_error"}
    runs = runs.merge(reference.rename(columns=names), on=["variant", "seed"], how="left")
    difference = runs["run_llc"] - runs["reference_llc"]
    runs["delta_llc"] = difference.where(np.isfinite(runs["num_tasks"]))
    width = t.ppf((1 + CONFIDENCE) / 2, (runs["chains"] - 1).clip(lower=1))
    width = width * np.hypot(runs["run_llc_error"], runs["reference_llc_error"])
    runs["delta_llc_low"] = runs["delta_llc"] - width
    runs["delta_llc_high"] = runs["delta_llc"] + width
    return runs.drop(columns="chains")


def _predicted(runs: pd.DataFrame) -> pd.DataFrame:
    """Add n* with its interval, the case it is, and the Δλ that the observation would need."""
    for column, source in (("samples", ""), ("low", "_low"), ("high", "_high")):
        found = crossover(runs["delta_loss"], runs[f"delta_llc{source}"])
        runs[f"predicted_{column}"] = found
    cases = zip(runs["num_tasks"], runs["delta_loss"], runs["delta_llc"], strict=True)
    runs["prediction"] = [prediction(*case) for case in cases]
    sequences = runs["observed_high"].where(runs["outcome"] == "left").to_numpy()
    needed = llc_difference_needed(runs["delta_loss"].to_numpy(), sequences)
    return runs.assign(llc_difference_needed=needed)


# Table free_energy_agreement


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


def predictors_of_order(delta_loss: np.ndarray, delta_llc: np.ndarray) -> dict[str, np.ndarray]:
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
    drawn = predictors_of_order(runs["delta_loss"].to_numpy(), _drawn_differences(runs, rng))
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
        width, together * norm.ppf((1 + CONFIDENCE) / 2), out=np.ones_like(own), where=together > 0
    )
    seeds = runs["seed"].rank(method="dense").to_numpy(int) - 1
    size = NUM_RESAMPLES + 1
    noise = own * rng.standard_normal((size, len(runs)))
    noise += reference * rng.standard_normal((size, seeds.max(initial=0) + 1))[:, seeds]
    noise[0] = 0
    return runs["delta_llc"].to_numpy() + few_chains * noise


# Command


def main() -> None:
    """Compare the predicted with the observed departure from ridge; write both tables."""
    flags = command.parser(main.__doc__)
    inputs = ("evaluation", "predictors", "llc")
    for name in (*inputs, "free_energy", "agreement"):
        flags.add_argument(f"--{name.replace('_', '-')}", required=True, metavar="FILE")
    args = flags.parse_args()
    tables = [read_table(getattr(args, name), name) for name in inputs]
    table = free_energy_table(*tables, args.settings)
    metadata = read_metadata(args.evaluation)
    metadata = {key: metadata[key] for key in ("variant", "num_tasks", "seed")}
    metadata |= command.provenance(args, "cpu")
    write_table(args.free_energy, "free_energy", table, metadata)
    write_table(args.agreement, "free_energy_agreement", agreement_table(table), metadata)


if __name__ == "__main__":
    command.run(main)
