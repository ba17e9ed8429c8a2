"""Where a command computes: the device that `--device` names, and how many threads."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import TYPE_CHECKING

from transience.errors import InputError

if TYPE_CHECKING:
    import torch


def use_device(name: str, *, threads: int) -> torch.device:
    """Device named `auto` (CUDA if there is any, else the CPU), `cpu` or `cuda`.

    Keeps torch to so many threads, and its compiler to so many processes, unless the environment
    says otherwise: else it starts one for each core, in the memory of one job. InputError if there
    is no such device.
    """
    os.environ.setdefault("TORCHINDUCTOR_COMPILE_THREADS", str(threads))
    import torch

    torch.set_num_threads(threads)
    available = torch.cuda.is_available()
    if name == "cuda" and not available:
        raise InputError("execution.device: expected a CUDA device, found none; write cpu")
    return torch.device("cuda" if available and name != "cpu" else "cpu")


def device_name(kind: str) -> str:
    """The model of this machine's processor (`cpu`) or GPU (`cuda`)."""
    if kind == "cuda":
        import torch

        return torch.cuda.get_device_name()
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
