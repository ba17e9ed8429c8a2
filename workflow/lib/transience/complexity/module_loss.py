"""The loss of anyone's `nn.Module` as one of a flat vector, and what it must be for that.

The vector w (P,) holds the parameters that are trained (``requires_grad``), tied ones once. They
are swapped in for each evaluation (`torch.func.functional_call`), so the module keeps its own, and
its buffers. A loss must be one number a sample that depends on nothing but that sample.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import nn
from torch.utils.data import TensorDataset

from transience.complexity.curvature import HessianProduct, hessian_product
from transience.complexity.estimator import flatten
from transience.complexity.sgld import Batch, Losses, ValueAndGradient
from transience.errors import InputError
from transience.problem.randomness import generator

# (module, *batch) -> per-sample losses (B,)
LossOfModule: TypeAlias = Callable[..., torch.Tensor]

TRIED = 64  # samples on which a loss is tried before it is used
SAME = 1e-3  # of the mean loss: how far a sample's loss may move with the rest of its batch
CURVATURE_SAMPLES = 1024  # samples behind a Hessian, chosen at random: as many as make one run
CHUNK = 256  # of them at a time


@dataclass(frozen=True)
class ModuleLoss:
    """A module's loss of w, at its own w*, on its data."""

    losses_of: Losses
    value_and_gradient: ValueAndGradient
    vector: torch.Tensor  # w* (P,)
    data: Batch

    def hessian(self, seed: int) -> HessianProduct:
        """Products with the Hessian at w*, of at most `CURVATURE_SAMPLES` samples."""
        count = len(self.data[0])
        order = torch.randperm(count, generator=generator(seed, "curvature samples"))
        rows = order[:CURVATURE_SAMPLES].to(self.vector.device)
        some = tuple(tensor[rows] for tensor in self.data)
        return hessian_product(self.losses_of, self.vector, some, chunk=CHUNK)

    def direction(self, seed: int, name: str, number: int = 0) -> torch.Tensor:
        """Random signs (P,)."""
        device = self.vector.device
        noise = generator(seed, "curvature", name, number, device=device)
        signs = torch.randint(0, 2, self.vector.shape, generator=noise, device=device)
        return (2 * signs - 1).to(self.vector)


class _Called(nn.Module):
    """Calls a loss with the module itself, so that the module's parameters can be swapped."""

    def __init__(self, module: nn.Module, loss_fn: LossOfModule) -> None:
        super().__init__()
        self.module, self.loss_fn = module, loss_fn

    def forward(self, *batch: torch.Tensor) -> torch.Tensor:
        return self.loss_fn(self.module, *batch)


def module_loss(module: nn.Module, loss_fn: LossOfModule, data: Any) -> ModuleLoss:
    """Take a module and its loss apart; InputError if it cannot be a loss of single samples."""
    _check_callables(module, loss_fn)
    parameters = _trained(module)
    (device,) = {tensor.device for tensor in parameters.values()}
    tensors = _tensors(data, device)
    called = _Called(module, loss_fn)
    # copies, so that a loss that counts or averages in place leaves the module's own alone
    buffers = {f"module.{name}": tensor.clone() for name, tensor in module.named_buffers()}

    def losses(named: dict[str, torch.Tensor], *batch: torch.Tensor) -> torch.Tensor:
        return torch.func.functional_call(called, named | buffers, batch)

    losses_of, value_and_gradient, vector = flatten(losses, parameters)
    _try(losses_of, vector, tuple(tensor[:TRIED] for tensor in tensors), module)
    return ModuleLoss(losses_of, value_and_gradient, vector, tensors)


def _check_callables(module: Any, loss_fn: Any) -> None:
    if not isinstance(module, nn.Module):
        raise InputError(f"module: expected an nn.Module, found {_kind(module)}")
    if isinstance(loss_fn, nn.modules.loss._Loss) or not callable(loss_fn):
        wrong = f"expected a function of (module, *batch), found {_kind(loss_fn)}"
        raise InputError(f"loss_fn: {wrong}; write lambda module, xs, ys: f(module(xs), ys)")


def _trained(module: nn.Module) -> dict[str, torch.Tensor]:
    parameters = {
        f"module.{name}": tensor.detach()
        for name, tensor in module.named_parameters()
        if tensor.requires_grad
    }
    kinds = sorted({f"{tensor.dtype} on {tensor.device}" for tensor in parameters.values()})
    if len(kinds) != 1 or not next(iter(parameters.values())).is_floating_point():
        expected = "expected parameters with requires_grad, of one real type and device"
        raise InputError(f"module: {expected}, found {', '.join(kinds) or 'none'}")
    return parameters


def _tensors(data: Any, device: torch.device) -> Batch:
    if isinstance(data, TensorDataset):
        data = data.tensors
    expected = "data: expected a tuple of tensors with a row a sample, such as (xs, ys)"
    if not isinstance(data, tuple):
        raise InputError(f"{expected}, or a TensorDataset, found {_kind(data)}")
    wrong = sorted({_kind(one) for one in data if not isinstance(one, torch.Tensor)})
    if wrong or not data:
        raise InputError(f"{expected}, found {', '.join(wrong) or 'no tensor'} in the tuple")
    lengths = [len(one) if one.dim() else 0 for one in data]
    if len({*lengths}) != 1 or not lengths[0]:
        found = [tuple(one.shape) for one in data]
        raise InputError(f"{expected}, found shapes {', '.join(map(str, found))}")
    elsewhere = {str(one.device) for one in data} - {str(device)}
    if elsewhere:
        found = ", ".join(sorted(elsewhere))
        raise InputError(f"data: expected tensors on {device}, as the module, found {found}")
    return data


def _kind(value: Any) -> str:
    if isinstance(value, list):
        parts = sorted({type(one).__name__ for one in value})
        return f"a list of {' and '.join(parts) or 'nothing'}"
    if isinstance(value, torch.Tensor):
        return "a single tensor"
    return "a NumPy array" if isinstance(value, np.ndarray) else type(value).__name__


def _try(losses_of: Losses, vector: torch.Tensor, some: Batch, module: nn.Module) -> None:
    """Look at the losses of a few samples: twice, and of half of them alone."""
    count = len(some[0])
    losses = losses_of(vector.clone().requires_grad_(), *some)
    if not isinstance(losses, torch.Tensor) or losses.shape != (count,):
        _refuse_shape(losses, count)
    if not losses.requires_grad:
        expected = "expected losses that depend on the module's parameters"
        raise InputError(f"loss_fn: {expected}, found none with a gradient")
    with torch.no_grad():
        again = losses_of(vector, *some)
        half = losses_of(vector, *(tensor[: (count + 1) // 2] for tensor in some))
    allowed = SAME * losses.detach().abs().mean()
    if ((again - losses).abs() > allowed).any():
        raise InputError(
            f"loss_fn: expected the same losses of the same samples, found others at a second "
            f"look{_in_training(module, nn.modules.dropout._DropoutNd)}"
        )
    if ((half - losses[: len(half)]).abs() > allowed).any():
        raise InputError(
            f"loss_fn: expected a loss that depends on its own sample alone, found that the rest "
            f"of the batch moves it{_in_training(module, nn.modules.batchnorm._NormBase)}"
        )


def _refuse_shape(losses: Any, count: int) -> None:
    expected = f"loss_fn: expected one loss for each of {count} samples, found"
    if not isinstance(losses, torch.Tensor):
        raise InputError(f"{expected} {_kind(losses)}")
    if losses.numel() == 1:
        raise InputError(f"{expected} a single number; use reduction='none'")
    shape = tuple(losses.shape)
    advice = f"; take the mean over all but the first axis, of {count}" if losses.dim() > 1 else ""
    raise InputError(f"{expected} shape {shape}{advice}")


def _in_training(module: nn.Module, kind: type[nn.Module]) -> str:
    """What to do, if the module or parts of it are in training mode."""
    training = {name: part for name, part in module.named_modules() if part.training}
    if not training:
        return ""
    found = [
        f"{name or 'module'} ({type(part).__name__})"
        for name, part in training.items()
        if isinstance(part, kind)
    ]
    return f"; {', '.join(found) or 'module'} in training mode: call module.eval()"
