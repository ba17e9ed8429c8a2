"""Checkpoints on a device, the next ones read while one is worked on (ours).

A run of the paper's size has 22 GiB of them, and a GPU that works 20 ms on one would wait as long
for a disk. So a thread reads them into pinned memory, from where they are copied in the order of
the GPU's work, and the host waits for neither. On a CPU, which needs its cores for the work, a row
is a view of the file and read as it is used.
"""

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import torch

from transience.files.pinned import mark

AHEAD = 2  # checkpoints read ahead at most


def on_device(
    read: Callable[[int], torch.Tensor], count: int, device: torch.device
) -> Iterator[torch.Tensor]:
    """Parameters (P,) of ``count`` checkpoints on a device, in order; ``read`` gives one by number.

    What ``read`` raises is raised where its checkpoint would come.
    """
    return read_ahead(read, count, device) if device.type == "cuda" else map(read, range(count))


def read_ahead(
    read: Callable[[int], torch.Tensor], count: int, device: torch.device
) -> Iterator[torch.Tensor]:
    """Do so by a thread, which alone calls ``read``."""
    on_gpu = device.type == "cuda"
    with ThreadPoolExecutor(1, "read ahead") as thread:
        rows = deque(thread.submit(_stage, read, n, on_gpu) for n in range(min(AHEAD, count)))
        for number in range(count):
            buffer = rows.popleft().result()
            vector = buffer.to(device, non_blocking=True, copy=True)
            copied = mark() if on_gpu else None
            if number + AHEAD < count:
                rows.append(thread.submit(_refill, read, number + AHEAD, buffer, copied))
            yield vector


def _stage(read: Callable[[int], torch.Tensor], number: int, pinned: bool) -> torch.Tensor:
    """Read a checkpoint into a buffer of its own."""
    row = read(number)
    return torch.empty(row.shape, dtype=row.dtype, pin_memory=pinned).copy_(row)


def _refill(
    read: Callable[[int], torch.Tensor],
    number: int,
    buffer: torch.Tensor,
    copied: torch.cuda.Event | None,
) -> torch.Tensor:
    """Read a checkpoint into a buffer, once a GPU has copied what was there."""
    row = read(number)
    if copied is not None:
        copied.synchronize()
    return buffer.copy_(row)
