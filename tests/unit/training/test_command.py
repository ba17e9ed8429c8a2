"""The training command: killed at any moment it goes on and ends the same."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from small import FLAGS, MODEL, TASK, TRAINING

from transience.files.checkpoints import CheckpointReader
from transience.files.lines import NAME
from transience.files.tables import read_table
from transience.training.state import LOG_COLUMNS

SETTINGS = {
    "experiment": "test",
    "task": TASK,
    "model": MODEL,
    "training": TRAINING,
    "checkpoints": {"linear_every": 10, "logarithmic_count": 5},
}


def command(folder: Path, checkpoints=None, **training) -> list[str]:
    checkpoints = SETTINGS["checkpoints"] | (checkpoints or {})
    settings = SETTINGS | {"training": TRAINING | training, "checkpoints": checkpoints}
    flags = ["--state-dir", str(folder / "state"), "--settings", json.dumps(settings)]
    flags += ["--save-state-every", "0.1"]
    flags += ["--checkpoints", str(folder / "c.safetensors")]
    flags += ["--states", str(folder / "s.safetensors")]
    flags += ["--training", str(folder / "t.parquet")]
    flags += ["--signals", str(folder / "g.parquet")]
    return [sys.executable, "-m", "transience.training", *FLAGS, *flags]


@pytest.fixture
def environment(monkeypatch):
    library = Path(__file__).parents[3] / "workflow" / "lib"
    return os.environ | {"PYTHONPATH": str(library), "OMP_NUM_THREADS": "1"}


def wait_for(condition, process, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_a_killed_command_goes_on_and_ends_the_same(tmp_path, environment, number):
    changes = {"num_steps": 1500, "log_every": 100}
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    subprocess.run(command(whole, **changes), env=environment, check=True, capture_output=True)
    process = subprocess.Popen(
        command(cut, **changes), env=environment, stderr=subprocess.PIPE, text=True
    )
    wait_for(lambda: list(cut.glob("state/*/state.safetensors")), process)
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == (-9 if number == signal.SIGKILL else 128 + number)
    assert not (cut / "c.safetensors").exists()
    if number != signal.SIGKILL:
        assert "run again to go on" in errors
    again = subprocess.run(
        command(cut, **changes), env=environment, check=True, capture_output=True, text=True
    )
    assert "resuming at step" in again.stderr
    a, b = (CheckpointReader(f / "c.safetensors") for f in (whole, cut))
    assert a.steps == b.steps
    assert all(torch.equal(a.parameters(i), b.parameters(i)) for i in range(len(a)))
    a, b = (read_table(f / "t.parquet", "training").drop(columns="seconds") for f in (whole, cut))
    assert a.equals(b)
    assert not (cut / "state").exists()


# The command where a checkpoint takes the disk 20 ms, and a step the processor less than 1
SLOW_DISK = """
import runpy, time
from transience.files.checkpoints import CheckpointWriter
at_once = CheckpointWriter.write
def write(*arguments):
    time.sleep(0.02)
    at_once(*arguments)
CheckpointWriter.write = write
runpy.run_module("transience.training", run_name="__main__", alter_sys=True)
"""


@pytest.mark.parametrize("more", [0.0, 0.07, 0.3])
def test_killed_while_a_slow_disk_is_behind_it_goes_on_and_ends_the_same(
    tmp_path, environment, more
):
    """So many seconds after its first state was saved."""
    changes, often = {"num_steps": 1500, "log_every": 100}, {"linear_every": 10}
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    of_whole, of_cut = (command(folder, often, **changes) for folder in (whole, cut))
    subprocess.run(of_whole, env=environment, check=True, capture_output=True)
    slow = [sys.executable, "-c", SLOW_DISK, *of_cut[3:]]
    process = subprocess.Popen(slow, env=environment, stderr=subprocess.PIPE, text=True)
    wait_for(lambda: list(cut.glob("state/*/state.safetensors")), process)
    time.sleep(more)
    process.kill()
    process.communicate(timeout=60)
    again = subprocess.run(of_cut, env=environment, check=True, capture_output=True, text=True)
    assert "resuming at step" in again.stderr
    files = [CheckpointReader(folder / "c.safetensors") for folder in (whole, cut)]
    assert len(files[0]) == len(files[1]) > 150
    assert all(torch.equal(*(file.parameters(i) for file in files)) for i in range(len(files[0])))


def test_state_of_another_configuration_or_code_is_not_continued(tmp_path, environment):
    changes = {"num_steps": 100_000}
    process = subprocess.Popen(
        command(tmp_path, **changes), env=environment, stderr=subprocess.PIPE, text=True
    )
    wait_for(lambda: list(tmp_path.glob("state/*/state.safetensors")), process)
    process.terminate()
    process.communicate(timeout=60)
    for other in (command(tmp_path), [*command(tmp_path, num_steps=41), "--code", "edited"]):
        done = subprocess.run(other, env=environment, check=True, capture_output=True, text=True)
        assert "resuming" not in done.stderr


def test_a_damaged_state_starts_again(tmp_path, environment):
    changes = {"num_steps": 1500, "log_every": 100}
    process = subprocess.Popen(
        command(tmp_path, **changes), env=environment, stderr=subprocess.PIPE, text=True
    )
    wait_for(lambda: list(tmp_path.glob("state/*/state.safetensors")), process)
    process.kill()
    process.communicate(timeout=60)
    (state,) = tmp_path.glob("state/*/state.safetensors")
    state.write_bytes(state.read_bytes()[:-10])
    done = subprocess.run(
        command(tmp_path, **changes), env=environment, check=True, capture_output=True, text=True
    )
    assert "damaged; starting again" in done.stderr
    assert CheckpointReader(tmp_path / "c.safetensors").steps[-1] == 1500


def test_checkpoints_that_lack_their_end_start_again(tmp_path, environment):
    """Else a run that goes on would end well, with zeros for the checkpoints that were cut off."""
    changes = {"num_steps": 1500, "log_every": 100}
    process = subprocess.Popen(
        command(tmp_path, **changes), env=environment, stderr=subprocess.PIPE, text=True
    )
    wait_for(lambda: list(tmp_path.glob("state/*/state.safetensors")), process)
    process.kill()
    process.communicate(timeout=60)
    (partial,) = tmp_path.glob("state/*/checkpoints.partial")
    partial.write_bytes(partial.read_bytes()[:-500])
    done = subprocess.run(
        command(tmp_path, **changes), env=environment, check=True, capture_output=True, text=True
    )
    assert f"{partial}: expected " in done.stderr and "starting again" in done.stderr
    reader = CheckpointReader(tmp_path / "c.safetensors")
    assert all(reader.parameters(index).any() for index in range(len(reader)))


# Lines

# Keeps the lines of a training that ends, whose folder is removed
KEEP_LINES = """
import pathlib, runpy, shutil, sys
removed = shutil.rmtree
def rmtree(folder):
    (lines,) = pathlib.Path(folder).glob("*/lines.jsonl")
    lines.rename(pathlib.Path(folder).parent / "lines.jsonl")
    removed(folder)
shutil.rmtree = rmtree
runpy.run_module("transience.training", run_name="__main__", alter_sys=True)
"""


def told(path):
    """Header, logged steps and events of a file of lines, all of them whole."""
    text = path.read_text()
    header, *lines = map(json.loads, text.splitlines())
    assert text.endswith("\n")
    kinds = [[line for line in lines if ("event" in line) == event] for event in (False, True)]
    return header, *kinds


def keeping_lines(folder, environment, **changes):
    words = [sys.executable, "-c", KEEP_LINES, *command(folder, **changes)[3:]]
    subprocess.run(words, env=environment, check=True, capture_output=True)
    return told(folder / NAME)


def logged(folder):
    """Rows of both tables of a training, as lines have them, but for the time."""
    training = read_table(folder / "t.parquet", "training")
    signals = read_table(folder / "g.parquet", "signals")
    both = training.merge(signals)[[*LOG_COLUMNS]].astype(object)
    return both.where(both.notna(), None).to_dict("records")


def test_lines_are_the_log(tmp_path, environment):
    header, lines, events = keeping_lines(tmp_path, environment)
    assert header["format"] == 1 and header["host"] and header["pid"] != os.getpid()
    run = {"variant": "baseline", "num_tasks": "4", "seed": 1, "first_step": 0, "last_step": 40}
    assert header | run == header
    times = [line.pop("time") for line in lines]
    assert times == sorted(times) and header["time"] <= times[0]
    assert lines == logged(tmp_path) and len(lines) == 5
    assert lines[0]["gradient_variance"] is None  # there is none at the first step
    assert [(event["event"], event["step"]) for event in events] == [("finished", 40)]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_lines_are_cut_at_the_restored_step(tmp_path, environment, number):
    changes = {"num_steps": 3000, "log_every": 10}
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    keeping_lines(whole, environment, **changes)
    process = subprocess.Popen(
        command(cut, **changes), env=environment, stderr=subprocess.PIPE, text=True
    )
    wait_for(lambda: list(cut.glob("state/*/state.safetensors")), process)
    process.send_signal(number)
    process.communicate(timeout=60)
    (path,) = cut.glob(f"state/*/{NAME}")
    with path.open("a") as file:  # lines beyond the state, as of a kill long after the last save
        file.write('{"step":2999,"batch_loss":-1}\n{"step":3000,"batch')
    _, lines, events = keeping_lines(cut, environment, **changes)
    assert [event["event"] for event in events] == (
        ["resumed", "finished"] if number == signal.SIGKILL else ["stopped", "resumed", "finished"]
    )
    assert lines[[line["step"] for line in lines].index(2990) + 1]["step"] == 3000
    ours = [{k: v for k, v in line.items() if k not in ("seconds", "time")} for line in lines]
    theirs = [{k: v for k, v in row.items() if k != "seconds"} for row in logged(whole)]
    assert ours == theirs


def test_a_training_that_diverges_says_so(tmp_path, environment):
    changes = {"learning_rate": 1e6, "warmup_steps": 0, "num_steps": 2000, "log_every": 1}
    done = subprocess.run(
        command(tmp_path, **changes), env=environment, capture_output=True, text=True
    )
    assert done.returncode == 1
    (path,) = tmp_path.glob(f"state/*/{NAME}")
    event = told(path)[2][-1]
    assert event["event"] == "diverged" and event["words"] in done.stderr


def test_an_alarm_is_told_while_the_training_cools_down(tmp_path, environment):
    alarm = {"detector": "projection", "threshold": 1.0, "cooldown_steps": 15}
    changes = {"num_steps": 200, "learning_rate": 3e-2, "stop_when": alarm}
    header, lines, events = keeping_lines(tmp_path, environment, **changes)
    assert header["last_step"] == 200
    told, end = events
    assert (told["event"], told["words"]) == ("alarm", "projection")
    assert told["last_step"] == told["step"] + 15 == end["step"] == lines[-1]["step"] < 200
