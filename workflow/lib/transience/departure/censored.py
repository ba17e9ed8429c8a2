"""Fit of a law to departures known by bounds only: a Gaussian error in log n (ours).

A run that left counts with the probability between two checkpoints, one that stays with that above
the end of training, one never near ridge with that below its first known step: nothing is made up
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
# The search goes in rounds, each in the units of what the last found to be unknown,
FIRST = 0.5  # in these units: sides of the first simplex,
STEPS = (1e-3, 0.1, 0.1, 0.1)  # of second differences in each round
LEAST_CURVATURE = 0.05  # in these units: what is flat or bent upwards counts as this


Columns = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Law:
    """What foretells log n of a run from a few free numbers.

    ``predict`` takes numbers (r, p) and columns ``needs`` of a table of n runs to log n (r, n), or
    (r, 1) where it is the same for all. ``priors`` are mean and standard deviation of each number,
    ``report`` tells what they mean (r,) by name, in the units of the columns.
    """

    predict: Callable[[np.ndarray, Columns], np.ndarray]
    needs: tuple[str, ...] = ()
    priors: tuple[tuple[float, float], ...] = ()
    report: Callable[[np.ndarray, Columns], dict[str, np.ndarray]] = lambda numbers, columns: {}

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

    def numbers(self, runs: pd.DataFrame) -> dict[str, tuple[float, float, float]]:
        """What the numbers mean: the most probable values, and the ends of their 95 % intervals."""
        columns = self.law.columns(runs)
        best, drawn = (
            self.law.report(numbers[:, :-1], columns) | {"sigma": np.exp(numbers[:, -1])}
            for numbers in (self.best[None], self.draws)
        )
        ends = {name: np.quantile(values, [0.025, 0.975]) for name, values in drawn.items()}
        return {name: (float(best[name][0]), *map(float, ends[name])) for name in best}


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
    summits = [_summit(loss, begin) for begin in begins]
    found, root = min(summits, key=lambda summit: loss(summit[0]))
    draws = _posterior(losses, found, root)
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


def _summit(
    loss: Callable[[np.ndarray], float], begin: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Where the loss is least (p,), and a root (p, p) of the covariance there: root' root.

    By simplex, as bounds of predictions make kinks. Numbers that make up for each other leave a
    narrow valley, so the search goes on in units in which the valley found so far is round. The
    root is at most 1, that of the prior, in every direction.
    """
    root = np.eye(len(begin))
    simplex = FIRST * np.eye(len(begin) + 1, len(begin), -1)
    options = {"initial_simplex": simplex, "xatol": 1e-4, "fatol": 1e-7, "maxfev": 2000}
    for step in STEPS:

        def local(units: np.ndarray, at: np.ndarray = begin, root: np.ndarray = root) -> float:
            return loss(at + units @ root)

        least = minimize(local, 0 * begin, method="Nelder-Mead", options=options).x
        begin = begin + least @ root
        values, vectors = np.linalg.eigh(_second_derivatives(local, least, step))
        root = (vectors / np.sqrt(np.maximum(values, LEAST_CURVATURE))).T @ root
    left, sizes, right = np.linalg.svd(root)
    return begin, left @ (np.minimum(sizes, 1.0)[:, None] * right)


def _second_derivatives(
    loss: Callable[[np.ndarray], float], at: np.ndarray, step: float
) -> np.ndarray:
    """Second differences (p, p)."""
    steps = step * np.eye(len(at))
    second = np.empty((len(at), len(at)))
    for i, one in enumerate(steps):
        for j, other in enumerate(steps):
            outer, inner = (loss(at + way) + loss(at - way) for way in (one + other, one - other))
            second[i, j] = (outer - inner) / (4 * step**2)
    return second
