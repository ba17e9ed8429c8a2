"""Tensors of a GPU that is not there: no numbers, but device, dtype and shape of every result.

An operation on tensors of two devices fails as it would on a GPU.
"""

import contextlib
from collections.abc import Iterator

import torch
from torch._subclasses import FakeTensorMode
from torch.overrides import TorchFunctionMode

ATEN = torch.ops.aten


class _ByOperations(TorchFunctionMode):
    """Indexing, copies, `out=` by operations: else they need a guard that CPU builds lack."""

    def __torch_function__(self, function, types, arguments=(), options=None):
        if function is torch.Tensor.__getitem__:
            return _indexed(*arguments)
        if function is torch.Tensor.__setitem__:
            tensor, index, value = arguments
            return _indexed(tensor, index).zero_().add_(value)
        if function is torch.Tensor.copy_:  # from another device it would make the host wait
            return arguments[0].zero_().add_(arguments[1])
        options = dict(options or {})
        out = options.pop("out", None)
        result = function(*arguments, **options)
        if out is None:
            return result
        assert (out.device, out.dtype, out.shape) == (result.device, result.dtype, result.shape)
        return out.zero_().add_(result)


def _indexed(tensor, index):
    parts = index if isinstance(index, tuple) else (index,)
    if any(isinstance(part, torch.Tensor) for part in parts):
        assert len(parts) == 1
        return ATEN.index.Tensor(tensor, list(parts))
    named = sum(part is not None and part is not Ellipsis for part in parts)
    axis = 0
    for part in parts:
        if part is Ellipsis:
            axis += tensor.ndim - named - axis
        elif part is None:
            tensor, axis = tensor.unsqueeze(axis), axis + 1
            named += 1
        elif isinstance(part, slice):
            tensor = ATEN.slice.Tensor(tensor, axis, part.start, part.stop, part.step or 1)
            axis += 1
        else:
            tensor = tensor.select(axis, part)
            named -= 1
    return tensor


@contextlib.contextmanager
def fake_cuda() -> Iterator[None]:
    """Within, `torch.empty(3, device="cuda")` and what is computed from it have no numbers."""
    with FakeTensorMode(allow_non_fake_inputs=False), _ByOperations():
        yield
