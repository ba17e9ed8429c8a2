"""Fit of a law to departures known by bounds only: a Gaussian error in log n (ours).

A run that left counts with the probability between two checkpoints, one that stays with that above
the end of training, one never at ridge with that below its first known step: nothing is made up
for what was cut off. Weak Gaussian priors keep numbers within reason that few runs say nothing of.
What is left unknown of them is drawn from their posterior: from Student's t around the most
probable ones, as wide as second derivatives say and half more, then resampled by importance.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.optimize import minimize
from scipy.special import log_ndtr, logsumexp

LEAST, MOST = 0.0, math.log(1e12)  # of log n: a prediction beyond counts as one there
LOG_DEVIATION = (math.log(0.3), 1.0)  # prior of the log of the error's standard deviation
NUM_DRAWS = 1000  # of the posterior, for a prediction,
NUM_PROPOSALS = 3000  # resampled from these:
TAIL, WIDER = 5, 1.5  # degrees of freedom, and how much wider than the second derivatives say
BATCH = 250  # proposals at a time
STEP = 1e-3  # of second differences, in standard deviations of the prior


Columns = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Law:
    """What foretells log n of a run from a few free numbers.

    ``predict`` takes numbers (r, p) and columns ``needs`` of a table of n runs to log n (r, n), or
    (r, 1) where it is the same for all. ``priors`` are mean and standard deviation of each number,
    ``report`` names what they mean.
    """

    predict: Callable[[np.ndarray, Columns], np.ndarray]
    needs: tuple[str, ...] = ()
    priors: tuple[tuple[float, float], ...] = ()
    report: Callable[[np.ndarray], dict[str, np.ndarray]] = lambda numbers: {}

    def columns(self, runs: pd.DataFrame) -> Columns:
        """What it needs of runs, as arrays (n,)."""
        return {name: runs[name].to_numpy(float) for name in self.needs}

    def bounded(self, numbers: np.ndarray, columns: Columns) -> np.ndarray:
        """Predictions between `LEAST` and `MOST`."""
        return np.clip(self.predict(numbers, columns), LEAST, MOST)


@dataclass(frozen=True)
class Fit:
    """A law with the numbers that runs gave it, the log of the standard deviation as the last."""

    law: Law
    best: np.ndarray  # (p + 1,), the most probable ones
    draws: np.ndarray  # (r, p + 1)

    def predict(self, runs: pd.DataFrame) -> np.ndarray:
        """log n (n,) by the most probable numbers."""
        return self._means(self.best[None], runs)[0]

    def quantiles(self, runs: pd.DataFrame, levels: Sequence[float]) -> np.ndarray:
        """Quantiles (q, n) of log n of runs: unknown numbers and the error together."""
        means = self._means(self.draws, runs)
        noise = np.random.default_rng(1).standard_normal(means.shape)
        return np.quantile(means + np.exp(self.draws[:, -1:]) * noise, levels, axis=0)

    def log_probability(self, runs: pd.DataFrame, bounds: np.ndarray) -> np.ndarray:
        """Log of the probability (n,) that it gave to the ``bounds`` (2, n) of log n."""
        means = self._means(self.draws, runs)
        each = log_probability(bounds, means, np.exp(self.draws[:, -1:]))
        return logsumexp(each, axis=0) - math.log(len(self.draws))

    def _means(self, numbers: np.ndarray, runs: pd.DataFrame) -> np.ndarray:
        """Predictions (r, n)."""
        found = self.law.bounded(numbers[:, :-1], self.law.columns(runs))
        return np.broadcast_to(found, (len(numbers), len(runs)))

    def numbers(self) -> dict[str, tuple[float, float, float]]:
        """What the numbers mean: the most probable values, and the ends of their 95 % intervals."""
        reported = {}
        for name, values in self._reported(self.best[None]).items():
            ends = np.quantile(self._reported(self.draws)[name], [0.025, 0.975])
            reported[name] = (float(values[0]), float(ends[0]), float(ends[1]))
        return reported

    def _reported(self, numbers: np.ndarray) -> dict[str, np.ndarray]:
        return self.law.report(numbers[:, :-1]) | {"sigma": np.exp(numbers[:, -1])}


def log_probability(bounds: np.ndarray, mean: np.ndarray, deviation: np.ndarray) -> np.ndarray:
    """Log of the probability of (low, high] under a Gaussian; ``bounds`` (2, n), broadcasts."""
    low, high = ((end - mean) / deviation for end in bounds)
    # Both ends in the lower tail, where the logarithms are exact.
    low, high = np.where(low > 0, -high, low), np.where(low > 0, -low, high)
    upper = log_ndtr(high)
    with np.errstate(invalid="ignore"):  # both -inf: an interval beyond all numbers
        below = np.nan_to_num(log_ndtr(low) - upper, nan=-math.inf, neginf=-math.inf)
    return upper + np.log1p(-np.exp(np.minimum(below, -1e-16)))


def fit(law: Law, runs: pd.DataFrame, bounds: np.ndarray, near: Fit | None = None) -> Fit:
    """Fit a law to n runs whose log n lie within ``bounds`` (2, n).

    Searches from the middle of the priors, and from a deviation to both sides of it or, if there
    is one, from the fit to most of the same runs.
    """
    centre, scale = np.array([*law.priors, LOG_DEVIATION]).T
    columns = law.columns(runs)

    def losses(units: np.ndarray) -> np.ndarray:
        """Negative log posterior (r,) of numbers (r, p), in standard deviations of their priors."""
        numbers = centre + scale * units
        means = law.bounded(numbers[:, :-1], columns)
        likelihood = log_probability(bounds, means, np.exp(numbers[:, -1:])).sum(axis=1)
        return np.square(units).sum(axis=1) / 2 - np.maximum(likelihood, -1e12)

    def loss(units: np.ndarray) -> float:
        return float(losses(units[None])[0])

    begins = [np.full(len(centre), at) for at in (0.0, 1.0, -1.0)]
    if near:
        begins[1:] = [(near.best - centre) / scale]
    found = min((_least(loss, begin) for begin in begins), key=loss)
    draws = _posterior(losses, found, _root_of_covariance(loss, found))
    return Fit(law, centre + scale * found, centre + scale * draws)


def _posterior(
    losses: Callable[[np.ndarray], np.ndarray], middle: np.ndarray, root: np.ndarray
) -> np.ndarray:
    """Draws (r, p) of the density exp(-losses), by importance from Student's t about its mode."""
    rng, size = np.random.default_rng(0), len(middle)
    noise = rng.standard_normal((NUM_PROPOSALS, size))
    noise *= WIDER / np.sqrt(rng.chisquare(TAIL, (NUM_PROPOSALS, 1)) / TAIL)
    proposals = middle + noise @ root
    density = -(TAIL + size) / 2 * np.log1p(np.square(noise / WIDER).sum(axis=1) / TAIL)
    parts = np.split(proposals, range(BATCH, NUM_PROPOSALS, BATCH))
    logs = -np.concatenate([losses(part) for part in parts]) - density
    reached = np.cumsum(np.exp(logs - logs.max()))
    levels = (np.arange(NUM_DRAWS) + 0.5) / NUM_DRAWS * reached[-1]
    return proposals[np.searchsorted(reached, levels)]


def _least(loss: Callable[[np.ndarray], float], begin: np.ndarray) -> np.ndarray:
    """Where the loss is least: by simplex, as bounds of predictions make kinks; begun anew once."""
    for _ in range(2):
        begin = minimize(
            loss, begin, method="Nelder-Mead",
            options={"xatol": 1e-5, "fatol": 1e-7, "maxfev": 4000},
        ).x  # fmt: skip
    return begin


def _root_of_covariance(loss: Callable[[np.ndarray], float], at: np.ndarray) -> np.ndarray:
    """Symmetric root of the inverse of second derivatives (p, p); at most 1, that of the prior."""
    size = len(at)
    steps = STEP * np.eye(size)
    second = np.empty((size, size))
    for i in range(size):
        for j in range(size):
            corners = (steps[i] + steps[j], steps[i] - steps[j])
            outer, inner = ((loss(at + one) + loss(at - one)) for one in corners)
            second[i, j] = (outer - inner) / (4 * STEP**2)
    values, vectors = np.linalg.eigh(second)
    return vectors / np.sqrt(np.maximum(values, 1.0)) @ vectors.T
