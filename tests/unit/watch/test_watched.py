"""One training from its first line to its tables, and what goes wrong on the way."""

import math
import os
import shutil

import numpy as np
import pandas as pd
import pytest
import torch
from made_up import made_up_sweep
from made_up_lines import log_of, run_lines
from small import small_run, write_checkpoints

from transience.files.checkpoints import CheckpointWriter
from transience.files.lines import NAME, LineWriter
from transience.files.tables import write_table
from transience.training.state import (
    LOG_COLUMNS,
    SIGNAL_COLUMNS,
    TRAINING_COLUMNS,
    TrainingState,
)
from transience.watch.losses import Losses
from transience.watch.monitor import Monitor
from transience.watch.places import places
from transience.watch.watched import Watched

METADATA = {"variant": "baseline", "num_tasks": "8", "seed": 0}
RUN = {"variant": "baseline", "num_tasks": 8.0, "seed": 0}


@pytest.fixture
def one(tmp_path):
    """A run that is planned."""
    (tmp_path / "runs/baseline/M8_seed0").mkdir(parents=True)
    (place,) = places(tmp_path)
    return Watched(place)


def finish(folder, steps=range(10, 2001, 10)):
    """The tables of a training that is over."""
    shutil.rmtree(folder / ".resume", ignore_errors=True)
    log = pd.DataFrame(log_of(8.0, np.array(steps, float)), columns=list(LOG_COLUMNS))
    log["step"] = log["step"].astype(int)
    place = folder / "runs/baseline/M8_seed0"
    told = log[["step", "batch_loss", *SIGNAL_COLUMNS]].assign(**RUN)
    write_table(place / "signals.parquet", "signals", told, METADATA)
    table = log[[*TRAINING_COLUMNS]].assign(**RUN)
    write_table(place / "training.parquet", "training", table, METADATA)


def evaluate(folder):
    tables = made_up_sweep([8.0], 1)
    for name in ("evaluation", "predictors"):
        path = folder / f"runs/baseline/M8_seed0/{name}.parquet"
        write_table(path, name, tables[name], METADATA)


def test_a_run_from_its_plan_to_its_evaluation(one, tmp_path):
    assert not one.look() and (one.life, one.phase, one.since) == ("waiting", "", None)
    run_lines(tmp_path)
    assert one.look() and (one.life, one.phase) == ("running", "specialised")
    assert not one.look()
    shutil.rmtree(tmp_path / ".resume")
    assert one.look() and one.life == "waiting"  # a moment between two
    finish(tmp_path)
    assert one.look() and (one.life, one.course.step) == ("finished", 2000)
    assert not one.look() and one.losses.by_step == {}
    evaluate(tmp_path)
    assert one.look() and len(one.losses.by_step) > 50
    assert one.rows() is None and not one.look()


def test_a_run_that_is_trained_again_is_no_longer_finished(one, tmp_path):
    finish(tmp_path)
    evaluate(tmp_path)
    one.look()
    for path in (tmp_path / "runs").rglob("*.parquet"):
        path.unlink()
    run_lines(tmp_path, steps=range(10, 101, 10))
    assert one.look() and (one.life, one.course.step) == ("running", 100)
    assert one.losses.by_step == {}


def test_another_state_is_another_training(one, tmp_path):
    path = run_lines(tmp_path)
    one.look()
    other = path.parents[1] / "ffff" / NAME
    LineWriter(other, LOG_COLUMNS, {"last_step": 50})
    os.utime(path, (1, 1))
    assert one.look() and (len(one.course), one.course.last_step) == (0, 50)


def test_a_killed_run_that_goes_on_runs_again(one, tmp_path):
    path = run_lines(tmp_path, host="elsewhere", time=1.0)
    one.look()
    assert one.life == "killed"
    log = log_of(8.0, np.arange(10.0, 501, 10))
    about = {"variant": "baseline", "num_tasks": "8", "seed": 0, "first_step": 0}
    LineWriter(path, LOG_COLUMNS, about | {"last_step": 2000}, step=500, log=log)
    assert one.look() and (one.life, one.course.step) == ("running", 500)


def test_a_change_of_life_alone_is_something_to_draw(one, tmp_path, monkeypatch):
    run_lines(tmp_path, host="elsewhere")
    one.look()
    monkeypatch.setattr("transience.watch.life.Silence.seconds", lambda *_: 1e4)
    assert one.look() and one.life == "killed"


def test_a_damaged_table_marks_its_run_in_a_line(one, tmp_path):
    finish(tmp_path)
    table = tmp_path / "runs/baseline/M8_seed0/training.parquet"
    table.write_bytes(table.read_bytes()[:100])
    assert one.look()
    assert "expected a table 'training'" in one.problem and "\n" not in one.problem
    finish(tmp_path)
    assert one.look() and not one.problem and one.life == "finished"


def test_lines_of_another_format_mark_their_run(one, tmp_path):
    path = run_lines(tmp_path)
    path.write_text('{"format": 99}\n')
    one.look()
    assert "format 99" in one.problem and one.phase == ""


def test_losses_on_new_tasks_that_rise_tell_its_phase(one, tmp_path):
    run_lines(tmp_path, steps=range(10, 301, 10))
    one.look()
    assert one.phase == "general"
    losses = one.losses
    losses.by_step = {0: [4, 4, 4, 0.5], 100: [1, 1, 1, 0.8], 200: [1, 1.2, 1, 0.8]}
    one.tested(losses)
    assert (one.phase, one.since) == ("leaving", 200)


def test_checkpoints_may_be_measured_up_to_the_saved_state(one, tmp_path):
    path = run_lines(tmp_path)
    assert one.rows() is None
    one.look()
    assert one.rows() is None  # there are none yet
    file = path.with_name("checkpoints.partial")
    writer = CheckpointWriter(file, [0, 10, 500], 5, {"created": "today"})
    writer.file.close()
    assert one.rows()[1] == -1
    state = TrainingState.initial(torch.zeros(5))
    state.step = 500
    state.save(path.with_name("state.safetensors"))
    rows, last = one.rows()
    assert (rows.path, last) == (file, 500)
    file.write_bytes(b"damage")
    assert one.rows() is None


def test_checkpoints_of_a_finished_run_may_be_measured_until_it_is_evaluated(one, tmp_path):
    finish(tmp_path)
    write_checkpoints(tmp_path / "runs/baseline/M8_seed0/checkpoints.safetensors", small_run(), [0])
    one.look()
    rows, last = one.rows()
    assert (rows.steps, last) == ([0], 2000)
    evaluate(tmp_path)
    one.look()
    assert one.rows() is None


def test_anyones_training_has_phases_of_its_held_out_loss(tmp_path):
    monitor = Monitor(tmp_path / "mine.jsonl", every=1, last_step=40, held_out="b")
    for step in range(1, 41):
        monitor(step, {"a": 4.0 / step, "b": 4.0 if step < 20 else 0.1})
    (place,) = places(tmp_path)
    one = Watched(place)
    one.look()
    assert (one.life, one.phase) == ("finished", "general") and one.rows() is None
    begun = [(phase, begin) for phase, begin, _ in one.bands]
    assert begun[0] == (0, 1) and begun[1][0] == 3 and begun[-1][0] == 1


def test_anyones_training_without_a_held_out_loss_has_none(tmp_path):
    Monitor(tmp_path / "mine.jsonl", every=1, held_out="other")(1, {"a": math.nan})
    (place,) = places(tmp_path)
    one = Watched(place)
    assert one.look() and (one.life, one.phase) == ("running", "")


def test_a_state_that_may_not_be_read_does_not_wait(tmp_path, monkeypatch):
    run_lines(tmp_path)
    (place,) = places(tmp_path)
    one = Watched(place)

    def refuse(path):
        raise PermissionError(13, "Permission denied", str(path))

    with monkeypatch.context() as refused:
        refused.setattr("pathlib.Path.iterdir", refuse)
        assert one.look() and str(place.state) in one.problem
    assert one.look() and not one.problem and len(one.course) == 100


def test_a_run_whose_files_are_gone_waits_and_knows_nothing_of_before(tmp_path):
    path = run_lines(tmp_path)
    (place,) = places(tmp_path)
    one = Watched(place)
    one.look()
    one.tested(Losses(by_step={0: [4, 4, 4, 0.5]}))
    assert one.phase == "specialised"
    shutil.rmtree(path.parents[2])
    assert one.look() and one.life == "waiting"
    assert (one.phase, one.since, one.bands, one.losses) == ("", None, [], Losses())
