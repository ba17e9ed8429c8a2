"""Settings of an LLC estimate for any loss, from its measured curvature (ours throughout).

A spectrum of Lanczos iteration, from `NUM_PROBES` random starts, comes first. From it, in turn:

- **h\\*** = h_max / 100: λ̂ counts directions with curvatures within two decades of the stiffest. A
  choice, like every h*: there is no plateau. Higher, only the outliers that a trained network's
  spectrum has would count; lower, curvatures are what `LANCZOS_STEPS` no longer resolve. Where w*
  is no minimum, at least `ABOVE_NEGATIVE` times the most negative curvature: below once it, the
  pull cannot hold the chain.
- **nβ**: draws lie λ̂/nβ above the minimum. With λ̂ = ½ Σ |h|/(|h| + h*) of the quadrature that is
  to be `RISE` of the loss's range, a fifth of the limit of the flag NOT_LOCAL. At thrice that the
  mean of the draws leaves the curved valleys of a small tanh network, and the centred estimate
  means nothing (found: -0.5 ± 0.9 instead of 2.3). At a third, minibatches need to be larger or
  chains longer, and what w* has still to lose weighs more. The range is the trivial loss less
  L(w*). If the former is not given, that of the module with all trained parameters 0: a
  classifier's is log of the classes, a regression's the mean square. If that is not finite or no
  higher than L(w*), the range is L(w*) itself.
- **γ** = h* nβ.
- **ε**: ε (nβ h + γ)/4 = `STIFFNESS` for the largest curvature that the preconditioner leaves, so a
  direction's variance is too high by that at most.
- **Batch and ε again**: a minibatch's noise warms the chain. On a quadratic, a direction whose
  gradient has variance c/B over minibatches has a variance too high by ε α nβ² c/4B, α the
  preconditioner's. Of λ̂ that is to be `WARMING` at most: batches grow to `LARGEST_BATCH`, then ε
  falls.
- **Burn-in and draws**: directions that γ alone holds relax in τ = 2/(εγ) draws, those at h* in
  half of that. Burn-in takes `BURN_IN` τ, after which e^-3 of a start is left; draws `KEPT` τ, for
  several hundred independent ones of all chains.

A Hessian does not see the kinks of ReLU, so λ̂ of the quadrature may be a quarter too low there
(workflow/docs/llc.md); the chains of these settings see them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from transience.complexity.curvature import Spectrum, lanczos
from transience.complexity.minibatches import sample_losses
from transience.complexity.module_loss import CHUNK, LossOfModule, ModuleLoss, module_loss
from transience.complexity.preconditioner import STIFF, Curvature, measure_curvature
from transience.complexity.quadrature import counted
from transience.complexity.settings import SamplerSettings, Scales
from transience.complexity.threads import threads_for
from transience.errors import InputError
from transience.problem.randomness import generator

LANCZOS_STEPS = 32
NUM_PROBES = 2
NUM_NOISES = 2  # minibatches whose gradient noise is looked at
H_STAR = 0.01  # of the largest curvature
ABOVE_NEGATIVE = 2.0
RISE = 0.01  # of the loss's range
STIFFNESS = 0.05
WARMING = 0.05  # of λ̂
NUM_CHAINS, BURN_IN, KEPT = 4, 3, 30  # the last two in τ
SMALLEST_BATCH, LARGEST_BATCH = 64, 512


def suggest_settings(
    module: nn.Module,
    loss_fn: LossOfModule,
    data: Any,
    *,
    h_star: float | None = None,
    trivial_loss: float | None = None,
    seed: int = 0,
) -> SamplerSettings:
    """Propose ε, nβ, γ, draws and batch, for `network.estimate_llc` with the same arguments.

    ``h_star`` is that of the LLC, by default 1 % of the largest curvature or more. Values are
    rounded to two digits. To change some: ``settings.model_copy(update={"num_draws": 4000})``.
    """
    loss = module_loss(module, loss_fn, data)
    with threads_for(len(loss.vector), CHUNK):
        return settings_for(loss, h_star, trivial_loss, seed)


def settings_for(
    loss: ModuleLoss, h_star: float | None, trivial_loss: float | None, seed: int
) -> SamplerSettings:
    """As `suggest_settings`, of a module taken apart."""
    spectra = [spectrum_of(loss, seed, number) for number in range(NUM_PROBES)]
    h_star = _h_star(spectra) if h_star is None else h_star
    if not h_star > 0:
        raise InputError(f"h_star: expected more than 0, found {h_star:g}")
    parts = [counted(spectrum, h_star, len(loss.vector)) for spectrum in spectra]
    llc = sum(both - 2 * negative for both, negative in parts) / NUM_PROBES
    nbeta = _rounded(llc / (RISE * _range(loss, trivial_loss)))
    scales = Scales(step_size=1.0, nbeta=nbeta, gamma=float(f"{h_star * nbeta:.6g}"))
    step_size = STIFFNESS / scales.stiffness(measured(loss, spectra[0], scales, seed).remaining)
    step_size, batch_size = _with_noise(loss, scales, step_size, WARMING * llc, seed)
    relaxation = 2 / (step_size * scales.gamma)
    return SamplerSettings(
        step_size=step_size, nbeta=nbeta, gamma=scales.gamma, num_chains=NUM_CHAINS,
        num_draws=math.ceil(KEPT * relaxation), num_burn_in=math.ceil(BURN_IN * relaxation),
        batch_size=batch_size, seed=seed,
    )  # fmt: skip


def _h_star(spectra: Sequence[Spectrum]) -> float:
    largest = max(spectrum.largest for spectrum in spectra)
    lowest = min(spectrum.values[0].item() for spectrum in spectra)
    if not largest > 0:
        raise InputError(f"loss_fn: expected a loss that curves upwards, found at most {largest:g}")
    return _rounded(max(H_STAR * largest, -ABOVE_NEGATIVE * lowest))


def _with_noise(
    loss: ModuleLoss, scales: Scales, step_size: float, allowed: float, seed: int
) -> tuple[float, int]:
    """An ε up to this one, and a batch, whose noise adds at most ``allowed`` to λ̂."""
    warmth, count = _warmth(loss, scales, seed), len(loss.data[0])
    batch_size, largest = min(count, SMALLEST_BATCH), min(count, LARGEST_BATCH)
    while step_size * warmth / batch_size > allowed and 2 * batch_size <= largest:
        batch_size *= 2
    if step_size * warmth / batch_size > allowed:
        step_size = allowed * batch_size / warmth
    return _rounded(step_size), batch_size


def spectrum_of(loss: ModuleLoss, seed: int, number: int = 0) -> Spectrum:
    """What Lanczos iteration from a random start tells of the Hessian at w*."""
    return lanczos(loss.hessian(seed), loss.direction(seed, "spectrum", number), LANCZOS_STEPS)


def measured(loss: ModuleLoss, spectrum: Spectrum, scales: Scales, seed: int) -> Curvature:
    """The preconditioner for h* = γ/nβ, and what curvature it leaves."""
    return measure_curvature(loss.hessian(seed), spectrum, loss.direction(seed, "left"), scales)


def _range(loss: ModuleLoss, trivial_loss: float | None) -> float:
    """How far the loss of w* has come from that of a predictor that has learnt nothing."""
    with torch.no_grad():
        initial = sample_losses(loss.losses_of, loss.vector, loss.data, CHUNK).mean().item()
        if trivial_loss is None:
            zero = torch.zeros_like(loss.vector)
            chunks = zip(*(tensor.split(CHUNK) for tensor in loss.data), strict=True)
            sums = [loss.losses_of(zero, *batch).double().sum().item() for batch in chunks]
            found = sum(sums) / len(loss.data[0])
            usable = math.isfinite(found) and found > initial
            trivial_loss = found if usable else initial + abs(initial)
    if not trivial_loss > initial:
        raise InputError(
            f"trivial_loss: expected more than the loss at the module's parameters, {initial:.4g}, "
            f"found {trivial_loss:.4g}"
        )
    return trivial_loss - initial


def _warmth(loss: ModuleLoss, scales: Scales, seed: int) -> float:
    """What minibatch noise adds to λ̂, times B/ε: Σ ½ h/(h + h*) α nβ² c/4, c of one sample."""
    h_star, total = scales.gamma / scales.nbeta, 0.0
    size = min(len(loss.data[0]), SMALLEST_BATCH)
    for number in range(NUM_NOISES):
        noise = _gradient_noise(loss, size, seed, number)
        norm = noise.double().norm().item()
        if norm > 0:
            spectrum = lanczos(loss.hessian(seed), noise, LANCZOS_STEPS // 2)
            h = spectrum.values.clamp(min=0)
            pace = ((STIFF + 1) * h_star / (h + h_star)).clamp(max=1)  # α
            parts = spectrum.weights * h / (2 * (h + h_star)) * pace
            total += norm**2 * size * parts.sum().item()
    return total / NUM_NOISES * scales.nbeta**2 / 4


def _gradient_noise(loss: ModuleLoss, size: int, seed: int, number: int) -> torch.Tensor:
    """How the gradients of two minibatches differ, over √2 (P,): one minibatch's noise."""
    device = loss.vector.device
    choice = generator(seed, "gradient noise", number, device=device)
    rows = torch.randint(len(loss.data[0]), (2, size), generator=choice, device=device)
    first, second = (
        loss.value_and_gradient(loss.vector, *(tensor[row] for tensor in loss.data))[1]
        for row in rows
    )
    return (first - second) / math.sqrt(2)


def _rounded(value: float) -> float:
    return float(f"{value:.1e}")
