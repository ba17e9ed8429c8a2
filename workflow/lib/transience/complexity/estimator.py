"""Estimate the local learning coefficient (LLC) by SGLD with a paired baseline (paper, section 5).

λ̂ = nβ (E_w[L(w)] - L(w*)), the expectation over p(w) ~ exp(-nβ L(w) - γ/2 |w - w*|²). The update
and its conventions are those of `transience.complexity.sgld`. What else the number depends on:

- **Loss.** L is the mean of whatever per-sample loss is passed in, and nβ multiplies just that.
  For the transformer it is the squared error per position (mean over sequences and K positions).
  The negative log-likelihood of a sequence is K/2σ² times it, up to a constant, so nβ here is
  K/2σ² times the one that goes with that likelihood.
- **Data.** Mode `fixed`: one dataset of n samples; each draw of each chain sees a new minibatch of
  B of them, chosen uniformly with replacement. Mode `fresh`: B new samples for each draw, so L is
  the loss of the whole distribution and n only a temperature.
- **L(w*).** Paired, by default: the loss of a draw is compared with that of w* on the *same*
  minibatch, λ̂ = nβ mean_t [L_Bt(w_t) - L_Bt(w*)]. Its mean is that of the unpaired form, which
  subtracts L(w*) over the dataset, and its error far smaller, as the minibatch noise cancels. The
  losses of w* on all samples of a fixed dataset are computed once, so pairing costs nothing.
- **nβ and h* = γ/nβ.** On a quadratic loss with curvatures h, λ̂ = ½ Σ h/(h + h*) - nβ Δ: it counts
  directions with h above h*, less the loss Δ = L(w*) - L(m) that w* has still to lose before the
  pull holds it, at m = argmin L(w) + h*/2 |w - w*|². Compare estimates only at equal nβ, γ, ε and
  numbers of draws.
- **The point that loss is compared with.** Weights trained at a constant learning rate are no
  minimum, so λ̂ reads low, the more so the larger nβ. The *centred* estimate (ours) compares with
  the mean w̄ of the draws instead: nβ (E_w[L(w)] - L(w̄)) = λ̂ + nβ (L(w*) - L(w̄)). On a quadratic
  it is ½ Σ h/(h + h*) whatever w* is; at a minimum it equals λ̂. `LLCEstimate` has both.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import torch

from transience.complexity.estimate import LLCEstimate
from transience.complexity.minibatches import Data, FixedData, FreshData, sample_losses
from transience.complexity.preconditioner import Curvature
from transience.complexity.settings import SamplerSettings
from transience.complexity.sgld import (
    Batch,
    Chain,
    Losses,
    StackedValueAndGradient,
    ValueAndGradient,
    sample_chains,
    side_by_side,
    stack_of_one,
)
from transience.errors import InputError
from transience.problem.randomness import generator


def estimate_llc_of_loss(
    loss: Callable[..., torch.Tensor],
    parameters: dict[str, torch.Tensor],
    data: Data,
    settings: SamplerSettings,
    *,
    together: bool = False,
    **options: Any,
) -> LLCEstimate:
    """Estimate the LLC of any differentiable loss of named tensors, with gradients by autograd.

    ``loss`` takes (parameters, *batch) to per-sample losses (B,); ``parameters`` are w*, of one
    dtype and device. With ``together`` all chains take their draws at once, by `torch.func.vmap`:
    for a GPU, or a model of a few parameters. For the rest, and for the options, see
    `estimate_llc_with_gradient`.
    """
    losses_of, value_and_gradient, vector = flatten(loss, parameters)
    if together:
        options["stacked"] = side_by_side(losses_of)
    options["losses_of"] = torch.no_grad()(losses_of)
    return estimate_llc_with_gradient(value_and_gradient, vector, data, settings, **options)


def flatten(
    loss: Callable[..., torch.Tensor], parameters: dict[str, torch.Tensor]
) -> tuple[Losses, ValueAndGradient, torch.Tensor]:
    """Turn a loss of named tensors into one of a flat vector, alone and with its gradient."""
    shapes = {name: tensor.shape for name, tensor in parameters.items()}
    sizes = [tensor.numel() for tensor in parameters.values()]

    def named(vector: torch.Tensor) -> dict[str, torch.Tensor]:
        parts = zip(shapes.items(), vector.split(sizes), strict=True)
        return {name: part.view(shape) for (name, shape), part in parts}

    def losses_of(vector: torch.Tensor, *batch: torch.Tensor) -> torch.Tensor:
        return loss(named(vector), *batch)

    def value_and_gradient(vector: torch.Tensor, *batch: torch.Tensor) -> Batch:
        leaf = vector.detach().requires_grad_()
        losses = losses_of(leaf, *batch)
        (gradient,) = torch.autograd.grad(losses.mean(), leaf)
        return losses.detach(), gradient

    vector = torch.cat([tensor.detach().reshape(-1) for tensor in parameters.values()])
    return losses_of, value_and_gradient, vector


def estimate_llc_with_gradient(
    value_and_gradient: ValueAndGradient,
    vector: torch.Tensor,
    data: Data,
    settings: SamplerSettings,
    *,
    losses_of: Losses | None = None,
    stacked: StackedValueAndGradient | None = None,
    curvature: Curvature | None = None,
    step: int = 0,
    trivial_loss: float | None = None,
    on_draw: Callable[[], None] = lambda: None,
) -> LLCEstimate:
    """Estimate the LLC at w* of a loss that brings its own gradient.

    Args:
        value_and_gradient: (w (P,), *batch) -> per-sample losses (B,), gradient (P,) of their mean.
        vector: w* (P,); the chains run in its precision and on its device.
        data: tensors with n rows each, a minibatch being the same B rows of all; in data mode
            `fresh`, a function of (chain, draw) that returns a minibatch.
        settings: ε, nβ, γ, chains, draws, batch, seed.
        losses_of: (w (P,), *batch) -> per-sample losses (B,), if cheaper than with the gradient.
        stacked: value_and_gradient of all R chains at once, (w (R, P), *batch (R, B, …)) ->
            (R, B), (R, P), if they are to run side by side. Changes nothing beyond rounding.
        curvature: measured at w*, with a preconditioner to use; chains start near where they tend.
        step: optimiser step of w*; random numbers of a chain are a function of (seed, step, chain).
        trivial_loss: that of a predictor that has learnt nothing; ``on_draw``: called each draw.

    InputError if weights or losses at w* are not finite, or data and settings don't fit.
    """
    check_finite(vector)
    losses_of = losses_of or (lambda w, *batch: value_and_gradient(w, *batch)[0])
    source = _source(data, losses_of, vector, settings, step)
    gradient = stacked or stack_of_one(value_and_gradient)
    together = range(settings.num_chains) if stacked else range(1)
    chains: list[Chain] = []
    for first in range(0, settings.num_chains, len(together)):
        group = [first + number for number in together]
        chains += _run(gradient, vector, source, group, settings, step, curvature, on_draw)
    return _summed_up(chains, source, losses_of, vector, settings, trivial_loss, curvature)


def check_finite(vector: torch.Tensor) -> None:
    """InputError if any of the weights w* (P,) is not finite."""
    bad = int((~torch.isfinite(vector)).sum())
    if bad:
        raise InputError(f"parameters: expected finite numbers, found {bad} of {len(vector)} not")


def _source(
    data: Data, losses_of: Losses, vector: torch.Tensor, settings: SamplerSettings, step: int
) -> FixedData | FreshData:
    if settings.data_mode == "fresh":
        return FreshData(data, losses_of, vector, settings)
    return FixedData(data, losses_of, vector, settings, step)


def _run(
    gradient: StackedValueAndGradient,
    vector: torch.Tensor,
    source: FixedData | FreshData,
    group: Sequence[int],
    settings: SamplerSettings,
    step: int,
    curvature: Curvature | None,
    on_draw: Callable[[], None],
) -> list[Chain]:
    """The chains with these numbers, side by side; each has a generator of its own."""
    noises = [
        generator(settings.seed, "sgld noise", step, chain, device=vector.device) for chain in group
    ]
    metric, start = curvature.preconditioner if curvature else None, None
    if metric:
        like = {"dtype": vector.dtype, "device": vector.device}
        normal = [torch.randn(len(vector), generator=noise, **like) for noise in noises]
        start = metric.start(vector, torch.stack(normal), settings)
    return sample_chains(
        gradient, vector, _side_by_side(source.batches(chain) for chain in group), noises, settings,
        start=start, metric=metric, num_burn_in=settings.num_burn_in, on_draw=on_draw,
    )  # fmt: skip


def _summed_up(
    chains: Sequence[Chain],
    source: FixedData | FreshData,
    losses_of: Losses,
    vector: torch.Tensor,
    settings: SamplerSettings,
    trivial_loss: float | None,
    curvature: Curvature | None,
) -> LLCEstimate:
    initial_loss = source.initial.mean().item()
    losses = np.full((len(chains), settings.num_burn_in + settings.num_draws), math.nan)
    for row, chain in zip(losses, chains, strict=True):
        row[: len(chain.losses)] = chain.losses
    baselines = np.full_like(losses, initial_loss)
    if settings.baseline == "paired":
        baselines = np.stack([source.baselines(chain) for chain in range(len(chains))])
    return LLCEstimate(
        settings=settings,
        losses=losses,
        baseline_losses=baselines,
        initial_loss=initial_loss,
        centre_losses=_centre_losses(losses_of, chains, source.reference, settings.batch_size),
        trivial_loss=trivial_loss,
        acceptances=np.array([chain.acceptance for chain in chains]),
        distances=np.array([(chain.position - vector).norm().item() for chain in chains]),
        diverged=np.array([chain.diverged for chain in chains]),
        num_parameters=len(vector),
        largest_curvature=curvature.largest if curvature else math.nan,
        remaining_curvature=curvature.remaining if curvature else math.nan,
    )


def _side_by_side(sources: Iterable[Iterator[Batch]]) -> Iterator[Batch]:
    """Stacks of the minibatches of several chains."""
    for batches in zip(*sources, strict=True):
        yield tuple(map(torch.stack, zip(*batches, strict=True)))


def _centre_losses(
    losses_of: Losses, chains: Sequence[Chain], reference: Batch, batch_size: int
) -> np.ndarray:
    """L at the mean of all draws kept, then of all but those of chain 0, 1, … (1 + chains,).

    Of the chains that did not diverge; if one did, or there is but one, nothing is left out (NaN).
    """
    centre_losses = np.full(1 + len(chains), math.nan)
    sound = [chain.mean for chain in chains if not chain.diverged]
    if sound:
        means = torch.stack(sound)  # R P
        centres = [means.mean(dim=0)]
        if len(chains) == len(sound) > 1:
            centres.extend((means.sum(dim=0) - means) / (len(sound) - 1))
        for index, centre in enumerate(centres):
            losses = sample_losses(losses_of, centre, reference, batch_size)
            centre_losses[index] = losses.mean().item()
    return centre_losses
