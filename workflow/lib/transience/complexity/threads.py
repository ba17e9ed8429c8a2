"""As many threads as help: threads of small matrix products wait for each other.

One gradient of a tanh network on two cores (AMD EPYC, torch 2.13.0 CPU, 2026-11-25; P parameters,
B samples, median of 0.6 s):

| P | B | one thread | two, machine quiet | two, cores shared with other work |
|---|---|---|---|---|
| 153 | 64 | 0.21 ms | | 80 ms, 380 times as long |
| 4,801 | 64 | 0.24 ms | 0.29 ms | |
| 17,793 | 256 | 0.81 ms | 1.17 ms | |
| 68,353 | 64 | 0.69 ms | 0.87 ms | |
| 267,777 | 256 | 12.5 ms | | 184 ms, 15 times as long |

Other work ran throughout; *quiet* is where it let both threads run. Up to P B = 5e6 a second thread
gained nothing even then. The choice looks at sizes and never at a clock: the number of threads
changes rounding, and the same seed must give the same draws.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

MOST_ALONE = 10_000_000  # parameters × samples of a gradient, up to which one thread is used


@contextmanager
def threads_for(num_parameters: int, batch_size: int) -> Iterator[None]:
    """One thread for a small gradient, else as many as there are; afterwards those of before."""
    before = torch.get_num_threads()
    if num_parameters * batch_size <= MOST_ALONE:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
