"""When a rational learner turns from ridge to dMMSE_M (Wurgaft et al., arXiv 2506.17859).

After n sequences its log odds of dMMSE_M against ridge are

    γ n^(1-α) ΔL - ln 2 (K_M^β - K_ridge^β):

evidence that counts less and less (0 < α < 1), against a prior in which a description of K bits
weighs 2^(-K^β). Theirs: the form, α, β and γ, which they fit. Choices that are ours:

- n in sequences and ΔL in nats per sequence, as in table `free_energy`; theirs are steps and nats
  per token. This changes γ alone.
- K in bits: a program, and 32 bits a number that it is to know. They compress arrays of float32 and
  source code; random numbers don't get much shorter. dMMSE_M knows M D numbers, ridge one, the
  noise variance.
- One length for both programs: what is left of the source of theirs, compressed, is 4 to 5 thousand
  bits each.
- 0 < β < 1: theirs only has to be positive, and is less than 1 where they start their fits.
"""

from __future__ import annotations

import math

import numpy as np

BITS_PER_NUMBER = 32
PROGRAM_BITS = 4096
RIDGE_BITS = PROGRAM_BITS + BITS_PER_NUMBER


def description_length(num_tasks: np.ndarray, task_dimension: int) -> np.ndarray:
    """K_M in bits: the program and all tasks of dMMSE_M, elementwise."""
    return PROGRAM_BITS + BITS_PER_NUMBER * task_dimension * np.asarray(num_tasks, float)


def log_odds(
    sequences: np.ndarray,
    gain: np.ndarray,
    dmmse_bits: np.ndarray,
    ridge_bits: np.ndarray,
    *,
    alpha: np.ndarray,
    beta: np.ndarray,
    gamma: np.ndarray,
) -> np.ndarray:
    """Log odds of dMMSE_M against ridge after n sequences, in nats (Wurgaft et al.); broadcasts.

    ``gain`` is ΔL, loss of ridge less that of dMMSE_M, in nats per sequence.
    """
    evidence = gamma * np.asarray(sequences, float) ** (1 - alpha) * gain
    return evidence - math.log(2) * (dmmse_bits**beta - ridge_bits**beta)


def log_crossing(
    gain: np.ndarray,
    dmmse_bits: np.ndarray,
    ridge_bits: np.ndarray,
    *,
    alpha: np.ndarray,
    beta: np.ndarray,
    log_unit: np.ndarray,
) -> np.ndarray:
    """log n at which the log odds are 0; broadcasts.

    ``log_unit`` stands for γ: the log of the number of sequences at which a nat of ΔL counts as
    one, γ n^(1-α) = 1. -inf where dMMSE_M is preferred at every n (it has no longer description),
    inf where it has no lower loss and ridge is; NaN where something is missing.
    """
    gain, cost = np.broadcast_arrays(gain, dmmse_bits**beta - ridge_bits**beta)
    missing = np.isnan(gain) | np.isnan(cost)
    trade_off = (gain > 0) & (cost > 0)
    ratio = np.log(math.log(2) * np.where(trade_off, cost, 1.0) / np.where(trade_off, gain, 1.0))
    at_an_end = np.where(gain > 0, -math.inf, math.inf)
    found = np.where(trade_off, ratio / (1 - alpha) + log_unit, at_an_end)
    return np.where(missing, math.nan, found)


def gamma_of(alpha: np.ndarray, log_unit: np.ndarray) -> np.ndarray:
    """γ, per nat, from the unit of `log_crossing`."""
    return np.exp(-(1 - alpha) * log_unit)
