"""Counting and estimating of the display that `make` uses."""

import io
import json
import logging
import os
import re
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from snakemake.settings.enums import Quietness
from snakemake_interface_logger_plugins.common import LogEvent

from snakemake_logger_plugin_sweep import LogHandler
from snakemake_logger_plugin_sweep.progress import Job, Progress, death, duration, errors, last_line


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
    assert errors(log) == [f"line {n}" for n in range(4980, 5000)]
    assert errors(log, told=True) == ["line 4997", "line 4998", "line 4999"]


def test_an_empty_log_is_told(tmp_path):
    (tmp_path / "log").touch()
    assert errors(tmp_path / "log") == ["its log is empty"]


FAILED = "RuleException:\nCalledProcessError in file 'x.smk', line 25:\nCommand '{}; {}"


@pytest.mark.parametrize(
    ("end", "told"),
    [
        ("' died with <Signals.SIGKILL: 9>.", "ended by signal 9 (SIGKILL), mostly the system, "),
        ("' returned non-zero exit status 137.", "ended by signal 9 (SIGKILL), mostly the "),
        ("' returned non-zero exit status 143.", "ended by signal 15 (SIGTERM), mostly "),
        ("' died with <Signals.SIGUSR1: 10>.", "ended by signal 10 (SIGUSR1)"),
        ("' died with unknown signal 99.", "ended by signal 99"),
        ("' returned non-zero exit status 1.", None),
        ("' returned non-zero exit status 255.", None),
        ("' --variant 'exit status 137' ended.' returned non-zero exit status 1.", None),
        ("nothing of the kind", None),
    ],
)
def test_a_signal_is_told_from_an_error(end, told):
    found = death(FAILED.format("export PATH=x", "python -m transience.training" + end))
    assert found is None if told is None else found.startswith(told)


@pytest.mark.parametrize("lines", ["", "step 1\nstep 2\n", "error: the batch is too large\n"])
def test_a_killed_job_says_so_whatever_is_in_its_log(tmp_path, capsys, lines):
    """Snakemake tells how commands ended before it names their jobs, perhaps in another order."""
    handler = LogHandler(SimpleNamespace(dryrun=False, quiet=None), None)
    log = tmp_path / "train.log"
    log.write_text(lines)
    ends = {1: "' died with <Signals.SIGKILL: 9>.", 2: "' returned non-zero exit status 1."}
    records = [started_job(log) | {"jobid": number} for number in ends]
    records += [
        {"event": LogEvent.ERROR, "msg": FAILED.format("export PATH=x", f"seed={number}{end}")}
        for number, end in ends.items()
    ]
    records += [
        {"event": LogEvent.JOB_ERROR, "jobid": number, "shellcmd": f"seed={number}"}
        for number in reversed(ends)
    ]
    for record in records:
        handler.handle(logging.makeLogRecord({"levelno": logging.ERROR} | record))
    other, killed = capsys.readouterr().err.split("FAILED")[1:]
    shown = [f"    {line}" for line in lines.splitlines()]
    known = "    ended by signal 9 (SIGKILL), mostly the system, when memory runs out: "
    first, *rest, last = killed.splitlines()[1:]
    assert first.startswith(known) and rest == shown and last == f"    log: {log}"
    assert other.splitlines()[1:] == [*(shown or ["    its log is empty"]), f"    log: {log}"]


def test_what_a_cluster_says_of_a_job_is_shown(tmp_path, capsys):
    handler = LogHandler(SimpleNamespace(dryrun=False, quiet=None), None)
    said = "SLURM-job '7' failed, SLURM status is: 'OUT_OF_MEMORY'."
    error = {"event": LogEvent.JOB_ERROR, "jobid": 1, "rule_msg": said, "shellcmd": "python"}
    for record in (started_job(tmp_path / "train.log"), error):
        handler.handle(logging.makeLogRecord({"levelno": logging.ERROR} | record))
    assert f"    {said}\n" in capsys.readouterr().err


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


class Terminal(io.StringIO):
    """What is written to a terminal."""

    def isatty(self) -> bool:
        return True


def started_job(log: Path) -> dict:
    return {
        "event": LogEvent.JOB_INFO,
        "jobid": 1,
        "rule_name": "train",
        "wildcards": {"experiment": "smoke", "variant": "baseline", "num_tasks": "4", "seed": "0"},
        "log": [str(log)],
    }


def test_a_terminal_shows_how_far_running_jobs_are(monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "stderr", Terminal())
    monkeypatch.setattr(logging, "raiseExceptions", True)
    handler = LogHandler(SimpleNamespace(dryrun=False, quiet=None), None)
    log = tmp_path / "results/logs/train.log"
    log.parent.mkdir(parents=True)
    for record in (
        {"event": LogEvent.RESOURCES_INFO, "cores": 2},
        {"event": LogEvent.RUN_INFO, "stats": {"train": 1, "all": 1, "total": 2}},
        started_job(log),
    ):
        handler.handle(logging.makeLogRecord({"levelno": logging.INFO} | record))
    log.write_text("step 5 of 10\n")
    os.utime(log, (2**33, 2**33))
    finished = {"event": LogEvent.JOB_FINISHED, "job_id": 1, "levelno": logging.INFO}
    with handler.lock:
        handler._print([])
    handler.handle(logging.makeLogRecord(finished))
    handler.close()
    first, second, *live, done, last = sys.stderr.getvalue().splitlines()
    assert first == "1 jobs on 2 cores: 1 train"
    assert second == "  train baseline M=4 seed=0"
    assert live == ["\x1b[1A\x1b[2K  step 5 of 10"]
    assert re.fullmatch(r"\x1b\[1A\x1b\[2K\[1/1\] .*  train baseline M=4 seed=0  in 0 s", done)
    assert last.startswith("1 jobs finished in ")
    assert json.loads((tmp_path / "results/logs/sweep.json").read_text())["cores"] == 2


@pytest.mark.parametrize("quiet", [{Quietness.RULES, Quietness.PROGRESS}, {Quietness.ALL}])
@pytest.mark.parametrize("fails", [False, True])
def test_a_quiet_sweep_says_nothing_but_what_failed(tmp_path, capsys, quiet, fails):
    handler = LogHandler(SimpleNamespace(dryrun=False, quiet=quiet), None)
    log = tmp_path / "train.log"
    log.write_text("error: full\n")
    end = {"event": LogEvent.JOB_ERROR, "jobid": 1} if fails else {"event": LogEvent.JOB_FINISHED}
    for record in (
        {"event": LogEvent.RUN_INFO, "stats": {"train": 2, "all": 1, "total": 3}},
        started_job(log),
        {"job_id": 1} | end,
    ):
        handler.handle(logging.makeLogRecord({"levelno": logging.INFO} | record))
    handler.close()
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == (4 if fails else 0)
    assert not fails or lines[-1].startswith("1 failed of 2 jobs.")


@pytest.mark.parametrize(
    ("level", "text", "shown"),
    [
        (logging.INFO, "Select jobs to execute...", ""),
        (logging.INFO, "Will exit after finishing currently running jobs.", "Will exit"),
        (logging.DEBUG, "Anything", ""),
        (logging.ERROR, "Exiting because a job execution failed.", ""),
        (
            logging.ERROR,
            "Traceback (most recent call last):\n  ...\nOSError: full",
            "OSError: full",
        ),
        (logging.ERROR, "LockException:\nlocked", "LockException:\nlocked"),
    ],
)
def test_messages_are_shown_unless_a_reader_knows(monkeypatch, capsys, level, text, shown):
    monkeypatch.setattr(logging, "raiseExceptions", True)
    handler = LogHandler(SimpleNamespace(dryrun=False, quiet=None), None)
    for _ in range(2):
        handler.handle(logging.makeLogRecord({"levelno": level, "msg": text}))
    found = capsys.readouterr().err
    assert found.startswith(shown) and bool(found) == bool(shown)
    assert found.count("\n") == len(shown.splitlines())
