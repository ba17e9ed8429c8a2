"""Least squares in logarithms: how a quantity goes with several factors at once (ours)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from transience.departure.agreement import CONFIDENCE

Interval = tuple[float, float, float]  # the value, and the ends of its interval


@dataclass(frozen=True)
class PowerLaw:
    """Exponents of factors, with a constant for each seed, and how sure they are.

    Intervals are Student's t. Errors count as independent, and what one law does not say of a
    factor counts as error of all. ``covariance`` is (p, p), of factors first, then seeds.
    """

    factors: list[str]
    coefficients: np.ndarray  # (p,)
    covariance: np.ndarray  # (p, p); NaN without a degree of freedom
    variance: float  # of the error of one observation
    freedom: int

    @property
    def constant(self) -> float:
        """The quantity where no factor is turned: the geometric mean over seeds."""
        return exponential(float(self.coefficients[len(self.factors) :].mean()))

    def exponent(self, factor: str) -> Interval:
        """Exponent of a factor; NaN as ends where nothing is left over."""
        place = self.factors.index(factor)
        error = math.sqrt(self.covariance[place, place])
        return interval(float(self.coefficients[place]), error, self.freedom)

    def at(self, logs: Mapping[str, float]) -> tuple[float, float]:
        """Log of the quantity, and its variance, at the logs of factors, for one more run.

        Of seeds like these, in the mean: what other seeds may add is not in it.
        """
        seeds = len(self.coefficients) - len(self.factors)
        point = np.array([*(logs.get(name, 0.0) for name in self.factors), *[1 / seeds] * seeds])
        return float(point @ self.coefficients), float(
            point @ self.covariance @ point + self.variance
        )


def exponential(value: float) -> float:
    """e to the value, at most 1e300."""
    return math.exp(min(value, math.log(1e300)))


def interval(value: float, error: float, freedom: int) -> Interval:
    """A value and its 95 % interval; NaN as ends without a degree of freedom."""
    if freedom < 1:
        return value, math.nan, math.nan
    half = float(stats.t.ppf((1 + CONFIDENCE) / 2, freedom)) * error
    return value, value - half, value + half


def fit(rows: pd.DataFrame) -> PowerLaw | None:
    """Law of rows with columns seed, value, and the log of each factor.

    Left out are factors that are the same in all rows of every seed. None where nothing is left,
    or where factors can't be told apart.
    """
    logs = rows.drop(columns=["seed", "value"])
    within = logs - logs.groupby(rows["seed"]).transform("mean")
    logs = logs.loc[:, within.abs().max() > 1e-9]
    seeds = pd.get_dummies(rows["seed"]).to_numpy(float)
    design = np.hstack([logs.to_numpy(float), seeds])  # n p
    count, size = design.shape
    if logs.empty or np.linalg.matrix_rank(design) < size:
        return None
    target, freedom = np.log(rows["value"].to_numpy(float)), count - size
    coefficients, *_ = np.linalg.lstsq(design, target)
    rest = target - design @ coefficients
    variance = float(rest @ rest) / freedom if freedom else math.nan
    covariance = variance * np.linalg.inv(design.T @ design)
    return PowerLaw([*logs.columns], coefficients, covariance, variance, freedom)
