"""The front door: the LLC of anyone's network, `estimate_llc`, and settings to take it with.

    settings = suggest_settings(module, loss_fn, data)
    print(estimate_llc(module, loss_fn, data, settings, trivial_loss=...))

``loss_fn(module, *batch)`` returns one loss a sample (B,), so it may call the module as it likes,
more than once, by other methods than `forward`, or look at its parameters. ``data`` are tensors
with a row a sample.
"""

from typing import Any

import torch
from torch import nn

from transience.complexity.estimate import LLCEstimate
from transience.complexity.estimator import estimate_llc_with_gradient
from transience.complexity.module_loss import CHUNK, LossOfModule, ModuleLoss, module_loss
from transience.complexity.preconditioner import Curvature
from transience.complexity.settings import SamplerSettings
from transience.complexity.sgld import side_by_side
from transience.complexity.suggested import measured, settings_for, spectrum_of, suggest_settings
from transience.complexity.threads import threads_for
from transience.errors import InputError

__all__ = ["estimate_llc", "suggest_settings"]


def estimate_llc(
    module: nn.Module,
    loss_fn: LossOfModule,
    data: Any,
    settings: SamplerSettings | None = None,
    *,
    trivial_loss: float | None = None,
    seed: int | None = None,
    precondition: bool = True,
    together: bool = False,
) -> LLCEstimate:
    """Estimate the LLC of a module at its parameters; neither they nor its buffers change.

    Args:
        module: parameters without ``requires_grad`` stay as they are and do not count; tied ones
            count once. Dropout and batch norm in training mode are refused.
        loss_fn: (module, *batch) -> per-sample losses (B,).
        data: tuple of tensors with n rows each, or a `TensorDataset`; on the module's device.
        settings: those of `suggest_settings` without them.
        trivial_loss: that of a predictor that has learnt nothing, on the data; without it nobody
            can tell what is local, and the estimate is flagged UNCHECKED.
        seed: in place of that of the settings.
        precondition: slow down stiff directions and start chains near to where they tend; else
            plain SGLD from w*. Curvature is measured in any case, so that STIFF can be told.
        together: all chains take their draws at once, by `torch.func.vmap`: for a GPU.

    InputError, in one line, if module, loss and data don't fit together.
    """
    loss = module_loss(module, loss_fn, data)
    settings = _settings(loss, settings, trivial_loss, seed)
    with threads_for(len(loss.vector), settings.batch_size):
        curvature = _curvature(loss, settings, precondition)
        return estimate_llc_with_gradient(
            loss.value_and_gradient, loss.vector, loss.data, settings,
            losses_of=torch.no_grad()(loss.losses_of),
            stacked=side_by_side(loss.losses_of) if together else None,
            curvature=curvature, trivial_loss=trivial_loss,
        )  # fmt: skip


def _settings(
    loss: ModuleLoss, settings: SamplerSettings | None, trivial_loss: float | None, seed: int | None
) -> SamplerSettings:
    if settings is None:
        with threads_for(len(loss.vector), CHUNK):
            return settings_for(loss, None, trivial_loss, seed or 0)
    if settings.data_mode != "fixed":
        raise InputError("data_mode: expected fixed, found fresh; see estimate_llc_with_gradient")
    return settings if seed is None else settings.model_copy(update={"seed": seed})


def _curvature(loss: ModuleLoss, settings: SamplerSettings, precondition: bool) -> Curvature:
    spectrum = spectrum_of(loss, settings.seed)
    if precondition:
        return measured(loss, spectrum, settings, settings.seed)
    return Curvature(spectrum.largest, spectrum.largest, None)
