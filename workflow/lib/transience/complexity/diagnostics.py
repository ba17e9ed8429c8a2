"""Do chains agree, and what are their draws worth? Split R-hat, effective draws, errors (ArviZ)."""

import math

import numpy as np
from arviz_stats.base import array_stats


def split_rhat(traces: np.ndarray) -> float:
    """Rank-normalised split R-hat of traces (chains, T); NaN where there is nothing to compare."""
    return float(array_stats.rhat(traces)) if _comparable(traces) else math.nan


def effective_sample_size(traces: np.ndarray) -> float:
    """Independent draws worth as much as these traces (chains, T) for their mean, or NaN."""
    return float(array_stats.ess(traces, method="mean")) if _comparable(traces) else math.nan


def monte_carlo_error(traces: np.ndarray) -> float:
    """Standard error of the mean of traces (chains, T), autocorrelation counted, or NaN."""
    return float(array_stats.mcse(traces, method="mean")) if _comparable(traces) else math.nan


def _comparable(traces: np.ndarray) -> bool:
    return len(traces) > 0 and traces.shape[1] >= 4 and bool(traces.std() > 0)


def halves_apart(traces: np.ndarray) -> float:
    """Second-half mean less first-half mean, over all chains, in its standard errors.

    Errors are estimated within each half, so a drift does not hide itself by inflating them.
    """
    half = traces.shape[1] // 2
    first, second = traces[:, :half], traces[:, -half:]
    error = math.hypot(monte_carlo_error(first), monte_carlo_error(second))
    return float(second.mean() - first.mean()) / error if error > 0 else math.nan
