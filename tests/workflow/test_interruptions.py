"""A sweep that is killed, again and again, ends as one that nobody disturbed."""

import contextlib
import os
import random
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pandas as pd
import pytest
import torch

from transience.files import tables
from transience.files.checkpoints import CheckpointReader

RUN = "runs/baseline/M4_seed0"
NAMES = ("training", "evaluation", "llc", "llc_trace")
TARGETS = [f"results/smoke/{RUN}/{name}.parquet" for name in NAMES]
SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGKILL)  # one after another


def logs(project) -> dict[Path, int]:
    """Log files of the jobs, and when they were written to."""
    return {path: path.stat().st_mtime_ns for path in project.results.glob("logs/*/*.log")}


def kill_after(project, seconds: float, number: int, *, saved: bool) -> bool:
    """Kill the sweep and all its jobs so long after the first started; False if it ended before.

    With ``saved``, so long after a training saved its state.
    """
    before = logs(project)
    process = project.start(*TARGETS, "--nolock")

    def begun() -> bool:  # Snakemake's own start left out, however slow the machine
        if saved:
            return any((project.results / ".resume").rglob("state.safetensors"))
        return logs(project) != before

    while not begun():
        if process.poll() is not None:
            return False
        time.sleep(0.1)
    try:
        process.wait(seconds)
        return False
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, number)
    process.wait()
    with contextlib.suppress(ProcessLookupError):
        while True:  # jobs may outlive it
            os.killpg(process.pid, 0)
            time.sleep(0.02)
    return True


def same(a: Path, b: Path) -> bool:
    """Whether the run in two results folders is the same, bit by bit, but for the time it took."""
    readers = [CheckpointReader(folder / RUN / "checkpoints.safetensors") for folder in (a, b)]
    weights = [torch.stack([r.parameters(i) for i in range(len(r))]) for r in readers]
    frames = [
        [tables.read_table(folder / RUN / f"{name}.parquet", name) for name in NAMES]
        for folder in (a, b)
    ]
    pairs = [(x.drop(columns="seconds", errors="ignore"), y) for x, y in zip(*frames, strict=True)]
    return (
        readers[0].steps == readers[1].steps
        and torch.equal(*weights)
        and all(x.equals(y[x.columns]) for x, y in pairs)
    )


def test_killed_at_random_moments(project, tmp_path):
    for old, new in [
        ("num_steps: 300", "num_steps: 4000"),
        ("linear_every: 50", "linear_every: 1000"),
        ("save_state_every_seconds: 60", "save_state_every_seconds: 1"),
        ("num_draws: 60", "num_draws: 300"),
    ]:
        project.edit("config/smoke.yaml", old, new)
    undisturbed = project.copy(tmp_path / "undisturbed")
    assert undisturbed.snakemake(*TARGETS).returncode == 0
    timed = undisturbed.results / "benchmarks/train/baseline_M4_seed0.tsv"
    training = pd.read_csv(timed, sep="\t")["s"][0]
    chance = random.Random(0)
    said, kills = set(), 0
    while kills < len(SIGNALS):
        saved = kills == 0  # the first right after a save, so that one training is resumed for sure
        moment = 0.0 if saved else chance.uniform(0, training)
        was_killed = kill_after(project, moment, SIGNALS[kills], saved=saved)
        said |= {log.read_text() for log in logs(project)}
        if was_killed:
            kills += 1
        else:  # done in spite of the kills: once more
            assert same(project.results, undisturbed.results)
            shutil.rmtree(project.results)
    last = project.snakemake(*TARGETS, "--nolock")
    assert last.returncode == 0, last.stdout
    assert same(project.results, undisturbed.results)
    said |= {log.read_text() for log in logs(project)}
    assert any("resuming at step" in log for log in said)
    assert not list((project.results / ".resume").iterdir())


@pytest.fixture
def killed(project):
    """A sweep killed without warning: a lock, half a training, no outputs."""
    project.edit("config/smoke.yaml", "num_steps: 300", "num_steps: 100000")
    process = project.start(*TARGETS)
    log = project.results / "logs/train/baseline_M4_seed0.log"
    while not (log.exists() and "step" in log.read_text()):
        assert process.poll() is None
        time.sleep(0.1)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    return project


def test_a_stale_lock_is_explained_and_removed(killed):
    run = killed.watched(*TARGETS)
    assert run.returncode == 1
    assert "no other Snakemake process" in run.stdout and "--unlock" in run.stdout
    assert "Traceback" not in run.stdout
    assert killed.snakemake("--unlock").returncode == 0
    assert killed.planned(*TARGETS)["train"] == 1


def test_a_second_sweep_in_the_same_folder_is_refused(project):
    project.edit("config/smoke.yaml", "num_steps: 300", "num_steps: 100000")
    first = project.start(*TARGETS)
    while not (project.folder / ".snakemake/locks").exists():
        assert first.poll() is None
        time.sleep(0.1)
    try:
        second = project.watched(*TARGETS)
        assert second.returncode == 1
        assert "no other Snakemake process" in second.stdout
        assert first.poll() is None
    finally:
        os.killpg(first.pid, signal.SIGKILL)
        first.wait()
