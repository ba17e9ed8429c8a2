"""What goes into an LLC estimate and what comes out: settings, draws, errors, flags, tables.

Nothing is clipped or dropped: an estimate that should not be taken at face value carries flags.

- DIVERGED: the chain left the finite numbers; it was stopped and its estimate is missing.
- NEGATIVE: the chain's estimate at w* is below 0, which no minimum has. See the centred one.
- NOT_LOCAL: the draws' loss is more than `MAX_LOSS_RISE` of its range above that at their mean: the
  chain left the basin.
- NOT_EQUILIBRATED: the second halves of the chains differ from the first.
- RHAT: the chains disagree with each other, or with themselves over time.
- ESS: all chains together hold too few independent draws.
- ABOVE_HALF_P: above P/2, half the parameters, by more than its error: no model has that.
- STIFF: ε (nβ h + γ)/4 is above `MAX_STIFFNESS` for the largest curvature h that is left.
- ACCEPTANCE: a step would have been rejected too often.
- UNCHECKED: one of the others could not be looked at, as what it needs is missing: no loss of a
  trivial predictor to tell what is local, no measured curvature, too few draws or chains.

The first three, ABOVE_HALF_P and ACCEPTANCE concern one chain, the others all of the checkpoint.
Split R-hat (rank-normalised), effective sample sizes and Monte-Carlo errors are ArviZ's (Vehtari et
al. 2021), taken on the paired trace: minibatch noise common to a draw and its baseline would hide
disagreement.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from transience.complexity.diagnostics import (
    effective_sample_size,
    halves_apart,
    monte_carlo_error,
    split_rhat,
)
from transience.complexity.limits import (
    FLAGS,
    MAX_HALVES_APART,
    MAX_LOSS_RISE,
    MAX_RHAT,
    MAX_STIFFNESS,
    MIN_ACCEPTANCE,
    MIN_ESS,
)
from transience.complexity.settings import SamplerSettings

if TYPE_CHECKING:
    import pandas as pd  # only for tables: the estimator does without

SURE = 3.0  # standard errors by which a chain is above P/2, where a regular model may well be


@dataclass(frozen=True)
class LLCEstimate:
    """The draws of all chains at one w*; traces are float64 (chains, burn-in + draws)."""

    settings: SamplerSettings
    losses: np.ndarray  # minibatch loss of each draw; NaN from where a chain diverged
    baseline_losses: np.ndarray  # loss of w*: on the same minibatch, or on the whole dataset
    initial_loss: float  # L(w*) on the dataset; of fresh samples, over all draws
    # L on the same samples at the mean w̄ of all draws kept, then of all but those of chain 0, 1, …
    # (1 + chains,); NaN if one diverged
    centre_losses: np.ndarray
    trivial_loss: float | None  # loss of a predictor that has learnt nothing, on the dataset
    acceptances: np.ndarray  # mean Metropolis acceptance of each chain (chains,)
    distances: np.ndarray  # |w - w*| at the end of each chain (chains,)
    diverged: np.ndarray  # bool (chains,)
    num_parameters: int  # P
    largest_curvature: float = math.nan  # of the Hessian at w*; NaN if it was not measured
    remaining_curvature: float = math.nan  # the largest that the preconditioner leaves

    @property
    def stiffness(self) -> float:
        """That of the largest curvature left, see `settings.Scales.stiffness`."""
        return self.settings.stiffness(self.remaining_curvature)

    @property
    def flags(self) -> list[str]:
        """Flags of any chain."""
        raised = {name for names in chain_flags(self) for name in names}
        return [name for name in FLAGS if name in raised]

    def __str__(self) -> str:
        """The estimate in two lines: both forms with their errors, and the flags in words."""
        settings = self.settings
        names = ", ".join(f"{FLAGS[name]} ({name})" for name in self.flags) or "none"
        return (
            f"LLC {self.llc:.4g} ± {self.standard_error:.2g} at w*, {self.centred_llc:.4g} ± "
            f"{self.centred_standard_error:.2g} centred, at h* = γ/nβ = "
            f"{settings.gamma / settings.nbeta:.3g} (nβ = {settings.nbeta:g}, γ = "
            f"{settings.gamma:g}, ε = {settings.step_size:.2g}, {len(self.losses)} chains)\n"
            f"flags: {names}"
        )

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
    def descent(self) -> float:
        """nβ (L(w*) - L(w̄)): how much `llc` reads low because w* is no minimum."""
        return float(self.settings.nbeta * (self.initial_loss - self.centre_losses[0]))

    @property
    def centred_llc(self) -> float:
        """nβ (E_w[L(w)] - L(w̄)), the mean of `centred_by_chain`."""
        return float(self.centred_by_chain.mean())

    @property
    def centred_by_chain(self) -> np.ndarray:
        """Jackknife pseudo-values of the centred estimate, one a chain (chains,).

        w̄ carries the Monte-Carlo error of the draws, so L(w̄) lies above the loss at the true mean.
        Leaving out one chain at a time shows by how much; the mean of the pseudo-values is free of
        it to first order, and their spread gives the standard error (Quenouille 1956, Tukey 1958).
        """
        means, nbeta, count = self.excess.mean(axis=1), self.settings.nbeta, len(self.excess)
        centred = means.mean() + self.descent
        if count == 1:
            return np.array([centred])
        others = (means.sum() - means) / (count - 1)
        left_out = others + nbeta * (self.initial_loss - self.centre_losses[1:])
        return count * centred - (count - 1) * left_out

    @property
    def monte_carlo_error(self) -> float:
        """Standard error of `llc` from the draws of all chains that did not diverge (ArviZ)."""
        return monte_carlo_error(self.excess[~self.diverged])

    @property
    def standard_error(self) -> float:
        """Standard error of `llc` from the spread of its chains, which share no random number."""
        return _error_of_mean(self.excess.mean(axis=1))

    @property
    def centred_standard_error(self) -> float:
        """Standard error of `centred_llc`, by the jackknife over chains."""
        return _error_of_mean(self.centred_by_chain)

    @property
    def loss_rise_fractions(self) -> np.ndarray:
        """Mean rise of each chain's loss above L(w̄), as a fraction of L(w*) … trivial loss."""
        if self.trivial_loss is None:
            return np.full(len(self.losses), math.nan)
        rise = (self.excess.mean(axis=1) + self.descent) / self.settings.nbeta
        return rise / (self.trivial_loss - self.initial_loss)


def _error_of_mean(values: np.ndarray) -> float:
    return float(values.std(ddof=1) / math.sqrt(len(values))) if len(values) > 1 else math.nan


def chain_flags(estimate: LLCEstimate) -> list[list[str]]:
    """Flags of each chain, see the top of the module."""
    sound = estimate.excess[~estimate.diverged]
    apart, rhat, ess = halves_apart(sound), split_rhat(sound), effective_sample_size(sound)
    checks = [apart, rhat, ess, estimate.stiffness]
    for each_chain in (estimate.loss_rise_fractions, estimate.acceptances):
        checks += [*each_chain[~estimate.diverged]]  # the others say why they have none
    shared = {
        "NOT_EQUILIBRATED": abs(apart) > MAX_HALVES_APART,
        "RHAT": rhat > MAX_RHAT,
        "ESS": ess < MIN_ESS,
        "STIFF": estimate.stiffness > MAX_STIFFNESS,
        "UNCHECKED": len(sound) > 0 and bool(np.isnan(checks).any()),
    }
    errors = np.nan_to_num([monte_carlo_error(trace[None]) for trace in estimate.excess])
    each = zip(
        estimate.diverged, estimate.excess.mean(axis=1), estimate.loss_rise_fractions,
        estimate.acceptances, errors, strict=True,
    )  # fmt: skip
    own = [
        {
            "DIVERGED": diverged,
            "NEGATIVE": llc < 0,
            "NOT_LOCAL": rise > MAX_LOSS_RISE,
            "ABOVE_HALF_P": llc - SURE * error > estimate.num_parameters / 2,
            "ACCEPTANCE": acceptance < MIN_ACCEPTANCE,
        }
        for diverged, llc, rise, acceptance, error in each
    ]
    return [[name for name in FLAGS if (chain | shared)[name]] for chain in own]


def summary_table(estimate: LLCEstimate, keys: dict[str, Any]) -> pd.DataFrame:
    """One row a chain, as the table `llc` wants them; ``keys`` name the run and the step."""
    import pandas as pd

    settings, excess = estimate.settings, estimate.excess
    half = excess.shape[1] // 2
    chains = range(len(excess))
    return pd.DataFrame(
        keys
        | {
            "chain": chains,
            "llc": excess.mean(axis=1),
            "centred_llc": estimate.centred_by_chain,
            "initial_loss": estimate.initial_loss,
            "mean_loss": estimate.losses[:, settings.num_burn_in :].mean(axis=1),
            "first_half_llc": excess[:, :half].mean(axis=1) if half else math.nan,
            "second_half_llc": excess[:, -half:].mean(axis=1) if half else math.nan,
            "monte_carlo_error": [monte_carlo_error(trace[None]) for trace in excess],
            "rhat": split_rhat(excess[~estimate.diverged]),
            "ess": effective_sample_size(excess[~estimate.diverged]),
            "descent": estimate.descent,
            "loss_rise_fraction": estimate.loss_rise_fractions,
            "distance": estimate.distances,
            "acceptance": estimate.acceptances,
            "diverged": estimate.diverged,
            "flags": [",".join(names) for names in chain_flags(estimate)],
            "largest_curvature": estimate.largest_curvature,
            "remaining_curvature": estimate.remaining_curvature,
            "step_size": settings.step_size,
            "nbeta": settings.nbeta,
            "gamma": settings.gamma,
        },
    )


def draw_table(estimate: LLCEstimate, keys: dict[str, Any]) -> pd.DataFrame:
    """One row a draw, burn-in included, as the table `llc_trace` wants them."""
    import pandas as pd

    chain, draw = np.nonzero(np.isfinite(estimate.losses))  # a diverged chain ends early
    columns = {
        "chain": chain,
        "draw": draw,
        "loss": estimate.losses[chain, draw],
        "baseline_loss": estimate.baseline_losses[chain, draw],
    }
    return pd.DataFrame(columns).assign(**keys)
