"""Event files, read back with TensorBoard's own reader; skipped where it is not installed."""

import importlib.util
import math
import sys

import numpy as np
import pytest
from made_up_lines import log_of, run_lines

from transience.errors import InputError
from transience.files.lines import LineWriter
from transience.training.state import LOG_COLUMNS
from transience.watch import tensorboard as module
from transience.watch.losses import Losses
from transience.watch.places import places
from transience.watch.tensorboard import Events
from transience.watch.watched import Watched

needs_it = pytest.mark.skipif(
    importlib.util.find_spec("tensorboard") is None,
    reason="TensorBoard is not installed: envs/requirements-tensorboard.txt",
)
RUN = "baseline/M8_seed0"


def read(folder):
    """Steps and values of a run by tag, with the reader that TensorBoard has."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    found = EventAccumulator(str(folder), size_guidance={"scalars": 0, "tensors": 0})
    found.Reload()
    return {
        tag: [(event.step, event.value) for event in found.Scalars(tag)]
        for tag in found.Tags()["scalars"]
    }


@pytest.fixture
def one(tmp_path):
    run_lines(tmp_path, steps=range(10, 501, 10))
    (place,) = places(tmp_path)
    one = Watched(place)
    one.look()
    return one


@pytest.fixture
def events(tmp_path):
    events = Events(tmp_path / "events")
    yield events
    events.close()


def expected(one, name):
    steps, values = one.course.column("step"), one.course.column(name)
    known = np.isfinite(values)
    return [(int(s), pytest.approx(v)) for s, v in zip(steps[known], values[known], strict=True)]


def go_on(one, step, last):
    """The training goes on at a restored step."""
    log = log_of(8.0, np.arange(10.0, step + 1, 10))
    about = {"variant": "baseline", "num_tasks": "8", "seed": 0, "first_step": 0}
    writer = LineWriter(
        one.follower.path, LOG_COLUMNS, about | {"last_step": 2000}, step=step, log=log
    )
    writer.follow([*log, *log_of(8.0, np.arange(step + 10.0, last + 1, 10))])
    writer.flush()
    one.look()


@needs_it
def test_they_have_every_logged_value_once(one, events):
    for _ in range(3):
        events.write(one)
    found = read(events.folder / RUN)
    assert found["loss/batch_loss"] == expected(one, "batch_loss")
    assert found["training/projection"] == expected(one, "projection")
    assert "training/step" not in found and "training/time" not in found


@needs_it
def test_new_lines_are_added(one, events):
    events.write(one)
    go_on(one, 500, 700)
    events.write(one)
    assert len(list((events.folder / RUN).glob("events*"))) == 1
    assert read(events.folder / RUN)["loss/batch_loss"] == expected(one, "batch_loss")


@needs_it
def test_after_a_resume_no_step_is_there_twice(one, events):
    events.write(one)
    go_on(one, 200, 600)
    events.write(one)
    assert read(events.folder / RUN)["loss/batch_loss"] == expected(one, "batch_loss")


@needs_it
def test_a_watch_that_is_started_again_has_no_step_twice(one, events, tmp_path):
    events.write(one)
    events.close()
    again = Events(events.folder)
    again.write(one)
    again.close()
    assert read(events.folder / RUN)["loss/batch_loss"] == expected(one, "batch_loss")


@needs_it
def test_test_losses_are_in_order_though_the_latest_are_measured_first(one, events):
    every = {step: [4.0 - step / 100, 1.0, math.nan, 0.5] for step in (0, 100, 200)}
    for known in ([200], [100, 200], [0, 100, 200]):
        one.tested(Losses(by_step={step: every[step] for step in known}))
        events.write(one)
        found = read(events.folder / RUN / "test_sets")
        assert found["loss/q_M"] == [(step, every[step][0]) for step in known]
        assert "loss/q_1" not in found


@needs_it
def test_a_run_without_lines_has_no_files(events, tmp_path):
    (tmp_path / "other/runs/baseline/M8_seed0").mkdir(parents=True)
    (place,) = places(tmp_path / "other")
    events.write(Watched(place))
    assert not (events.folder / RUN).exists()


@needs_it
def test_two_watches_do_not_write_to_one_folder(events):
    with pytest.raises(InputError, match="found another that writes there"):
        Events(events.folder)


def test_without_tensorboard_it_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    with pytest.raises(InputError) as error:
        Events(tmp_path)
    assert "pip install -r envs/requirements-tensorboard.txt" in str(error.value)
    assert "\n" not in str(error.value) and not any(tmp_path.iterdir())


def test_times_that_are_not_known_are_those_of_the_next_line(one):
    one.course.values["time"][0] = math.nan
    _, times, _ = module._logged(one.course)
    assert times[0] == times[1] == one.course.values["time"][1]
    one.course.values["time"][:] = one.course.values["time"][:0]
    del one.course.values["time"]
    assert np.isfinite(module._logged(one.course)[1]).all()


@needs_it
def test_a_full_disk_ends_the_event_files_and_not_the_watch(one, events, monkeypatch, capsys):
    def full(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as refused:
        refused.setattr(module._Curves, "add", full)
        events.write(one)
    events.write(one)
    said = f"{events.folder}: no more event files, No space left on device\n"
    assert capsys.readouterr().err == said


@needs_it
def test_a_folder_that_cannot_be_written_is_said_in_a_line(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(
        InputError, match=r"--tensorboard: expected a folder to write to, found .*file"
    ):
        Events(tmp_path / "file")


@needs_it
def test_a_name_that_is_no_text_is_written_as_far_as_it_is(tmp_path, events):
    lines = '{"format":1,"pid":1,"losses":["a\\ud800"]}\n{"step":1,"a\\ud800":2.0}\n'
    (tmp_path / "odd.jsonl").write_text(lines)
    (place,) = places(tmp_path)
    one = Watched(place)
    one.look()
    events.write(one)
    events.close()
    assert read(events.folder / "odd") == {"training/a?": [(1, 2.0)]}
