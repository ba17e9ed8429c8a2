"""How well each law predicts departures that it has not seen: means over runs (ours)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from transience.departure.agreement import CONFIDENCE, NUM_RESAMPLES
from transience.departure.censored import Fit
from transience.files.tables import RUN_KEYS

STANDARD = "power_law"  # what the other laws are compared with
KEYS = ["variant", "held_out", "predictor"]
COLUMNS = [
    *(*KEYS, "scope", "num_runs", "error", "error_low", "error_high", "coverage"),
    *("log_probability", "advantage", "advantage_low", "advantage_high", "numbers"),
]


def scores_table(predictions: pd.DataFrame, numbers: Mapping[tuple[str, str], str]) -> pd.DataFrame:
    """Table `departure_prediction_scores`; ``numbers`` in words, by variant and predictor.

    Intervals are percentiles of a bootstrap over runs, the same resamples for all laws of the same
    runs. The advantage of a law is taken over runs that it and the standard both predict.
    """
    rows = []
    for (variant, held_out, predictor), whole in predictions.groupby(KEYS):
        of_scheme = predictions[predictions[KEYS[:2]].eq([variant, held_out]).all(axis=1)]
        standard = of_scheme[of_scheme["predictor"] == STANDARD].set_index(RUN_KEYS)
        for scope in ("all", "left"):
            runs = whole[whole["outcome"].eq("left") | (scope == "all")]
            if len(runs):
                row = {"variant": variant, "held_out": held_out, "predictor": predictor}
                row |= {"scope": scope} | _scores(runs.set_index(RUN_KEYS), standard)
                rows.append(row | {"numbers": numbers[variant, predictor]})
    return pd.DataFrame(rows, columns=COLUMNS)


def _scores(runs: pd.DataFrame, standard: pd.DataFrame) -> dict[str, Any]:
    gained = runs["log_probability"] - standard["log_probability"].reindex(runs.index)
    scores = {
        "num_runs": len(runs),
        "coverage": runs["covered"].astype(float).mean(),
        "log_probability": runs["log_probability"].mean(),
    }
    for name, values in (("error", runs["error"]), ("advantage", gained.dropna())):
        low, high = bootstrapped_mean(values.to_numpy(float))
        scores |= {name: values.mean(), f"{name}_low": low, f"{name}_high": high}
    return scores


def bootstrapped_mean(values: np.ndarray) -> tuple[float, float]:
    """Ends of the 95 % interval of the mean of ``values`` (n,); NaN without any."""
    if not len(values):
        return np.nan, np.nan
    picks = np.random.default_rng(0).integers(len(values), size=(NUM_RESAMPLES, len(values)))
    means = values[picks].mean(axis=1)
    low, high = np.quantile(means, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return float(low), float(high)


def numbers_text(fit: Fit, runs: pd.DataFrame) -> str:
    """Fitted numbers with their 95 % intervals: `a=4.3 (3.8 to 4.9), sigma=0.28 (0.1 to 0.6)`."""
    return ", ".join(
        f"{name}={value:.3g} ({low:.2g} to {high:.2g})"
        for name, (value, low, high) in fit.numbers(runs).items()
    )
