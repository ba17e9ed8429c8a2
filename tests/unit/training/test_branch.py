"""A branch begins with the very state of its parent, and changes what comes after alone."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import torch
from small import MODEL, TASK, TRAINING, small_run

from transience.files.checkpoints import CheckpointReader
from transience.files.tables import read_table, write_table
from transience.model.loss_and_gradient import LossAndGradient
from transience.problem.drift import Drift

LIBRARY = Path(__file__).parents[3] / "workflow" / "lib"
SETTINGS = {"experiment": "test", "task": TASK, "model": MODEL}
RUN = ["--num-tasks", "4", "--seed", "1", "--device", "cpu"]
FILES = ("checkpoints", "states", "training", "signals")
STEPS = {"linear_every": 10, "logarithmic_count": 4}


def train(
    folder: Path, variant: str, *flags: str, states=(), **training
) -> subprocess.CompletedProcess:
    checkpoints = STEPS | {"states": list(states)}
    settings = SETTINGS | {"training": TRAINING | training, "checkpoints": checkpoints}
    outputs = {name: folder / f"{variant}.{name}" for name in FILES}
    words = ["--variant", variant, *RUN, "--settings", json.dumps(settings)]
    words += ["--state-dir", str(folder / f"{variant}.state")]
    for name, path in outputs.items():
        words += [f"--{name}", str(path)]
    return subprocess.run(
        [sys.executable, "-m", "transience.training", *words, *flags],
        env=os.environ | {"PYTHONPATH": str(LIBRARY), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )


def branch(folder: Path, variant: str, step, *flags: str, **changes):
    """A branch of the run `parent` in the folder."""
    words = [
        word for name in FILES for word in (f"--parent-{name}", str(folder / f"parent.{name}"))
    ]
    of_branch = {"variant": "parent", "step": step} | changes.pop("branch", {})
    return train(folder, variant, *words, *flags, branch=of_branch, **changes)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("family")
    done = train(folder, "parent", states=[20, 0.75])
    assert done.returncode == 0, done.stderr
    return folder


def rows(path: Path) -> dict[int, torch.Tensor]:
    reader = CheckpointReader(path)
    return {step: reader.parameters(index) for index, step in enumerate(reader.steps)}


def log(path: Path) -> pd.DataFrame:
    training = read_table(path, "training").drop(columns=["variant", "seconds"])
    return training.merge(
        read_table(path.with_suffix(".signals"), "signals").drop(columns="variant")
    )


def test_states_are_kept_where_that_was_asked_for(folder):
    states = rows(folder / "parent.states")
    assert list(states) == [20, 30]
    assert states[20].shape == (2 * len(rows(folder / "parent.checkpoints")[20]),)
    first, second = states[20].chunk(2)
    assert (second >= 0).all() and first.any()


@pytest.mark.parametrize("step", [20, 0.75])
def test_one_that_changes_nothing_equals_its_parent_to_the_bit(folder, step):
    name = f"same{step}"
    assert branch(folder, name, step).returncode == 0
    parent, other = (rows(folder / f"{one}.checkpoints") for one in ("parent", name))
    assert parent.keys() == other.keys()
    assert all(torch.equal(parent[at], other[at]) for at in parent)
    assert log(folder / "parent.training").equals(log(folder / f"{name}.training"))
    found = CheckpointReader(folder / f"{name}.checkpoints").metadata["branch"]
    assert found == {"variant": "parent", "step": 20 if step == 20 else 30}


def test_one_that_changes_something_leaves_it_there(folder):
    phases = [{"begin": 5, "fresh_fraction": 0.5}]
    assert branch(folder, "fresh", 20, phases=phases).returncode == 0
    parent, other = (rows(folder / f"{one}.checkpoints") for one in ("parent", "fresh"))
    assert other.keys() == parent.keys() | {25}
    assert all(torch.equal(parent[at], other[at]) == (at <= 20) for at in parent)


def test_tasks_of_a_branch_stand_where_those_of_its_parent_stood(tmp_path):
    """And go on from there if they wander again; the shared part is evaluated with them."""
    drifting = [{"end": 25, "task_drift": 0.1}]
    parent = train(tmp_path, "parent", states=[20], phases=drifting)
    again = [{"begin": 0, "end": 30, "task_drift": 0.2}]
    for variant, phases in (("stands", []), ("wanders", again)):
        done = branch(tmp_path, variant, 20, phases=phases, log_every=1)
        assert (parent.returncode, done.returncode) == (0, 0), parent.stderr + done.stderr
    run = small_run(4.0, seed=1)
    found = {}
    for name in ("parent", "stands", "wanders"):
        found[name] = run.as_trained(CheckpointReader(tmp_path / f"{name}.checkpoints"))
    for step in (10, 20):
        there = found["parent"].at(step).tasks()
        assert not there.equal(run.tasks())
        assert found["stands"].at(step).tasks().equal(there)
        assert found["wanders"].at(step).tasks().equal(there)
    assert found["stands"].at(40).tasks().equal(found["parent"].at(20).tasks())
    assert found["wanders"].drift == (Drift(0, 20, 0.1), Drift(20, 40, 0.2))
    # and these are the tasks that it was trained on
    xs, ys = found["stands"].at(20).sequences("training", 20, num_sequences=TRAINING["batch_size"])
    reader = CheckpointReader(tmp_path / "stands.checkpoints")
    vector = reader.parameters(reader.steps.index(20))
    loss = LossAndGradient(run.architecture)(vector, xs, ys)[0].mean().item()
    logged = log(tmp_path / "stands.training").set_index("step")["batch_loss"]
    assert logged.loc[21] == pytest.approx(loss, rel=1e-6)


def test_it_may_end_early_or_late_and_be_left_in_turn(folder):
    assert branch(folder, "short", 20, branch={"num_steps": 3}, states=["all"]).returncode == 0
    assert [*rows(folder / "short.checkpoints")] == [0, 1, 3, 10, 11, 20, 23]
    assert [*rows(folder / "short.states")] == [20, 23]
    assert branch(folder, "late", 30, num_steps=60).returncode == 0
    assert [*rows(folder / "late.checkpoints")][-3:] == [40, 50, 60]


@pytest.mark.parametrize(("moment", "left"), [(11, 20), (20, 20), (21, 30)])
def test_a_moment_told_in_words_is_the_first_kept_state_from_there_on(folder, moment, left):
    point = folder / f"point{moment}"
    frame = pd.DataFrame(
        {
            "variant": "worded", "num_tasks": 4.0, "seed": 1, "parent": "parent", "at": "t_crit",
            "step": [moment],
        }
    )  # fmt: skip
    write_table(point, "branch_point", frame, {})
    done = branch(folder, f"worded{moment}", "t_crit", "--branch-point", str(point))
    assert done.returncode == 0, done.stderr
    found = CheckpointReader(folder / f"worded{moment}.checkpoints").metadata["branch"]["step"]
    assert found == left


def test_a_state_that_is_not_kept_is_told_in_one_line(folder):
    done = branch(folder, "lost", 10)
    assert done.returncode != 0
    (line,) = done.stderr.strip().splitlines()
    assert "parent.states: expected the state of step 10, at which lost leaves parent" in line
    assert line.endswith("found those of 20, 30")


def test_a_parent_that_ended_before_is_told_in_one_line(folder):
    done = branch(folder, "beyond", 50, num_steps=60)
    assert done.returncode != 0
    (line,) = done.stderr.strip().splitlines()
    assert "expected the state of step 50, at which beyond leaves parent" in line
    assert line.endswith("found that its training ended at step 40 (stop_when)")
