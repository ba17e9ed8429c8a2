"""Does the trade-off between loss and complexity predict when a run leaves ridge?

The paper explains transient ridge by the free energy of neighbourhoods (its eqs. 6-8),
-log Z_n ≈ n ℓ(u) + λ(u) log n, and leaves open whether it tells *when*. Between ridge (u) and
dMMSE_M (v), with Δℓ = ℓ(v) - ℓ(u) and Δλ = λ(v) - λ(u), ridge is preferred while
log(n)/n > -Δℓ/Δλ; n* is where that ends. Choices that are ours:

- Δℓ: losses of the ideal predictors on q_M, times K/2σ²: nats per sequence.
- λ(v): LLC at the end of the run; λ(u): at the end of the M = inf run of the same seed.
- n: sequences seen, by the table `training`.
- departure: see `observed.departure`. It lies between two checkpoints, or is cut off by the start
  or end of training; nothing is made up for what was cut off (`agreement.known_order`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import stdtrit

from transience.command import flags, provenance
from transience.command.entry import ends_in_one_line
from transience.complexity.summary import llc_by_run
from transience.departure.agreement import CONFIDENCE, agreement_table
from transience.departure.course import Course
from transience.departure.observed import departures
from transience.departure.predicted import crossover, llc_difference_needed, prediction
from transience.departure.variants import variant_section
from transience.files.selections import mean_over_positions
from transience.files.tables import RUN_KEYS, read_metadata, read_table, write_table
from transience.problem.settings import TaskSettings

ESTIMATES = {"centred_llc": "error", "llc": "llc_error"}  # forms of the LLC and their errors


class FreeEnergyReads(flags.Reads):
    """What the comparison depends on."""

    task: TaskSettings
    variants: dict[str, dict[str, Any]]  # sections by variant, with its own values only


def main() -> None:
    """Compare the predicted with the observed departure from ridge; write both tables."""
    parser = flags.parser(main.__doc__, FreeEnergyReads)
    inputs = ("evaluation", "predictors", "llc", "training")
    flags.add_files(parser, *inputs, "free_energy", "free_energy_agreement")
    args = parser.parse_args()
    tables = [read_table(getattr(args, name), name) for name in inputs]
    table = free_energy_table(*tables, nats_of(args.settings))
    metadata = provenance.of_sweep(args, [read_metadata(args.evaluation)])
    write_table(args.free_energy, "free_energy", table, metadata)
    agreement = agreement_table(table)
    write_table(args.free_energy_agreement, "free_energy_agreement", agreement, metadata)


def nats_of(settings: FreeEnergyReads) -> dict[str, float]:
    """K/2σ² by variant: nats per sequence in a unit of loss."""
    tasks = {variant: variant_section(settings, variant, "task") for variant in settings.variants}
    return {name: task.num_examples / (2 * task.noise_variance) for name, task in tasks.items()}


def free_energy_table(
    evaluation: pd.DataFrame,
    predictors: pd.DataFrame,
    llc: pd.DataFrame,
    training: pd.DataFrame,
    nats: Mapping[str, float],
) -> pd.DataFrame:
    """Table `free_energy` from those tables, and the nats per sequence of each variant.

    Where the LLC is off, what is observed is there, and what is predicted is missing.
    """
    runs = _observed(departures(evaluation), training)
    runs = runs.merge(_loss_differences(predictors, nats), on=RUN_KEYS)
    estimates = llc_by_run(llc)
    frames = [
        _predicted(runs.merge(_llc_differences(estimates, name), on=RUN_KEYS, how="left")).assign(
            estimate=name
        )
        for name in ESTIMATES
    ]
    return pd.concat(frames, ignore_index=True)


def _observed(runs: pd.DataFrame, training: pd.DataFrame) -> pd.DataFrame:
    """Bounds of the departure in sequences seen: of the run, and over all seeds of its M."""
    courses = {run: Course.of(rows) for run, rows in training.groupby(RUN_KEYS)}
    left = runs["outcome"] == "left"
    observed = runs[[*RUN_KEYS, "outcome"]].assign(departure_step=runs["high"].where(left))
    for end in ("low", "high"):
        bounds = runs[[*RUN_KEYS, end]].itertuples(index=False)
        observed[f"observed_{end}"] = [
            courses[tuple(run)].at(step, "sequences") for *run, step in bounds
        ]
    seeds = observed.groupby(["variant", "num_tasks"])
    observed["seeds_low"] = seeds["observed_low"].transform("min")
    observed["seeds_high"] = seeds["observed_high"].transform("max")
    return observed


def _loss_differences(predictors: pd.DataFrame, nats: Mapping[str, float]) -> pd.DataFrame:
    """Δℓ of every run in nats per sequence: K/2σ² times the difference of mean squared errors."""
    losses = mean_over_positions(predictors, "training")
    losses = losses.pivot(index=RUN_KEYS, columns="predictor", values="loss").reset_index()
    difference = (losses["dmmse"] - losses["ridge"]) * losses["variant"].map(nats)
    return losses[RUN_KEYS].assign(delta_loss=difference)


def _llc_differences(estimates: pd.DataFrame, name: str) -> pd.DataFrame:
    """Δλ of every run with its 95 % interval, from one form of the LLC at the end of training.

    The interval is that of Student's t with a chain less than there are: errors come from few.
    """
    columns = {name: "run_llc", ESTIMATES[name]: "run_llc_error"}
    runs = estimates[[*RUN_KEYS, "chains", *columns]].rename(columns=columns)
    reference = runs[np.isinf(runs["num_tasks"])].drop(columns=["num_tasks", "chains"])
    names = {"run_llc": "reference_llc", "run_llc_error": "reference_llc_error"}
    runs = runs.merge(reference.rename(columns=names), on=["variant", "seed"], how="left")
    difference = runs["run_llc"] - runs["reference_llc"]
    runs["delta_llc"] = difference.where(np.isfinite(runs["num_tasks"]))
    width = stdtrit((runs["chains"] - 1).clip(lower=1), (1 + CONFIDENCE) / 2)
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


if __name__ == "__main__":
    ends_in_one_line(main)
