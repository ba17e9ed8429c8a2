"""Where a command computes."""

import pytest
import torch

from transience.command.device import device_name, use_device
from transience.errors import InputError


@pytest.fixture(autouse=True)
def same_threads():
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


def test_the_processor_has_a_name():
    assert device_name("cpu")
