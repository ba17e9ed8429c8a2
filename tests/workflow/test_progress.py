"""Counting and estimating of the display that `make` uses."""

import os
from pathlib import Path

import pytest

from snakemake_logger_plugin_sweep.progress import Job, Progress, duration, errors, last_line


def job(rule: str, started: float, log: Path | None = None) -> Job:
    return Job(rule=rule, name=rule, log=log, started=started)


@pytest.fixture
def progress() -> Progress:
    progress = Progress(started=0.0, cores=2)
    progress.plan({"train": 4, "collect": 2, "all": 1, "total": 7})
    return progress


def test_no_estimate_before_the_longest_jobs_are_known(progress):
    progress.start(1, job("train", 0.0))
    progress.start(2, job("collect", 0.0))
    assert progress.finish(2, 3.0) == "[1/6]      3 s  collect  in 3 s"


def test_estimate_is_of_all_that_is_left(progress):
    progress.start(1, job("collect", 0.0))
    progress.finish(1, 6.0)
    progress.start(2, job("train", 0.0))
    progress.start(3, job("train", 60.0))
    # Left: half a training that runs, two that wait, and a collection, on two cores.
    line = progress.finish(2, 100.0)
    assert line == "[2/6]  1.7 min  train  in 1.7 min; about 2.2 min left"
    assert progress.seconds_left(100.0) == pytest.approx((60 + 2 * 100 + 6) / 2)


def test_the_target_is_no_job(progress):
    progress.start(0, job("all", 0.0))
    assert progress.total == 6
    assert progress.finish(0, 1.0) is None


def test_a_failed_job_says_why_and_where(progress, tmp_path):
    log = tmp_path / "train.log"
    log.write_text("step 10 of 100\nerror: loss: expected a number, found nan\n")
    progress.start(1, job("train", 0.0, log))
    found = ["FAILED  train", "    error: loss: expected a number, found nan", f"    log: {log}"]
    assert progress.fail(1) == found
    assert progress.failed == 1 and not progress.running


def test_a_traceback_is_shown_by_its_end(tmp_path):
    log = tmp_path / "log"
    log.write_text("".join(f"line {n}\n" for n in range(5000)))
    assert errors(log, most=2) == ["line 4998", "line 4999"]


def test_an_empty_log_is_told(tmp_path):
    (tmp_path / "log").touch()
    assert errors(tmp_path / "log") == ["its log is empty"]


def test_the_last_line_is_that_of_this_run(tmp_path):
    log = tmp_path / "log"
    log.write_text("step 1\rstep 2\r\n")
    os.utime(log, (50, 50))
    assert last_line(job("train", 40.0, log)) == "step 2"
    assert last_line(job("train", 60.0, log)) == ""
    assert last_line(job("train", 60.0)) == ""


@pytest.mark.parametrize(("seconds", "text"), [(9.6, "10 s"), (90, "1.5 min"), (9000, "2.5 h")])
def test_duration(seconds, text):
    assert duration(seconds) == text
