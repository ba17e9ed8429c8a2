"""Stochastic gradient Langevin dynamics (SGLD): the step, and chains of it, side by side.

The sampler knows nothing of transformers or learning coefficients: it moves flat vectors w in the
localised, tempered posterior p(w) ~ exp(-nβ L(w) - γ/2 |w - w*|²) (paper, section 5), R chains at a
time. On a CPU one at a time is best, as a chain's work stays in the cache; a GPU wants them all.

Conventions, stated here once:

- L is the *mean* over samples of the per-sample loss, and a step sees the mean over a minibatch B.
- w ← w - (ε/2) (nβ ∇L_B(w) + γ (w - w*)) + √ε N(0, I): ε multiplies the whole drift by one half,
  and nβ is all the scale there is (no further factor n, 1/2σ² or batch size).
- Draw t is the state *before* step t, so draw 0 is the start, w* unless another is given, and its
  loss is that of minibatch t.
- With a preconditioner A (`complexity.preconditioner`) drift is multiplied by A and noise by A^½:
  the same posterior, in fewer steps.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

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


class Metric(Protocol):
    """What the sampler needs of a preconditioner A, symmetric and positive."""

    def move(self, drift: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        """A drift + A^½ noise (…, P)."""

    def power(self, x: torch.Tensor, exponent: float) -> torch.Tensor:
        """A to a power, times x (…, P)."""


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
    metric: Metric | None = None,
) -> torch.Tensor:
    """Move w by one step of SGLD (conventions at the top of the module).

    Args:
        w: state (…, P).
        gradient: gradient of the minibatch's mean loss at w (…, P).
        anchor: w*, to which γ pulls (P,).
        noise: standard normal numbers (…, P).
        scales: ε, nβ and γ.
        metric: A, the identity without it.
    """
    pull = (scales.step_size / 2) * drift(w, gradient, anchor, scales)
    kick = math.sqrt(scales.step_size) * noise
    return w + metric.move(-pull, kick) if metric else w - pull + kick


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
    start: torch.Tensor | None = None,
    metric: Metric | None = None,
    num_burn_in: int = 0,
    on_draw: Callable[[], None] = lambda: None,
) -> list[Chain]:
    """Run R chains around their anchor w*, one draw of each for each stack of minibatches.

    A chain is frozen at its first loss or gradient that is not finite and keeps what it had.

    Args:
        value_and_gradient: (w (R, P), *batch) -> per-sample losses (R, B), gradients (R, P).
        anchor: w* (P,); ``start``: first states (R, P), w* without them.
        batches: stacks of R minibatches; ``noises``: a generator for each of the R chains.
        scales: ε, nβ and γ; ``metric``: a preconditioner.
        num_burn_in: draws that do not count in a mean; ``on_draw``: called once a draw of a chain.
    """
    w = anchor.expand(len(noises), -1) if start is None else start  # R P
    record, normal = _Record(w), torch.empty_like(w, memory_format=torch.contiguous_format)
    for draw, batch in enumerate(batches):
        values, slope = value_and_gradient(w, *batch)
        loss = record.add(w, values, slope, counts=draw >= num_burn_in)
        _fill(normal, noises)
        proposal = sgld_step(w, slope, anchor, normal, scales, metric)
        if draw % PROBE_EVERY == PROBE_EVERY - 1:
            there, back = value_and_gradient(proposal, *batch)
            rise, ends = there.double().mean(dim=-1) - loss, (w, proposal)
            record.probe(metropolis_acceptance(ends, (slope, back), rise, anchor, scales, metric))
            if not record.sound.any():
                break
        w = proposal.where(record.sound[:, None], w)
        for _ in noises:
            on_draw()
    return record.chains(w, num_burn_in)


def _fill(normal: torch.Tensor, noises: Sequence[torch.Generator]) -> None:
    """Standard normal numbers for each chain (R, P), from its own generator."""
    for row, noise in zip(normal, noises, strict=True):
        row.normal_(generator=noise)


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
    ends: tuple[torch.Tensor, torch.Tensor],
    gradients: tuple[torch.Tensor, torch.Tensor],
    rise: torch.Tensor,
    anchor: torch.Tensor,
    scales: Scales,
    metric: Metric | None = None,
) -> torch.Tensor:
    """Probabilities (R,) with which Metropolis-Hastings would have accepted a step (MALA).

    Both ends are judged on the *same* minibatch: across two minibatches the number says how much
    these differ, and nothing of the step. Near 1 the step size hardly biases the chain.

    Args:
        ends: states before and after the step (R, P); ``gradients`` of the minibatch losses there.
        rise: minibatch losses at the second end less those at the first (R,).
        anchor: w* (P,).
        scales: ε, nβ and γ; ``metric``: the preconditioner of the step.
    """
    w, proposal, anchor = ends[0].double(), ends[1].double(), anchor.double()
    there = drift(w, gradients[0].double(), anchor, scales)
    back = drift(proposal, gradients[1].double(), anchor, scales)
    step, half = proposal - w, scales.step_size / 2
    prior = ((proposal - anchor).square() - (w - anchor).square()).sum(dim=-1)
    # |step + half A there|² - |half A back - step|² in the metric of A⁻¹, multiplied out so that A
    # itself is all that is needed
    scaled = (
        metric.power(pull.to(ends[0]), 1.0).double() if metric else pull for pull in (there, back)
    )
    forward, backward = (
        2 * half * sign * (step * pull).sum(dim=-1) + half**2 * (pull * moved).sum(dim=-1)
        for sign, pull, moved in zip((1, -1), (there, back), scaled, strict=True)
    )
    energy = scales.nbeta * rise + scales.gamma / 2 * prior
    log_ratio = -energy - (backward - forward) / (2 * scales.step_size)
    return log_ratio.nan_to_num(nan=-math.inf, posinf=-math.inf).clamp(max=0.0).exp()
