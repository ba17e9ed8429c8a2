"""Where a command computes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from transience.command.device import device_name, use_device
from transience.errors import InputError

COMPILE_THREADS = "TORCHINDUCTOR_COMPILE_THREADS"


@pytest.fixture(autouse=True)
def same_threads(monkeypatch):
    monkeypatch.setenv(COMPILE_THREADS, "1")  # so that it's put back
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def test_cpu_is_always_there():
    assert use_device("cpu", threads=1).type == "cpu"


@pytest.mark.parametrize("there", [True, False])
def test_auto_takes_cuda_where_there_is_any(there: bool, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: there)
    assert use_device("auto", threads=1).type == ("cuda" if there else "cpu")
    assert use_device("cpu", threads=1).type == "cpu"


def test_cuda_that_is_not_there_is_named(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(InputError, match=r"execution\.device: expected a CUDA device, found none"):
        use_device("cuda", threads=1)


@pytest.mark.parametrize("threads", [1, 2])
def test_torch_keeps_to_its_threads(threads: int):
    use_device("cpu", threads=threads)
    assert torch.get_num_threads() == threads


@pytest.mark.parametrize(("environment", "expected"), [(None, 1), ("5", 5)])
def test_the_compiler_keeps_to_the_threads_of_the_job(environment, expected, monkeypatch):
    """With one it starts no processes of its own."""
    from torch._inductor.config import decide_compile_threads

    monkeypatch.setenv(COMPILE_THREADS, environment or "")
    if environment is None:
        monkeypatch.delenv(COMPILE_THREADS)
    use_device("cpu", threads=1)
    assert decide_compile_threads() == expected


def test_a_device_is_chosen_before_the_compiler_reads_its_environment():
    """So the imports of a training must not load it."""
    code = "import sys, transience.training.__main__; print(*sys.modules)"
    library = Path(__file__).parents[3] / "workflow" / "lib"
    run = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | {"PYTHONPATH": str(library)},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "torch" in run.stdout.split()
    assert "torch._inductor.config" not in run.stdout.split()


def test_the_processor_has_a_name():
    assert device_name("cpu")
