"""Whether a training lives: running must not last for ever, whatever clocks say."""

import os
import socket
import subprocess
import time

import pytest

from transience.watch import life as module
from transience.watch.course import Course
from transience.watch.life import DEAD, FIRST, GONE, STALLED, Silence, life

HERE = socket.gethostname()


@pytest.fixture(scope="module")
def gone():
    """Number of a process that has ended."""
    process = subprocess.Popen(["true"])
    process.wait()
    return process.pid


def course(gap=1.0, count=30, event=None, **sign):
    found = Course()
    for number in range(1, count + 1):
        found.append({"step": number, "seconds": gap * number})
    if event:
        found.events.append({"event": event, "step": count})
    found.sign = {"host": HERE, "pid": os.getpid(), "time": time.time()} | sign
    return found


def test_without_files_it_waits():
    assert life(None, 1e9) == "waiting"


@pytest.mark.parametrize("event", ["finished", "stopped", "diverged", "failed"])
def test_what_it_said_last_is_what_it_is(event):
    assert life(course(event=event), 1e9) == event


def test_after_it_resumed_it_runs():
    assert life(course(event="resumed"), 1.0) == "running"


@pytest.mark.parametrize(
    ("gap", "silence", "word"),
    [
        (1.0, STALLED - 1, "running"),
        (1.0, STALLED + 1, "stalled"),
        (60.0, 299, "running"),
        (60.0, 301, "stalled"),
    ],
)
def test_a_process_that_is_there_stalls_when_it_is_silent(gap, silence, word):
    assert life(course(gap), silence) == word


def test_before_its_first_line_it_has_more_time():
    assert life(course(count=0), FIRST - 1) == "running"
    assert life(course(count=0), FIRST + 1) == "stalled"


def test_a_process_that_is_gone_was_killed(gone):
    assert life(course(pid=gone), GONE + 1) == "killed"
    assert life(course(pid=gone), GONE - 1) == "running"  # its last lines have just come
    assert life(course(gap=30, pid=gone), 59) == "running"
    assert life(course(gap=30, pid=gone), 61) == "killed"


def test_a_zombie_was_killed():
    process = subprocess.Popen(["true"])
    time.sleep(0.2)  # ended, and not asked for
    assert life(course(pid=process.pid), GONE + 1) == "killed"
    process.wait()


@pytest.mark.parametrize(
    ("gap", "silence", "word"),
    [(1.0, DEAD - 1, "stalled"), (1.0, DEAD + 1, "killed"), (120.0, 1100, "stalled"),
     (120.0, 1300, "killed")],
)  # fmt: skip
def test_on_another_machine_silence_alone_tells(gone, gap, silence, word):
    assert life(course(gap, host="elsewhere", pid=gone), silence) == word


@pytest.mark.parametrize("pid", [None, "1", -1, 0])
def test_a_process_without_a_number_may_be_there(pid):
    assert life(course(pid=pid), GONE + 1) == "running"


def test_silence_is_counted_by_our_own_clock(monkeypatch):
    now = [1000.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(module.time, "time", lambda: 50.0 + now[0])
    silence, found = Silence(), course(time=1040.0)
    assert silence.seconds(found) == 10.0  # as it says itself, at the first look
    now[0] += 5
    assert silence.seconds(found) == 15.0
    found.append({"step": 99, "seconds": 99.0})
    assert silence.seconds(found) == 0.0
    found.sign["time"] = 0.0  # a clock that has jumped
    now[0] += 7
    assert silence.seconds(found) == 7.0


@pytest.mark.parametrize("said", [9e9, None, "now"])
def test_a_clock_that_is_ahead_or_missing_lets_nothing_run_for_ever(monkeypatch, said):
    now = [1000.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    silence, found = Silence(), course(time=said, host="elsewhere")
    assert silence.seconds(found) == 0.0
    now[0] += DEAD + 1
    assert life(found, silence.seconds(found)) == "killed"


@pytest.mark.parametrize("pid", [10**30, -1, 0, "many", None])
def test_a_number_that_no_process_can_have_says_nothing(pid):
    assert life(course(pid=pid), 30.0) == "running"
