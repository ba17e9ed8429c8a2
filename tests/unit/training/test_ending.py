"""A training that ends at an alarm: when, at what rate, with what kept; killed or not."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from small import FLAGS, MODEL, TASK, TRAINING, small_run

from transience.files.checkpoints import CheckpointReader
from transience.files.tables import read_metadata, read_table
from transience.model.transformer import initial_parameters
from transience.training.settings import TrainingSettings
from transience.training.state import LOG_COLUMNS, TrainingState
from transience.training.train import train

LIBRARY = Path(__file__).parents[3] / "workflow" / "lib"
# Of 200 steps; the sum of projections above 0.3 grows from the start
CHANGES = TRAINING | {"num_steps": 200, "learning_rate": 3e-2}
AT_ALARM = {"detector": "projection", "threshold": 1.0}
FILES = ("checkpoints", "states", "training", "signals")


def trained(until: int | None = None, state: TrainingState | None = None, **stop) -> TrainingState:
    state = state or TrainingState.initial(initial_parameters(small_run().architecture, 1))
    settings = TrainingSettings(**CHANGES, **({"stop_when": stop} if stop else {}))
    for _ in train(state, small_run(), settings):
        if state.step == until:
            break
    return state


def column(state: TrainingState, name: str) -> np.ndarray:
    return np.array(state.log)[:, LOG_COLUMNS.index(name)]


@pytest.fixture(scope="module")
def whole() -> TrainingState:
    return trained()


@pytest.fixture(scope="module")
def alarm(whole) -> int:
    """Step of the alarm, from the log of a training that takes no notice."""
    names = ("step", "projection", "batch_loss", "ridge_loss", "learning_rate")
    total, before = 0.0, 0.0
    for step, place, loss, of_ridge, rate in zip(*(column(whole, n) for n in names), strict=True):
        if rate <= before and loss <= 1.5 * of_ridge:
            total = max(0.0, total + place - 0.3)
        before = rate
        if total > AT_ALARM["threshold"]:
            assert 10 < step < 150
            return int(step)
    raise AssertionError("no alarm")


def test_it_ends_at_the_alarm_and_is_the_same_up_to_there(whole, alarm):
    stopped = trained(**AT_ALARM)
    assert (stopped.step, stopped.alarm, stopped.stop) == (alarm, alarm, alarm)
    rows = len(stopped.log)
    same = [name for name in LOG_COLUMNS if name != "seconds"]
    for name in same:
        np.testing.assert_array_equal(column(stopped, name), column(whole, name)[:rows])


def test_a_cooldown_leads_the_rate_to_0(whole, alarm):
    stopped = trained(**AT_ALARM, cooldown_steps=25)
    assert (stopped.step, stopped.alarm) == (alarm + 25, alarm)
    steps, rates = column(stopped, "step"), column(stopped, "learning_rate")
    part = (steps - 1 - alarm) / 25  # of the cooldown, before the step
    expected = np.where(part < 0, column(whole, "learning_rate")[len(steps) - 1], 3e-2 * (1 - part))
    after = steps > alarm
    assert steps[-1] == alarm + 25 and after.sum() >= 3
    np.testing.assert_allclose(rates[after], expected[after])
    assert 0 < rates[-1] <= 3e-2 / 25 + 1e-9


def test_a_cooldown_ends_with_training():
    stopped = trained(**AT_ALARM, cooldown_steps=10_000)
    assert stopped.step == 200 and stopped.alarm < 200
    assert 0 < column(stopped, "learning_rate")[-1] < 1e-3


def test_without_an_alarm_nothing_changes(whole):
    other = trained(detector="projection", threshold=1e6, cooldown_steps=5)
    assert other.alarm is None and torch.equal(other.vector, whole.vector)


@pytest.mark.parametrize("where", ["before", "in the cooldown", "at the alarm"])
def test_resumed_it_ends_the_same(tmp_path, alarm, where):
    stop = AT_ALARM | {"cooldown_steps": 25}
    cut = {"before": alarm - 3, "in the cooldown": alarm + 7, "at the alarm": alarm}[where]
    trained(cut, **stop).save(tmp_path / "state")
    resumed = trained(state=TrainingState.load(tmp_path / "state", torch.device("cpu")), **stop)
    expected = trained(**stop)
    assert (resumed.step, resumed.alarm) == (expected.step, expected.alarm)
    for name in ("vector", "first_moment", "second_moment"):
        assert torch.equal(getattr(resumed, name), getattr(expected, name))


# The command


def command(folder: Path, **stop) -> subprocess.CompletedProcess:
    settings = {
        "experiment": "test", "task": TASK, "model": MODEL,
        "training": CHANGES | ({"stop_when": stop} if stop else {}),
        "checkpoints": {"linear_every": 40, "logarithmic_count": 4, "states": ["all"]},
    }  # fmt: skip
    words = [*FLAGS, "--state-dir", str(folder / "state"), "--settings", json.dumps(settings)]
    for name in FILES:
        words += [f"--{name}", str(folder / name)]
    return subprocess.run(
        [sys.executable, "-m", "transience.training", *words],
        env=os.environ | {"PYTHONPATH": str(LIBRARY), "OMP_NUM_THREADS": "1"},
        capture_output=True, text=True, check=True,
    )  # fmt: skip


def rows(path: Path) -> dict[int, torch.Tensor]:
    reader = CheckpointReader(path)
    return {step: reader.parameters(index) for index, step in enumerate(reader.steps)}


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    command(folder)
    return folder


def test_checkpoints_end_where_training_does(tmp_path, folder, alarm):
    command(tmp_path, **AT_ALARM, cooldown_steps=25)
    found, untouched = rows(tmp_path / "checkpoints"), rows(folder / "checkpoints")
    scheduled = [step for step in untouched if step < alarm + 25]
    assert [*found] == sorted({*scheduled, alarm, alarm + 25})
    for step in scheduled:
        if step <= alarm:
            assert torch.equal(found[step], untouched[step])
    assert all(vector.any() for vector in found.values())
    assert [*rows(tmp_path / "states")] == scheduled
    stopped = {"detector": "projection", "step": alarm}
    assert CheckpointReader(tmp_path / "checkpoints").metadata["stopped"] == stopped
    assert read_metadata(tmp_path / "training")["stopped"] == stopped
    assert read_table(tmp_path / "signals", "signals")["step"].max() == alarm + 25
    assert not (tmp_path / "state").exists()


def test_files_without_an_alarm_are_those_of_a_plain_training(tmp_path, folder):
    command(tmp_path, detector="projection", threshold=1e6)
    for name in ("checkpoints", "states"):
        found, expected = rows(tmp_path / name), rows(folder / name)
        assert found.keys() == expected.keys()
        assert all(torch.equal(found[step], expected[step]) for step in found)
    assert "stopped" not in CheckpointReader(tmp_path / "checkpoints").metadata
