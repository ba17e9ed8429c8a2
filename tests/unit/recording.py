"""What stands in for a CUDA graph on a CPU, to test that work *can* be recorded.

`Recording` repeats PyTorch operations on the very tensors they had, as a CUDA graph does, so a
number that Python computed for one call and that is not in a tensor would be repeated with them.
"""

import contextlib

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class Recording(TorchDispatchMode):
    """Stands in for a CUDA graph and the context that records it."""

    def __init__(self):
        super().__init__()
        self.calls, self.generators = [], []

    def register_generator_state(self, generator):
        self.generators.append(generator)

    def __torch_dispatch__(self, function, types, arguments=(), options=None):
        if function is torch.ops.aten._local_scalar_dense.default:
            raise AssertionError("the host waits for a number of the device")
        given = (options or {}).get("generator")
        seeds = {one.initial_seed() for one in self.generators}  # each has its own
        assert given is None or given.initial_seed() in seeds
        results = function(*arguments, **(options or {}))
        self.calls.append((function, arguments, options or {}, results))
        return results

    def replay(self):
        for function, arguments, options, kept in self.calls:
            again = function(*arguments, **options)
            for old, new in zip(tree_leaves(kept), tree_leaves(again), strict=True):
                if isinstance(old, torch.Tensor) and old.data_ptr() != new.data_ptr():
                    old.copy_(new)


class SideStream:
    def wait_stream(self, other):
        pass


def in_place_of_cuda_graphs(monkeypatch) -> None:
    """Let a `Recording` on the CPU take the place of CUDA's graphs; recording itself is undone."""
    monkeypatch.setattr(torch.cuda, "CUDAGraph", Recording)
    monkeypatch.setattr(torch.cuda, "Stream", lambda: SideStream())
    monkeypatch.setattr(torch.cuda, "current_stream", lambda: SideStream())
    monkeypatch.setattr(torch.cuda, "stream", lambda _: contextlib.nullcontext())
    monkeypatch.setattr(torch.cuda, "graph", lambda graph, **_: graph)
