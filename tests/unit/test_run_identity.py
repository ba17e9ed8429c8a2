"""Checkpoints of another run, task or model are refused before any work is done on them."""

import argparse
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from transience.checkpoints import CheckpointReader, CheckpointWriter
from transience.errors import InputError
from transience.run_identity import check_run, open_checkpoints
from transience.transformer import Architecture, num_parameters

RUN = {"variant": "baseline", "num_tasks": 4.0, "seed": 1}
SETTINGS = {
    "task": {"task_dimension": 3, "num_examples": 5, "noise_variance": 0.125},
    "model": {
        "width": 8,
        "num_layers": 1,
        "num_heads": 2,
        "mlp_width": 8,
        "output_projection": False,
        "doubled_residual": False,
    },
}
SIZE = num_parameters(Architecture.from_settings(SETTINGS))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"num_tasks": "8"}, "a.safetensors: expected checkpoints with num_tasks 4, found 8"),
        ({"seed": 2}, "expected checkpoints with seed 1, found 2"),
        ({"variant": "wide"}, "expected checkpoints with variant baseline, found wide"),
        ({"settings": SETTINGS | {"model": {"width": 16}}}, "expected checkpoints with model"),
        ({"settings": {}}, "expected checkpoints with task"),
    ],
)
def test_checkpoints_of_another_run_are_refused(change: dict, message: str):
    args = argparse.Namespace(settings=SETTINGS, **RUN)
    metadata = RUN | {"num_tasks": "4", "settings": SETTINGS}
    check_run(SimpleNamespace(metadata=metadata), "a.safetensors", args)
    with pytest.raises(InputError, match=message):
        check_run(SimpleNamespace(metadata=metadata | change), "a.safetensors", args)


def opened(path: Path, size: int) -> CheckpointReader:
    metadata = RUN | {"num_tasks": "4", "settings": SETTINGS}
    writer = CheckpointWriter(path.with_suffix(".partial"), [0], size, metadata)
    writer.write(0, torch.zeros(size))
    writer.finish(path)
    return open_checkpoints(argparse.Namespace(settings=SETTINGS, checkpoints=path, **RUN))


def test_checkpoints_of_the_run_are_opened(tmp_path: Path):
    assert opened(tmp_path / "a.safetensors", SIZE).steps == [0]


def test_checkpoints_of_another_size_are_refused(tmp_path: Path):
    """The same settings, but written by code with other parameters."""
    with pytest.raises(InputError, match=f"expected checkpoints of {SIZE} parameters, found 7"):
        opened(tmp_path / "a.safetensors", 7)
