"""Stochastic gradient Langevin dynamics (SGLD): the step, and chains of it, side by side.

The sampler knows nothing of transformers or learning coefficients: it moves flat vectors w in the
localised, tempered posterior p(w) ~ exp(-nβ L(w) - γ/2 |w - w*|²) (paper, section 5), R chains at a
time. On a CPU one at a time is best, as a chain's work stays in the cache; a GPU wants them all.

Conventions, stated here once:

- L is the *mean* over samples of the per-sample loss, and a step sees the mean over a minibatch B.
- w ← w - (ε/2) (nβ ∇L_B(w) + γ (w - w*)) + √ε N(0, I): ε multiplies the whole drift by one half,
  and nβ is all the scale there is (no further factor n, 1/2σ² or batch size).
- Draw t is the state *before* step t, so draw 0 is w* itself, and its loss is that of minibatch t.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import torch

from transience.complexity.settings import Scales

Batch: TypeAlias = tuple[torch.Tensor, ...]
# (w (P,), *batch) -> per-sample losses (B,)
Losses: TypeAlias = Callable[..., torch.Tensor]
# (w (P,), *batch) -> per-sample losses (B,), gradient of their mean (P,)
ValueAndGradient: TypeAlias = Callable[..., tuple[torch.Tensor, torch.Tensor]]
# the same for R chains with a minibatch each: (w (R, P), *batch (R, B, …)) -> (R, B), (R, P)
StackedValueAndGradient: TypeAlias = ValueAndGradient

# Draws between two looks at the Metropolis acceptance (5 % more gradients), and at whether any
# chain is left: else the host waits for no draw.
PROBE_EVERY = 20


@dataclass(frozen=True)
class Chain:
    """What is kept of one chain of T draws; a chain that diverged ends early."""

    losses: np.ndarray  # minibatch loss of each draw, float64 (T,), or shorter if it diverged
    acceptance: float  # mean same-batch Metropolis acceptance of every PROBE_EVERY-th step, or NaN
    mean: torch.Tensor  # mean of the draws after burn-in (P,)
    position: torch.Tensor  # last state with a finite loss and gradient (P,)
    diverged: bool


def drift(
    w: torch.Tensor, gradient: torch.Tensor, anchor: torch.Tensor, scales: Scales
) -> torch.Tensor:
    """Gradient of nβ L_B(w) + γ/2 |w - w*|² (…, P), from that of the minibatch's mean loss L_B."""
    return scales.nbeta * gradient + scales.gamma * (w - anchor)


def sgld_step(
    w: torch.Tensor,
    gradient: torch.Tensor,
    anchor: torch.Tensor,
    noise: torch.Tensor,
    scales: Scales,
) -> torch.Tensor:
    """Move w by one step of SGLD (conventions at the top of the module).

    Args:
        w: state (…, P).
        gradient: gradient of the minibatch's mean loss at w (…, P).
        anchor: w*, to which γ pulls (P,).
        noise: standard normal numbers (…, P).
        scales: ε, nβ and γ.
    """
    pull = drift(w, gradient, anchor, scales)
    return w - (scales.step_size / 2) * pull + math.sqrt(scales.step_size) * noise


def stack_of_one(value_and_gradient: ValueAndGradient) -> StackedValueAndGradient:
    """Take a loss and gradient of one w to those of a stack of one."""

    def stacked(w: torch.Tensor, *batch: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        losses, gradient = value_and_gradient(w[0], *(tensor[0] for tensor in batch))
        return losses[None], gradient[None]

    return stacked


def side_by_side(losses_of: Losses) -> StackedValueAndGradient:
    """Losses and gradients at R weights at once, by autograd and vmap.

    ``losses_of`` must be differentiable PyTorch, without in-place changes of what it is given.
    """

    def mean_and_losses(w: torch.Tensor, *batch: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        losses = losses_of(w, *batch)
        return losses.mean(), losses

    gradients_and_losses = torch.func.vmap(torch.func.grad(mean_and_losses, has_aux=True))

    def stacked(w: torch.Tensor, *batch: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        gradients, losses = gradients_and_losses(w, *batch)
        return losses.detach(), gradients.detach()

    return stacked


def sample_chains(
    value_and_gradient: StackedValueAndGradient,
    anchor: torch.Tensor,
    batches: Iterable[Batch],
    noises: Sequence[torch.Generator],
    scales: Scales,
    *,
    num_burn_in: int = 0,
    on_draw: Callable[[], None] = lambda: None,
) -> list[Chain]:
    """Run R chains from their anchor w*, one draw of each for each stack of minibatches.

    A chain is frozen at its first loss or gradient that is not finite and keeps what it had.

    Args:
        value_and_gradient: (w (R, P), *batch) -> per-sample losses (R, B), gradients (R, P).
        anchor: w* (P,).
        batches: stacks of R minibatches; ``noises``: a generator for each of the R chains.
        scales: ε, nβ and γ.
        num_burn_in: draws that do not count in a chain's mean.
        on_draw: called once a draw of a chain, for progress.
    """
    w = anchor.expand(len(noises), -1)  # R P
    record, normal = _Record(w), torch.empty_like(w, memory_format=torch.contiguous_format)
    for draw, batch in enumerate(batches):
        values, gradient = value_and_gradient(w, *batch)
        loss = record.add(w, values, gradient, counts=draw >= num_burn_in)
        for row, noise in zip(normal, noises, strict=True):
            row.normal_(generator=noise)
        proposal = sgld_step(w, gradient, anchor, normal, scales)
        if draw % PROBE_EVERY == PROBE_EVERY - 1:
            there, back = value_and_gradient(proposal, *batch)
            rise = there.double().mean(dim=-1) - loss
            record.probe(metropolis_acceptance(w, proposal, gradient, back, rise, anchor, scales))
            if not record.sound.any():
                break
        w = proposal.where(record.sound[:, None], w)
        for _ in noises:
            on_draw()
    return record.chains(w, num_burn_in)


class _Record:
    """What R chains have been through so far; a chain is sound until it leaves finite numbers."""

    def __init__(self, w: torch.Tensor) -> None:
        """Begin at the states w (R, P), all sound."""
        self.sound = torch.ones(len(w), dtype=torch.bool, device=w.device)  # R
        self.total = torch.zeros_like(w)  # R P, sum of the draws that count
        self.losses: list[torch.Tensor] = []  # of each draw (R,)
        self.acceptances: list[torch.Tensor] = []  # of each probe (R,)

    def add(
        self, w: torch.Tensor, values: torch.Tensor, gradient: torch.Tensor, *, counts: bool
    ) -> torch.Tensor:
        """Take in a draw w (R, P), its losses (R, B) and gradients (R, P); mean losses (R,)."""
        loss = values.double().mean(dim=-1)
        # the sum is finite only if every entry is, save for an overflow, which is divergence too
        self.sound = self.sound & loss.isfinite() & gradient.sum(dim=-1).isfinite()
        self.losses.append(loss.where(self.sound, math.nan))
        if counts:
            self.total += w.where(self.sound[:, None], 0.0)
        return loss

    def probe(self, accepted: torch.Tensor) -> None:
        """Take in the Metropolis acceptances (R,) of a step."""
        self.acceptances.append(accepted.where(self.sound, math.nan))

    def chains(self, w: torch.Tensor, num_burn_in: int) -> list[Chain]:
        """Take the record apart, chain by chain; w (R, P) are the last states."""
        none = torch.full_like(self.losses[0], math.nan)
        traces = torch.stack(self.losses, dim=1).cpu().numpy()  # R T
        probes = torch.stack([none, *self.acceptances], dim=1).cpu().numpy()
        found = []
        for trace, probe, total, position in zip(traces, probes, self.total, w, strict=True):
            kept, accepted = trace[np.isfinite(trace)], probe[np.isfinite(probe)]
            found.append(
                Chain(
                    losses=kept,
                    acceptance=float(accepted.mean()) if len(accepted) else math.nan,
                    mean=total / max(1, len(kept) - num_burn_in),
                    position=position,
                    diverged=len(kept) < len(trace),
                )
            )
        return found


def metropolis_acceptance(
    w: torch.Tensor,
    proposal: torch.Tensor,
    gradient: torch.Tensor,
    gradient_there: torch.Tensor,
    rise: torch.Tensor,
    anchor: torch.Tensor,
    scales: Scales,
) -> torch.Tensor:
    """Probabilities (R,) with which Metropolis-Hastings would have accepted a step (MALA).

    Both ends are judged on the *same* minibatch: across two minibatches the number says how much
    these differ, and nothing of the step. Near 1 the step size hardly biases the chain.

    Args:
        w: states before the step (R, P), with the ``gradient`` (R, P) of the minibatch losses.
        proposal: states after it (R, P), with ``gradient_there`` (R, P).
        rise: minibatch losses at the proposals less those at w (R,).
        anchor: w* (P,).
        scales: ε, nβ and γ.
    """
    w, proposal, anchor = w.double(), proposal.double(), anchor.double()
    there = drift(w, gradient.double(), anchor, scales)
    back = drift(proposal, gradient_there.double(), anchor, scales)
    step, half = proposal - w, scales.step_size / 2
    prior = ((proposal - anchor).square() - (w - anchor).square()).sum(dim=-1)
    forward = (step + half * there).square().sum(dim=-1)
    backward = (half * back - step).square().sum(dim=-1)
    energy = scales.nbeta * rise + scales.gamma / 2 * prior
    log_ratio = -energy - (backward - forward) / (2 * scales.step_size)
    return log_ratio.nan_to_num(nan=-math.inf, posinf=-math.inf).clamp(max=0.0).exp()
