"""Named random streams: every random number of a run is a pure function of (seed, stream).

A stream is a path of names and indices such as ``("training", "inputs", step)``. Streams with
different paths are independent, so a batch depends on nothing but the seed and the step, a
resumed run continues as if it had never stopped, and evaluation shares nothing with training.
"""

import hashlib

import numpy as np
import torch


def stream_key(seed: int, *stream: str | int) -> int:
    """Hash (seed, stream) into 63 bits (ours: SHA-256, so that nearby seeds share nothing)."""
    text = "/".join([str(seed), *map(repr, stream)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def generator(seed: int, *stream: str | int, device: torch.device | str = "cpu") -> torch.Generator:
    """Return a fresh PyTorch generator for a stream.

    The same stream gives other numbers on another kind of device: PyTorch's CPU and CUDA
    generators differ.
    """
    return torch.Generator(device=device).manual_seed(stream_key(seed, *stream))


def numpy_generator(seed: int, *stream: str | int) -> np.random.Generator:
    """Return a fresh NumPy generator for a stream, for draws whose prefixes must not change."""
    return np.random.Generator(np.random.PCG64(stream_key(seed, *stream)))
