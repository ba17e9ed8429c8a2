"""Progress: few lines in a log, one in a terminal, and the time left."""

import io
import time

import pytest
from small import small_run

from transience.command.progress import Progress, duration, label


def test_a_label_names_the_run():
    assert label("train", small_run(8.0, 0)) == "train baseline M=8 seed=0"
    assert label("evaluate", small_run(float("inf"), 3)) == "evaluate baseline M=inf seed=3"


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0 s"), (59, "59 s"), (90, "1.5 min"), (5400, "1.5 h")]
)
def test_durations(seconds: float, text: str):
    assert duration(seconds) == text


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def clock(monkeypatch) -> list[float]:
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


def test_a_log_gets_few_lines(clock: list[float]):
    log = io.StringIO()
    progress = Progress(2400, "train M=8 seed=0", "step", stream=log)
    for step in range(1, 2401):  # 5 minutes, 8 steps a second
        clock[0] += 0.125
        progress.update(step, "loss 1.83")
    lines = log.getvalue().splitlines()
    assert len(lines) == 30
    assert lines[11] == "train M=8 seed=0  step 960/2400 (40%)  loss 1.83  3.0 min left"
    assert lines[-1] == "train M=8 seed=0  step 2400/2400 (100%)  loss 1.83  5.0 min in all"


def test_a_short_stage_says_one_line(clock: list[float]):
    log = io.StringIO()
    progress = Progress(50, "evaluate", "checkpoint", stream=log)
    for done in range(1, 51):
        clock[0] += 0.02
        progress.update(done)
    assert log.getvalue() == "evaluate  checkpoint 50/50 (100%)  1 s in all\n"


def test_a_long_stage_says_at_most_a_line_each_percent(clock: list[float]):
    log = io.StringIO()
    progress = Progress(10_000, "train", "step", stream=log)
    for step in range(1, 10_001):  # 5 hours and a half
        clock[0] += 2
        progress.update(step)
    assert len(log.getvalue().splitlines()) == 100


def test_a_terminal_gets_one_line_rewritten(clock: list[float]):
    terminal = Terminal()
    progress = Progress(10, "train", "step", stream=terminal)
    for step in range(1, 11):
        clock[0] += 1
        progress.update(step)
    assert terminal.getvalue().count("\r") == 10
    assert terminal.getvalue().count("\n") == 1
    assert terminal.getvalue().endswith("step 10/10 (100%)  10 s in all\n")


def test_time_left_counts_from_the_first_update(clock: list[float]):
    log = io.StringIO()
    progress = Progress(1000, "train", "step", done=900, stream=log)
    for seconds, step in ((17, 901), (10, 951)):  # the first step is slow
        clock[0] += seconds
        progress.update(step)
    assert log.getvalue().splitlines()[-1] == "train  step 951/1000 (95%)  10 s left"
