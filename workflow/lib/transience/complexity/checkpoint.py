"""One checkpoint of a run, and the estimates of its LLC: what they share is measured once."""

from collections.abc import Callable
from functools import cached_property, partial

import pandas as pd
import torch

from transience.complexity.curvature import HessianProduct, Spectrum, lanczos
from transience.complexity.estimate import LLCEstimate
from transience.complexity.estimator import check_finite, estimate_llc_with_gradient
from transience.complexity.limits import MAX_STIFFNESS
from transience.complexity.preconditioner import Curvature, measure_curvature
from transience.complexity.quadrature import quadrature
from transience.complexity.settings import LLCCurveSettings, LLCSettings, SamplerSettings
from transience.complexity.sgld import Batch, side_by_side
from transience.files.checkpoints import CheckpointReader
from transience.model.hessian import hessian_product
from transience.model.loss_and_gradient import LossAndGradient
from transience.model.transformer import Architecture, sequence_losses, unflatten
from transience.problem.randomness import generator
from transience.run import Run

ROUNDING = 1e-6  # by which a lowered ε stays below its limit


class Checkpoint:
    """The weights w* of a run at a step, on its own q_M (as it then was, if tasks wander)."""

    def __init__(
        self, run: Run, step: int, vector: torch.Tensor, data: Batch, settings: LLCSettings
    ) -> None:
        """Take w* (P,) and the data set on which its loss is defined, see `dataset`."""
        self.run, self.step, self.vector, self.settings = run, step, vector, settings
        self.data = data
        self.model = LossAndGradient(run.architecture)

    def estimate(
        self, sampler: SamplerSettings, on_draw: Callable[[], None] = lambda: None
    ) -> LLCEstimate:
        """Estimate the LLC by SGLD; ε is lowered if it would be too large for the curvature."""
        curvature = None
        if self.settings.lanczos_steps:
            sampler, curvature = self.prepared(sampler)
        fresh, on_gpu = sampler.data_mode == "fresh", self.vector.is_cuda
        return estimate_llc_with_gradient(
            self.model,
            self.vector,
            self._fresh_batches() if fresh else self.data,
            sampler,
            losses_of=self.model.losses,
            curvature=curvature,
            stacked=_stacked(self.run.architecture) if on_gpu else None,
            step=self.step,
            trivial_loss=self.data[1].square().mean().item(),  # that of predicting zero
            on_draw=on_draw,
        )

    def prepared(self, sampler: SamplerSettings) -> tuple[SamplerSettings, Curvature]:
        """The sampler with an ε that is stable, and the curvature with its preconditioner."""
        spectrum, direction = self.spectrum
        curvature = measure_curvature(self._product, spectrum, direction, sampler)
        excess = max(1.0, sampler.stiffness(curvature.remaining) / (MAX_STIFFNESS * (1 - ROUNDING)))
        return sampler.model_copy(update={"step_size": sampler.step_size / excess}), curvature

    @cached_property
    def spectrum(self) -> tuple[Spectrum, torch.Tensor]:
        """What Lanczos iteration tells of the stiff directions, and another random one (P,)."""
        noise = self._generator("lanczos")
        size = (2, len(self.vector))
        start, other = torch.randn(size, generator=noise, **self._like).unbind()
        return lanczos(self._product, start, self.settings.lanczos_steps), other

    def quadrature(
        self, chosen: LLCCurveSettings, on_probe: Callable[[], None] = lambda: None
    ) -> pd.DataFrame:
        """λ̂ by stochastic Lanczos quadrature: one row a probe and h*, see `quadrature`."""
        product, noise = self._hessian(chosen.num_sequences), self._generator("quadrature")
        size = (chosen.num_probes, len(self.vector))
        signs = torch.randint(0, 2, size, generator=noise, device=self.vector.device) * 2 - 1
        probes = list(signs.to(self.vector))
        return quadrature(product, probes, chosen.h_star, chosen.lanczos_steps, on_probe)

    @cached_property
    def _product(self) -> HessianProduct:
        return self._hessian(self.settings.lanczos_sequences)

    def _hessian(self, num_sequences: int) -> HessianProduct:
        check_finite(self.vector)
        return hessian_product(
            self.model, self.vector, *(part[:num_sequences] for part in self.data)
        )

    def _generator(self, name: str) -> torch.Generator:
        return generator(self.run.seed, name, self.step, device=self.vector.device)

    @property
    def _like(self) -> dict[str, torch.dtype | torch.device]:
        return {"dtype": self.vector.dtype, "device": self.vector.device}

    def _fresh_batches(self) -> Callable[[int, int], Batch]:
        """Minibatches of data mode `fresh`, a function of (chain, draw)."""
        size = {"num_sequences": self.settings.batch_size, "device": self.vector.device}
        draw = partial(self.run.sequences, **size)
        return lambda chain, number: draw("llc", self.step, chain, number)


def opener(
    run: Run, reader: CheckpointReader, settings: LLCSettings, device: torch.device
) -> Callable[[int], Checkpoint]:
    """What opens a checkpoint of a run by its number in the file, on q_M as it then was."""
    run = run.as_trained(reader)
    data_at = run.follow(lambda there: dataset(there, settings, device))

    def opened(index: int) -> Checkpoint:
        step, vector = reader.steps[index], reader.parameters(index).to(device)
        return Checkpoint(run.at(step), step, vector, data_at(step), settings)

    return opened


def dataset(run: Run, settings: LLCSettings, device: torch.device) -> Batch:
    """The sequences of q_M on which the loss of the LLC is defined: xs, ys."""
    return run.sequences("llc", num_sequences=settings.num_sequences, device=device)


def _stacked(architecture: Architecture) -> Callable[..., tuple[torch.Tensor, torch.Tensor]]:
    """All chains at once, by autograd."""

    def losses(w: torch.Tensor, xs: torch.Tensor, ys: torch.Tensor) -> torch.Tensor:
        return sequence_losses(unflatten(w, architecture), xs, ys, architecture)

    return side_by_side(losses)
