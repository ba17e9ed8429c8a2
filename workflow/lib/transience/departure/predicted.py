"""When a run should leave ridge: the crossover of free energies (paper, eqs. 6-8)."""

from __future__ import annotations

import math

import numpy as np
from scipy.special import lambertw


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
