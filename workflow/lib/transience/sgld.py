"""Stochastic gradient Langevin dynamics (SGLD), and what a set of chains says about itself.

The sampler knows nothing of transformers or learning coefficients: it moves one flat vector w in
the localised, tempered posterior p(w) ~ exp(-nβ L(w) - γ/2 |w - w*|²) (paper, section 5).

Conventions, stated here once:

- L is the *mean* over samples of the per-sample loss, and a step sees the mean over a minibatch B.
- w ← w - (ε/2) (nβ ∇L_B(w) + γ (w - w*)) + √ε N(0, I): ε multiplies the whole drift by one half,
  and nβ is all the scale there is (no further factor n, 1/2σ² or batch size).
- Draw t is the state *before* step t, so draw 0 is w* itself, and its loss is that of minibatch t.
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import torch

Batch: TypeAlias = tuple[torch.Tensor, ...]
# (w (P,), *batch) -> per-sample losses (B,), gradient of their mean (P,)
ValueAndGradient: TypeAlias = Callable[..., tuple[torch.Tensor, torch.Tensor]]

NUM_BATCHES = 10  # of a trace, for the error of its mean


@dataclass(frozen=True)
class Chain:
    """What is kept of one chain of T draws; a chain that diverged ends early."""

    losses: np.ndarray  # minibatch loss of each draw, float64 (T,), or shorter if it diverged
    position: torch.Tensor  # last state with a finite loss and gradient (P,)
    diverged: bool


def sgld_step(
    w: torch.Tensor,
    gradient: torch.Tensor,
    anchor: torch.Tensor,
    noise: torch.Tensor,
    *,
    step_size: float,
    nbeta: float,
    gamma: float,
) -> torch.Tensor:
    """Move w by one step of SGLD (conventions at the top of the module).

    Args:
        w: state (P,).
        gradient: gradient of the minibatch's mean loss at w (P,).
        anchor: w*, to which γ pulls (P,).
        noise: standard normal numbers (P,).
        step_size: ε > 0.
        nbeta: nβ > 0.
        gamma: γ ≥ 0.
    """
    drift = nbeta * gradient + gamma * (w - anchor)
    return w - (step_size / 2) * drift + math.sqrt(step_size) * noise


def sample_chain(
    value_and_gradient: ValueAndGradient,
    anchor: torch.Tensor,
    batches: Iterable[Batch],
    noise: torch.Generator,
    *,
    step_size: float,
    nbeta: float,
    gamma: float,
    on_draw: Callable[[], None] = lambda: None,
) -> Chain:
    """Run one chain from its anchor w*, one draw for each minibatch.

    The chain stops at the first loss or gradient that is not finite and keeps what it had.
    ``on_draw`` is called once a draw, for progress.
    """
    w, losses = anchor, []
    for batch in batches:
        values, gradient = value_and_gradient(w, *batch)
        loss = values.double().mean().item()
        # the sum is finite only if every entry is, save for an overflow, which is divergence too
        if not (math.isfinite(loss) and math.isfinite(gradient.sum().item())):
            return Chain(np.array(losses), w, diverged=True)
        losses.append(loss)
        normal = torch.randn(w.shape, generator=noise, dtype=w.dtype, device=w.device)
        w = sgld_step(w, gradient, anchor, normal, step_size=step_size, nbeta=nbeta, gamma=gamma)
        on_draw()
    return Chain(np.array(losses), w, diverged=False)


def effective_sample_size(trace: np.ndarray) -> float:
    """Number of independent draws worth as much as this trace (T,) for its mean.

    The smaller of two estimates, at most T: minibatch noise on top of a slow chain hides its
    autocorrelation from Geyer's sequence, which stops at the first pair of lags that looks like
    noise; means of long batches still see it, but they are few.
    """
    variance = trace.var()
    if not variance > 0:
        return float(len(trace))
    times = [1.0, _geyer_time(trace - trace.mean())]
    size = len(trace) // NUM_BATCHES
    if size > 1:
        batches = trace[-size * NUM_BATCHES :].reshape(NUM_BATCHES, size).mean(axis=1)
        times.append(size * batches.var(ddof=1) / variance)
    return len(trace) / max(times)


def _geyer_time(centred: np.ndarray) -> float:
    """Integrated autocorrelation time by the initial monotone sequence (Geyer 1992, 3.3).

    Autocorrelations are summed in pairs of lags, forced to fall, until one is not positive.
    """
    T = len(centred)
    spectrum = np.fft.rfft(centred, 2 * T)  # zero-padded, so that the lags do not wrap around
    covariance = np.fft.irfft(spectrum * spectrum.conj())[:T]
    pairs = (covariance / covariance[0])[: T - T % 2].reshape(-1, 2).sum(axis=1)
    positive = np.logical_and.accumulate(pairs > 0)
    return 2 * np.minimum.accumulate(pairs[positive]).sum() - 1 if positive.any() else 1.0


def monte_carlo_error(trace: np.ndarray) -> float:
    """Standard error of a trace's mean, its autocorrelation taken into account."""
    return float(np.sqrt(trace.var(ddof=1) / effective_sample_size(trace)))


def split_rhat(traces: np.ndarray) -> float:
    """Split R-hat of traces (chains, T): 1 where all half-chains agree (Gelman et al. 2013).

    NaN where there is nothing to compare: no chain, fewer than four draws or no variance.
    """
    half = traces.shape[1] // 2
    if len(traces) == 0 or half < 2:
        return math.nan
    halves = np.concatenate([traces[:, :half], traces[:, -half:]])
    within = halves.var(axis=1, ddof=1).mean()
    between = halves.mean(axis=1).var(ddof=1)
    return float(np.sqrt((half - 1) / half + between / within)) if within > 0 else math.nan
