"""What goes into an LLC estimate and what comes out: settings, draws, errors, flags, tables.

Nothing is clipped or dropped: an estimate that should not be taken at face value carries flags.

- DIVERGED: the chain left the finite numbers; it was stopped and its estimate is missing.
- NEGATIVE: the chain's estimate is below 0, which no minimum has.
- NOT_LOCAL: the loss rose by more than `MAX_LOSS_RISE` of its range: the chain left the basin.
- NOT_EQUILIBRATED: the second halves of the chains differ from the first.
- RHAT: the chains disagree with each other, or with themselves over time.
- ESS: all chains together hold too few independent draws.

The first three concern one chain, the others all chains of the checkpoint.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from transience.errors import InputError
from transience.sgld import effective_sample_size, monte_carlo_error, split_rhat

MAX_LOSS_RISE = 0.05
MAX_HALVES_APART = 3.0  # in standard errors; at 2, one sound checkpoint in twenty has the flag
MAX_RHAT = 1.05
MIN_ESS = 100.0


@dataclass(frozen=True)
class LLCSettings:
    """All an estimate depends on besides loss, w*, data and seed; InputError if unusable."""

    step_size: float  # ε, squared units of weight
    nbeta: float  # nβ, 1 / units of the loss
    gamma: float  # γ, 1 / squared units of weight
    num_chains: int
    num_draws: int  # kept in each chain, after burn-in
    num_burn_in: int
    batch_size: int  # B
    baseline: str = "paired"  # or "dataset": subtract L(w*) over the dataset

    def __post_init__(self) -> None:
        """Check every value."""
        for name in ("step_size", "nbeta"):
            self._check(name, (int, float), lambda value: value > 0, "a number > 0")
        self._check("gamma", (int, float), lambda value: value >= 0, "a number >= 0")
        for name in ("num_chains", "num_draws", "batch_size"):
            self._check(name, int, lambda value: value >= 1, "a whole number >= 1")
        self._check("num_burn_in", int, lambda value: value >= 0, "a whole number >= 0")
        if self.baseline not in ("paired", "dataset"):
            raise InputError(f"baseline: expected paired or dataset, found {self.baseline!r}")

    def _check(self, name: str, kind: Any, fits: Callable[[Any], bool], expected: str) -> None:
        value = getattr(self, name)
        number = isinstance(value, kind) and not isinstance(value, bool) and math.isfinite(value)
        if not (number and fits(value)):
            raise InputError(f"{name}: expected {expected}, found {value!r}")


@dataclass(frozen=True)
class LLCEstimate:
    """The draws of all chains at one w*; traces are float64 (chains, burn-in + draws)."""

    settings: LLCSettings
    losses: np.ndarray  # minibatch loss of each draw; NaN from where a chain diverged
    baseline_losses: np.ndarray  # loss of w*: on the same minibatch, or on the whole dataset
    initial_loss: float  # L(w*) on the dataset
    trivial_loss: float | None  # loss of a predictor that has learnt nothing, on the dataset
    distances: np.ndarray  # |w - w*| at the end of each chain (chains,)
    diverged: np.ndarray  # bool (chains,)

    @property
    def excess(self) -> np.ndarray:
        """nβ (loss - baseline) of the draws kept, (chains, draws): its mean is λ̂."""
        kept = slice(self.settings.num_burn_in, None)
        return self.settings.nbeta * (self.losses - self.baseline_losses)[:, kept]

    @property
    def llc(self) -> float:
        """λ̂ over all chains; NaN, a missing value, if any chain diverged."""
        return float(self.excess.mean())

    @property
    def standard_error(self) -> float:
        """Standard error of `llc` from the spread of its chains, which share no random number."""
        means = self.excess.mean(axis=1)
        return float(means.std(ddof=1) / math.sqrt(len(means))) if len(means) > 1 else math.nan

    @property
    def loss_rise_fractions(self) -> np.ndarray:
        """Mean rise of each chain's loss, as a fraction of the range L(w*) … trivial loss."""
        if self.trivial_loss is None:
            return np.full(len(self.losses), math.nan)
        rise = self.excess.mean(axis=1) / self.settings.nbeta
        return rise / (self.trivial_loss - self.initial_loss)


def flags(estimate: LLCEstimate) -> list[list[str]]:
    """Flags of each chain, see the top of the module."""
    sound = estimate.excess[~estimate.diverged]
    shared = {
        "NOT_EQUILIBRATED": abs(_halves_apart(sound)) > MAX_HALVES_APART,
        "RHAT": split_rhat(sound) > MAX_RHAT,
        "ESS": 0 < sum(map(effective_sample_size, sound)) < MIN_ESS,
    }
    each = zip(
        estimate.diverged, estimate.excess.mean(axis=1), estimate.loss_rise_fractions, strict=True
    )
    own = [
        {"DIVERGED": diverged, "NEGATIVE": llc < 0, "NOT_LOCAL": rise > MAX_LOSS_RISE}
        for diverged, llc, rise in each
    ]
    return [[name for name, raised in (chain | shared).items() if raised] for chain in own]


def _halves_apart(traces: np.ndarray) -> float:
    """Second-half mean less first-half mean, over all chains, in its standard errors.

    Errors are estimated within each half, so a drift does not hide itself by inflating them.
    """
    half = traces.shape[1] // 2
    if len(traces) == 0 or half < 2:
        return math.nan
    halves = np.stack([traces[:, :half], traces[:, -half:]])
    errors = [monte_carlo_error(trace) for trace in halves.reshape(-1, half)]
    difference = halves[1].mean() - halves[0].mean()
    error = math.sqrt(np.square(errors).sum()) / len(traces)
    return difference / error if error > 0 else math.nan


def summary_table(estimate: LLCEstimate, keys: dict[str, Any]) -> pd.DataFrame:
    """One row a chain, as the table `llc` wants them; ``keys`` name the run and the step."""
    settings, excess = estimate.settings, estimate.excess
    half = excess.shape[1] // 2
    chains = range(len(excess))
    return pd.DataFrame(
        keys
        | {
            "chain": chains,
            "llc": excess.mean(axis=1),
            "initial_loss": estimate.initial_loss,
            "mean_loss": estimate.losses[:, settings.num_burn_in :].mean(axis=1),
            "first_half_llc": excess[:, :half].mean(axis=1) if half else math.nan,
            "second_half_llc": excess[:, -half:].mean(axis=1) if half else math.nan,
            "monte_carlo_error": [_error(trace) for trace in excess],
            "rhat": split_rhat(excess[~estimate.diverged]),
            "ess": [_ess(trace) for trace in excess],
            "loss_rise_fraction": estimate.loss_rise_fractions,
            "distance": estimate.distances,
            "acceptance": math.nan,  # every proposal is accepted
            "diverged": estimate.diverged,
            "flags": [",".join(names) for names in flags(estimate)],
            "step_size": settings.step_size,
            "nbeta": settings.nbeta,
            "gamma": settings.gamma,
        },
    )


def _ess(trace: np.ndarray) -> float:
    return effective_sample_size(trace) if np.isfinite(trace).all() else math.nan


def _error(trace: np.ndarray) -> float:
    return monte_carlo_error(trace) if len(trace) > 1 and np.isfinite(trace).all() else math.nan


def draw_table(estimate: LLCEstimate, keys: dict[str, Any]) -> pd.DataFrame:
    """One row a draw, burn-in included, as the table `llc_trace` wants them."""
    chain, draw = np.nonzero(np.isfinite(estimate.losses))  # a diverged chain ends early
    columns = {
        "chain": chain,
        "draw": draw,
        "loss": estimate.losses[chain, draw],
        "baseline_loss": estimate.baseline_losses[chain, draw],
    }
    return pd.DataFrame(columns).assign(**keys)
