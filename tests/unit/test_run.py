"""A run: its names, tasks, data and checkpoints; those of another run are refused."""

import math
from pathlib import Path

import pytest
import torch
from small import MODEL, TASK, small_run

from transience.errors import InputError
from transience.files.checkpoints import CheckpointReader, CheckpointWriter
from transience.files.tables import RUN_KEYS
from transience.model.settings import ModelSettings
from transience.model.transformer import Architecture, num_parameters
from transience.problem.settings import TaskSettings
from transience.problem.tasks import sample_sequences, task_set

SETTINGS = {"task": TASK, "model": MODEL}
SIZE = num_parameters(small_run().architecture)


def test_a_run_has_the_keys_of_every_table():
    assert list(small_run().keys) == RUN_KEYS
    assert small_run(math.inf, 2).keys == {"variant": "baseline", "num_tasks": math.inf, "seed": 2}


def test_its_transformer_is_that_of_its_settings():
    expected = Architecture.of(TaskSettings(**TASK), ModelSettings(**MODEL))
    assert small_run().architecture == expected
    assert small_run(width=16).architecture != expected


def test_its_tasks_are_the_first_m_of_its_seed():
    assert torch.equal(small_run(8.0, 1).tasks(), task_set(1, 8.0, 2))
    assert small_run(math.inf).tasks() is None


@pytest.mark.parametrize("num_tasks", [8.0, math.inf])
def test_its_sequences_are_those_of_the_stream(num_tasks: float):
    run = small_run(num_tasks)
    found = run.sequences("a test", 3, num_sequences=5)
    expected = sample_sequences(
        run.seed, "a test", 3, tasks=run.tasks(), num_sequences=5, device="cpu", **TASK
    )
    assert [one.shape for one in found] == [(5, 3, 2), (5, 3)]
    assert all(map(torch.equal, found, expected))


def write(path: Path, size: int, **changes) -> Path:
    run = small_run()
    metadata = run.keys | {"num_tasks": "4", "settings": SETTINGS} | changes
    writer = CheckpointWriter(path.with_suffix(".partial"), [0], size, metadata)
    writer.write(0, torch.zeros(size))
    writer.finish(path)
    return path


def test_checkpoints_of_the_run_are_opened(tmp_path: Path):
    reader = small_run().open_checkpoints(write(tmp_path / "a.safetensors", SIZE))
    assert isinstance(reader, CheckpointReader) and reader.steps == [0]


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
def test_checkpoints_of_another_run_are_refused(tmp_path: Path, change: dict, message: str):
    path = write(tmp_path / "a.safetensors", SIZE, **change)
    with pytest.raises(InputError, match=message):
        small_run().open_checkpoints(path)


def test_checkpoints_of_another_size_are_refused(tmp_path: Path):
    """The same settings, but written by code with other parameters."""
    with pytest.raises(InputError, match=f"expected checkpoints of {SIZE} parameters, found 7"):
        small_run().open_checkpoints(write(tmp_path / "a.safetensors", 7))
