"""Where jobs compute: decided before any of them starts, and without torch."""

from pathlib import Path

import pytest

from transience.planning import gpus


@pytest.fixture
def machine(monkeypatch, tmp_path):
    """Make up a machine: whether it has a GPU, and the version of its PyTorch."""

    def machine(gpu: bool, torch: str = "2.13.0+cu130") -> None:
        monkeypatch.setattr(gpus, "gpu_here", lambda: gpu)
        monkeypatch.setattr(gpus, "version", lambda name: torch)

    return machine


@pytest.mark.parametrize(
    ("device", "gpu", "cluster", "torch", "expected"),
    [
        ("auto", True, False, "2.13.0+cu130", "cuda"),
        ("auto", True, False, "2.13.0", "cuda"),
        ("auto", True, False, "2.13.0+cpu", "cpu"),
        ("auto", False, False, "2.13.0", "cpu"),
        ("auto", True, True, "2.13.0", "cpu"),  # of the machine that submits
        ("cuda", False, False, "2.13.0+cpu", "cuda"),
        ("cpu", True, False, "2.13.0", "cpu"),
    ],
)
def test_auto_is_decided_once(machine, device, gpu, cluster, torch, expected):
    machine(gpu, torch)
    assert gpus.resolved(device, cluster=cluster) == expected
    told = gpus.note(device, cluster=cluster)
    assert bool(told) == (device == "auto" and (gpu or cluster))


def test_with_conda_pytorch_is_another(machine):
    machine(True, "2.13.0+cpu")
    assert gpus.resolved("auto", cluster=False, own_torch=False) == "cuda"
    assert gpus.problem(cluster=False, own_torch=False) is None


@pytest.mark.parametrize(
    ("gpu", "torch", "cluster", "found"),
    [
        (False, "2.13.0", False, "expected a GPU on this machine, found none"),
        (True, "2.13.0+cpu", False, "expected a PyTorch that can use GPUs, found 2.13.0+cpu"),
        (False, "2.13.0+cpu", True, "expected a PyTorch that can use GPUs, found 2.13.0+cpu"),
        (False, "2.13.0", True, None),
        (True, "2.13.0", False, None),
    ],
)
def test_what_cuda_lacks_is_told_before_jobs_are_tried(machine, gpu, torch, cluster, found):
    machine(gpu, torch)
    line = gpus.problem(cluster=cluster)
    assert line is None if found is None else found in line and "\n" not in line


@pytest.mark.parametrize(
    ("text", "hidden", "there"),
    [
        ("echo 'GPU 0: NVIDIA H100 (UUID: GPU-1)'", "0,1", True),
        ("echo 'GPU 0: NVIDIA H100 (UUID: GPU-1)'", "", False),
        ("echo 'No devices were found'", "0", False),
        ("echo 'driver/library version mismatch' >&2; exit 18", "0", False),
        (None, "0", False),
    ],
)
def test_a_gpu_is_what_programs_may_see(monkeypatch, tmp_path, text, hidden, there):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", hidden)
    monkeypatch.setattr(gpus, "DEVICE_FILES", ())
    monkeypatch.setenv("PATH", str(tmp_path))
    if text:
        program = Path(tmp_path, "nvidia-smi")
        program.write_text(f"#!/bin/sh\n{text}\n")
        program.chmod(0o755)
    assert gpus.gpu_here() == there


def test_a_device_file_will_do(monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(gpus, "DEVICE_FILES", ("nul[l]",))
    assert gpus.gpu_here()
