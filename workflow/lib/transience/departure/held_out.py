"""Which theory predicts the departure of runs it has not seen?

Every law is fitted to all runs but those of one M (or one seed), and predicts these. A run is
scored by its bounds: how far outside of them the prediction is, and what probability the law gave
to what lies between. All of it is ours, but for the theories: eq. 8, and the rational model.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from transience.command import flags, provenance
from transience.command.entry import ends_in_one_line
from transience.departure.agreement import CONFIDENCE
from transience.departure.censored import Fit, Law, fit
from transience.departure.laws import LAWS, with_features
from transience.departure.scores import numbers_text, scores_table
from transience.departure.variants import variant_section
from transience.files.tables import RUN_KEYS, read_metadata, read_table, write_table
from transience.problem.settings import TaskSettings

ESTIMATE = "centred_llc"  # the form of the LLC that laws take
KNOWN = ("left", "stays", "passed_by")  # outcomes that bound the departure
SCHEMES = ("num_tasks", "seed")
LEAST_LEFT = 2  # runs that left, among those a law is fitted to
LEVELS = ((1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2)
OUTCOME = ["outcome", "observed_low", "observed_high"]
SCORED = ["error", "log_probability", "covered"]


class HeldOutReads(flags.Reads):
    """What the comparison depends on."""

    task: TaskSettings
    variants: dict[str, dict[str, Any]]  # sections by variant, with its own values only


def main() -> None:
    """Predict departures from ridge of runs held out; write predictions and their scores."""
    parser = flags.parser(main.__doc__, HeldOutReads)
    outputs = ("departure_prediction", "departure_prediction_scores")
    flags.add_files(parser, "free_energy", *outputs)
    args = parser.parse_args()
    settings = args.settings
    dimensions = {
        variant: variant_section(settings, variant, "task").task_dimension
        for variant in settings.variants
    }
    made = held_out_tables(read_table(args.free_energy, "free_energy"), dimensions)
    metadata = provenance.of_sweep(args, [read_metadata(args.free_energy)])
    for name, table in zip(outputs, made, strict=True):
        write_table(getattr(args, name), name, table, metadata)


def held_out_tables(
    free_energy: pd.DataFrame, dimensions: Mapping[str, int], laws: Mapping[str, Law] = LAWS
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Tables `departure_prediction` and its scores; ``dimensions`` is D by variant."""
    chosen = free_energy["estimate"].eq(ESTIMATE) & free_energy["outcome"].isin(KNOWN)
    rows, numbers = [], {}
    for variant, runs in free_energy[chosen].groupby("variant"):
        runs = with_features(runs, dimensions[variant])
        for predictor, law in laws.items():
            usable = runs.dropna(subset=list(law.needs))
            if (whole := _fitted(law, usable)) is None:
                continue
            numbers[variant, predictor] = numbers_text(whole, usable)
            rows += [one.assign(predictor=predictor) for one in _held_out(law, usable, whole)]
    columns = [*RUN_KEYS, "held_out", "predictor", *OUTCOME]
    columns += ["predicted_samples", "predicted_low", "predicted_high", *SCORED]
    table = pd.concat(rows, ignore_index=True) if rows else pd.DataFrame(columns=columns)
    return table[columns], scores_table(table, numbers)


def _held_out(law: Law, runs: pd.DataFrame, whole: Fit) -> Iterator[pd.DataFrame]:
    """Predictions for the runs of each M, then each seed, by a fit to all others.

    The fit to all runs is one of several places where the search for that of the others begins.
    """
    for scheme in SCHEMES:
        for _, left_out in runs.groupby(scheme):
            found = _fitted(law, runs.drop(left_out.index), whole)
            if found is not None:
                yield _predictions(found, left_out).assign(held_out=scheme)


def _fitted(law: Law, runs: pd.DataFrame, near: Fit | None = None) -> Fit | None:
    """The law fitted to runs; None where too few of them left."""
    if (runs["outcome"] == "left").sum() < LEAST_LEFT:
        return None
    return fit(law, runs, _bounds(runs), near)


def _bounds(runs: pd.DataFrame) -> np.ndarray:
    """Bounds of log n (2, n); a run that was nearer to dMMSE_M from step 0 on left by n = 1."""
    low, high = runs[["observed_low", "observed_high"]].to_numpy(float).T
    with np.errstate(divide="ignore"):
        return np.log([low, np.maximum(high, 1.0)])


def _predictions(found: Fit, runs: pd.DataFrame) -> pd.DataFrame:
    """Rows of `departure_prediction` for runs that the fit has not seen."""
    bounds, log_n = _bounds(runs), found.predict(runs)
    ends = found.quantiles(runs, LEVELS)
    outside = np.maximum(bounds[0] - log_n, log_n - bounds[1]).clip(min=0)
    return runs[[*RUN_KEYS, *OUTCOME]].assign(
        predicted_samples=np.exp(log_n),
        predicted_low=np.exp(ends[0]),
        predicted_high=np.exp(ends[1]),
        error=outside / np.log(10),
        log_probability=found.log_probability(runs, bounds),
        covered=(ends[0] <= bounds[1]) & (ends[1] >= bounds[0]),
    )


if __name__ == "__main__":
    ends_in_one_line(main)
