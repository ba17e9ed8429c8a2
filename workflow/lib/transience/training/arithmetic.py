"""How a GPU may round matrix products: a property of a step, not of the process (ours).

PyTorch keeps it for the whole process, where steps of different precision, and all that runs
between them, would share it. So it is set around a step's call, in which a CUDA graph records it.
"""

import contextlib
from collections.abc import Iterator

import torch


@contextlib.contextmanager
def products(*, tf32: bool) -> Iterator[None]:
    """Let products of float32 matrices within use tf32 units, or not; then all is as before.

    Products in bfloat16 add up their parts in float32, which is not the default.
    """
    matmul = torch.backends.cuda.matmul
    before = torch.get_float32_matmul_precision()
    reduced = matmul.allow_bf16_reduced_precision_reduction
    split = matmul.allow_bf16_reduced_precision_reduction_split_k
    torch.set_float32_matmul_precision("high" if tf32 else "highest")
    matmul.allow_bf16_reduced_precision_reduction = (False, split)
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)
        matmul.allow_bf16_reduced_precision_reduction = (reduced, split)
