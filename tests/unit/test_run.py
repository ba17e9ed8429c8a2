"""A run: its names, tasks, data and checkpoints; those of another run are refused."""

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from small import DRIFT, MODEL, TASK, small_run

from transience.errors import InputError
from transience.files.checkpoints import CheckpointReader, CheckpointWriter
from transience.files.tables import RUN_KEYS
from transience.model.settings import ModelSettings
from transience.model.transformer import Architecture, num_parameters
from transience.problem.drift import Drift, drifted
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


DRIFTS = tuple(Drift(*one) for one in DRIFT)


def test_a_run_has_the_drift_that_its_checkpoints_tell(tmp_path: Path):
    run, start = small_run(), task_set(1, 4.0, 2)
    trained = run.as_trained(CheckpointReader(write(tmp_path / "a", SIZE, drift=DRIFT)))
    assert trained.drift == DRIFTS and trained.tasks().equal(start)
    for step in (9, 3, 0, 7):  # in any order
        assert trained.at(step).tasks().equal(drifted(start, 1, DRIFTS, step))
    assert trained.at(4) == trained.at(6) != trained.at(7)  # no task moved between 4 and 6
    plain = CheckpointReader(write(tmp_path / "b", SIZE))
    assert run.as_trained(plain) == run == run.as_trained(plain).at(9)


def test_new_tasks_do_not_wander(tmp_path: Path):
    reader = CheckpointReader(write(tmp_path / "a", SIZE, drift=DRIFT))
    assert small_run(math.inf).as_trained(reader).at(9) == small_run(math.inf)


def test_what_follows_a_run_is_made_again_where_tasks_moved_only():
    run, made = replace(small_run(), drift=DRIFTS), []
    sizes = run.follow(lambda there: made.append(there.step) or there.tasks().sum())
    found = [sizes(step) for step in (0, 2, 3, 4, 5, 6, 8, 20)]
    assert made == [0, 3, 4, 8] and found[-1] is found[-2] == run.at(20).tasks().sum()
    still = small_run().follow(lambda there: made.append("once") or there)
    assert still(0) is still(9) == small_run() and made[4:] == ["once"]


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
