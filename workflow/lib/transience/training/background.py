"""Checkpoints written by a thread, while training goes on (ours).

A GPU copies the parameters to pinned memory in the order of its work, so the next step waits for
that copy alone: not for the host, and not for a disk.
"""

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch

from transience.files.checkpoints import CheckpointWriter
from transience.files.pinned import mark

BUFFERS = 2  # checkpoints under way at most; then training waits for the disk


class BackgroundWriter:
    """A `CheckpointWriter` at work in a thread of its own, in the order of the calls."""

    def __init__(self, writer: CheckpointWriter) -> None:
        """Take over a writer, which none but the thread uses until `flush`."""
        self.writer, self.index = writer, writer.index
        self.thread = ThreadPoolExecutor(1, "checkpoints")
        self.buffers: deque[torch.Tensor] = deque()
        self.under_way: deque[Future[None]] = deque()

    def write(self, step: int, vector: torch.Tensor) -> None:
        """Begin to write the parameters (P,) of one step, which may change from now on.

        Raises what a write before this one has met.
        """
        if len(self.under_way) == BUFFERS:
            self.under_way.popleft().result()
        buffer = self._buffer(vector)
        buffer.copy_(vector, non_blocking=True)
        copied = mark() if vector.is_cuda else None
        self.under_way.append(self.thread.submit(self._write, step, buffer, copied))

    def flush(self) -> None:
        """Wait until everything written so far would survive a crash of the machine."""
        self._wait()
        self.writer.flush()

    def finish(self, path: Path, *rows: dict[int, int], **told: Any) -> None:
        """Wait, and finish as `CheckpointWriter.finish` does."""
        self._wait()
        self.thread.shutdown()
        self.writer.finish(path, *rows, **told)

    def _write(self, step: int, buffer: torch.Tensor, copied: torch.cuda.Event | None) -> None:
        if copied is not None:
            copied.synchronize()
        self.writer.write(step, buffer)

    def _wait(self) -> None:
        while self.under_way:
            self.under_way.popleft().result()

    def _buffer(self, vector: torch.Tensor) -> torch.Tensor:
        """In turn; the one that is free, as at most so many writes are under way."""
        if len(self.buffers) < BUFFERS:
            pinned = vector.is_cuda
            self.buffers.append(torch.empty(len(vector), dtype=vector.dtype, pin_memory=pinned))
        else:
            self.buffers.rotate(-1)
        return self.buffers[-1]
