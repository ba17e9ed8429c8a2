"""Which device `execution.device: auto` is, and whether there is what `cuda` asks for.

Decided once, where Snakemake is started and before any job: so a dry run shows it, and a job that
uses a GPU is counted as one. Nothing here imports torch, which takes seconds.
"""

import os
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

DEVICE_FILES = ("nvidia[0-9]*", "dxg", "kfd")  # in /dev: NVIDIA's, those of WSL, AMD's
HIDDEN = ("", "-1")  # of CUDA_VISIBLE_DEVICES


def resolved(device: str, *, cluster: bool, own_torch: bool = True) -> str:
    """What `auto` is for the jobs of this call of Snakemake: `cpu` or `cuda`.

    ``cluster``: jobs run elsewhere; ``own_torch``: with the PyTorch of this interpreter.
    """
    if device != "auto":
        return device
    usable = not cluster and gpu_here() and not (own_torch and _torch_for_cpus())
    return "cuda" if usable else "cpu"


def note(device: str, *, cluster: bool, own_torch: bool = True) -> str | None:
    """What a user may not expect of `auto`, in a line."""
    if device != "auto":
        return None
    if cluster:
        return "execution.device: auto is cpu on a cluster; write cuda to ask for GPUs"
    if resolved(device, cluster=cluster, own_torch=own_torch) == "cuda":
        return "execution.device: auto found a GPU, on which jobs take turns; write cpu to use none"
    if gpu_here():
        found = f"PyTorch {_torch_for_cpus()}"
        return f"execution.device: auto is cpu, as {found} can't use the GPU of this machine"
    return None


def problem(*, cluster: bool, own_torch: bool = True) -> str | None:
    """Why jobs on GPUs would all fail, in a line."""
    if own_torch and (found := _torch_for_cpus()):
        return (
            f"execution.device: expected a PyTorch that can use GPUs, found {found}; install "
            "another, or write cpu"
        )
    if not cluster and not gpu_here():
        return (
            "execution.device: expected a GPU on this machine, found none; write cpu, or start "
            "this where there is one"
        )
    return None


def gpu_here() -> bool:
    """Whether this machine has a GPU that programs may see."""
    if os.environ.get("CUDA_VISIBLE_DEVICES", "all").strip() in HIDDEN:
        return False
    if any(path for pattern in DEVICE_FILES for path in Path("/dev").glob(pattern)):
        return True
    try:
        listed = subprocess.run(
            ["nvidia-smi", "--list-gpus"], capture_output=True, text=True, timeout=20
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return listed.returncode == 0 and listed.stdout.startswith("GPU ")


def _torch_for_cpus() -> str | None:
    """Version of a PyTorch built without CUDA; None if it may have it."""
    try:
        found = version("torch")
    except PackageNotFoundError:
        return None
    return found if found.endswith("+cpu") else None
