"""What work a GPU has to do, counted on tensors without numbers, and how long it takes at least."""

import weakref
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import torch
from speed import products_in
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

# PyTorch operations that make no work for a device
FREE = {"alias", "detach", "empty", "empty_like", "empty_strided", "lift_fresh", "new_empty"}
PRODUCTS = ("mm", "bmm", "addmm", "baddbmm", "_scaled_dot_product")  # how their names begin
UNFUSED = ("native_layer_norm", "_softmax")  # the same; with their backward passes


class Rates(NamedTuple):
    """Of a machine: what it does in a second, and three times."""

    bf16: float = 790e12  # operations of a large matrix product
    tf32: float = 380e12
    float32: float = 50e12
    float64: float = 50e12
    copy: float = 3.0e12  # bytes read and written on the GPU
    disk: float = 2.0e9  # bytes
    cpu: float = 44e9  # operations in float64 of one thread, from the measured joint PCA
    launch: float = 5e-6  # seconds of the host for an operation
    start: float = 10.0  # seconds of a job until its first unit; not measured on a GPU
    compilation: float = 75.0  # the same of a training, which compiles its step


@dataclass(frozen=True)
class Work:
    """What is to be done, on a GPU."""

    flop: float = 0  # of matrix products
    product_bytes: float = 0  # that these read and write
    other_bytes: float = 0  # that all else does
    launches: float = 0  # of operations
    peak: float = 0  # bytes of memory at once

    def __add__(self, other: "Work") -> "Work":
        sums = (getattr(self, n) + getattr(other, n) for n in self.__dataclass_fields__)
        return replace(Work(*sums), peak=max(self.peak, other.peak))

    def times(self, count: float) -> "Work":
        """So many times as much, one after another."""
        amounts = (self.flop, self.product_bytes, self.other_bytes, self.launches)
        return Work(*(count * amount for amount in amounts), self.peak)

    def seconds(self, precision: str, rates: Rates) -> float:
        """At least: products, and then the rest; or what the host needs to launch it all."""
        products = max(self.flop / getattr(rates, precision), self.product_bytes / rates.copy)
        return max(products + self.other_bytes / rates.copy, self.launches * rates.launch)


# Counting


class Traffic(TorchDispatchMode):
    """Counts operations, the bytes that they read and write, and the most that is kept at once."""

    def __init__(self, *, fused: bool) -> None:
        """``fused``: count nothing of what a compiler can do along with something else."""
        super().__init__()
        self.fused, self.found = fused, Work()
        self.sizes: dict[int, int] = {}  # bytes of live storages
        self.zeroed: torch.Tensor | None = None

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        made = _tensors(result)
        self._keep(made)
        space, _, name = func._schema.name.partition("::")
        if space == "aten" and name not in FREE and not _is_view(func, args, made):
            self._count(name, [*_tensors((args, kwargs)), *made])
        return result

    def _count(self, name: str, touched: list[torch.Tensor]) -> None:
        size = sum(tensor.numel() * tensor.element_size() for tensor in touched)
        if name == "add_" and self.zeroed is touched[0]:
            return  # the second half of a copy, as `fake_cuda` does one; the first had its bytes
        self.zeroed = touched[0] if name == "zero_" else None
        is_product = name.startswith(PRODUCTS)
        moved = Work(product_bytes=size) if is_product else Work(other_bytes=size)
        if self.fused and not (is_product or name.startswith(UNFUSED)):
            moved = Work()
        self.found += replace(moved, launches=1)

    def _keep(self, made: list[torch.Tensor]) -> None:
        for storage in (tensor.untyped_storage() for tensor in made):
            if storage._cdata not in self.sizes:
                self.sizes[storage._cdata] = storage.nbytes()
                weakref.finalize(storage, self.sizes.pop, storage._cdata)
        self.found += Work(peak=sum(self.sizes.values()))


def counted(work: Callable[[], object], *, fused: bool = False) -> Work:
    """What some work takes that is done on tensors without numbers."""
    flop = products_in(work)
    with Traffic(fused=fused) as traffic:
        work()
    return replace(traffic.found, flop=flop)


def _tensors(tree: Any) -> list[torch.Tensor]:
    return [leaf for leaf in tree_leaves(tree) if isinstance(leaf, torch.Tensor)]


def _is_view(func: Any, args: Any, made: list[torch.Tensor]) -> bool:
    """Whether an operation only looks at memory in another way."""
    if func._schema.is_mutable:
        return False
    given = {tensor.untyped_storage()._cdata for tensor in _tensors(args)}
    return any(tensor.untyped_storage()._cdata in given for tensor in made)
