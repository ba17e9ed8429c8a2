"""What someone sees who watches a sweep: `PYTHONPATH=workflow/lib snakemake --logger sweep`.

A line for each finished job, with the time left; for a failed one its error and where the log is;
in a terminal, below these, the newest log line of each running job. Snakemake finds this package
by its name. Its own, longer log still goes to .snakemake/log/.
"""

import json
import logging
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Event, Thread

import psutil
from snakemake.settings.enums import Quietness
from snakemake_interface_logger_plugins.base import LogHandlerBase
from snakemake_interface_logger_plugins.common import LogEvent

from snakemake_logger_plugin_sweep.progress import Job, Progress, death, duration, last_line

# What Snakemake says about a failed job besides its JOB_ERROR, and at every start, step and end.
REPEATED = ("Exiting because a job", "At least one job did not")
COMMAND_FAILED = "CalledProcessError in file"
USUAL = (
    *("Assuming ", "Building DAG", "Using shell", "Config file", "Conda environments: ignored"),
    *("Group jobs", "Select jobs", "Complete log", "Elapsed time"),
)
ERASE_LINE = "\x1b[2K"
LINE_UP = "\x1b[1A"


class LogHandler(LogHandlerBase):
    """The handler that Snakemake gives its log records to; it writes to stderr."""

    writes_to_stream = True
    writes_to_file = False
    has_filter = True
    has_formatter = True
    needs_rulegraph = False

    def __post_init__(self) -> None:
        self.progress = Progress(started=psutil.Process().create_time())
        self.results: Path | None = None
        self.live: list[str] = []
        self.closed = Event()
        self.said: set[str] = set()
        self.ends: list[str] = []  # of commands that failed, until their jobs are told
        about = self.common_settings.quiet or ()  # then Snakemake doesn't say which jobs finish
        self.quiet = Quietness.PROGRESS in about or Quietness.ALL in about
        logging.raiseExceptions = False  # a full disk would print a traceback for each record
        if sys.stderr.isatty():
            Thread(target=self._keep_live, daemon=True).start()

    def emit(self, record: logging.LogRecord) -> None:
        """Show a record (Snakemake calls this with the handler's lock held)."""
        try:
            lines = list(self._lines(record))
        except Exception as error:  # ours, and no reason to hide what Snakemake says
            lines = [record.getMessage(), f"(the display failed: {error!r})"]
        self._print(lines)

    def close(self) -> None:
        """Sum up; Snakemake calls this more than once."""
        with self.lock:
            if not self.closed.is_set():
                self.closed.set()
                self.progress.running.clear()
                self._print(self._summary())
        super().close()

    # Records

    def _lines(self, record: logging.LogRecord) -> Iterator[str]:
        event = getattr(record, "event", None)
        if event == LogEvent.RUN_INFO:
            self.progress.plan(record.stats)
            yield from self._plan(record)
        elif event == LogEvent.RESOURCES_INFO:
            self.progress.cores = getattr(record, "cores", self.progress.cores)
        elif event == LogEvent.JOB_INFO:
            self._start(record)
        elif event == LogEvent.JOB_FINISHED:
            line = self.progress.finish(record.job_id, time.time())
            if line and not self.quiet:
                yield line
        elif event == LogEvent.JOB_ERROR:
            yield from self.progress.fail(record.jobid, self._end(record))
        elif COMMAND_FAILED in record.getMessage():
            self.ends.append(record.getMessage())
        elif (
            event in (None, LogEvent.ERROR, LogEvent.GROUP_ERROR) and record.levelno > logging.DEBUG
        ):
            message = _message(record)
            if message and message not in self.said:
                self.said.add(message)
                yield message

    def _end(self, record: logging.LogRecord) -> str | None:
        """What ended a failed job, if not its command itself: a signal, or what a cluster says."""
        command = getattr(record, "shellcmd", None) or "\0"
        # A very long command stands in a script of its own, which the message names instead.
        ends = [end for end in self.ends if command in end or "shell_tmp." in end]
        if ends:
            self.ends.remove(ends[0])
            return death(ends[0])
        return next(iter((getattr(record, "rule_msg", None) or "").splitlines()), None)

    def _plan(self, record: logging.LogRecord) -> Iterator[str]:
        if self.common_settings.dryrun:
            yield record.getMessage()
        elif not self.quiet:
            jobs = ", ".join(f"{count} {rule}" for rule, count in self.progress.planned.items())
            yield f"{self.progress.total} jobs on {self.progress.cores} cores: {jobs}"

    def _start(self, record: logging.LogRecord) -> None:
        if self.common_settings.dryrun:
            return
        log = Path(record.log[0]) if record.log else None
        if log and "logs" in log.parts:
            self.results = Path(*log.parts[: log.parts.index("logs")])
        values = {k: v for k, v in record.wildcards.items() if k != "experiment"}
        name = " ".join([record.rule_name, *(f"{_short(k)}{v}" for k, v in values.items())])
        self.progress.start(record.jobid, Job(record.rule_name, name, log, time.time()))

    def _summary(self) -> list[str]:
        done, failed, total = self.progress.finished, self.progress.failed, self.progress.total
        seconds = time.time() - self.progress.started
        if failed:
            others = "" if self.quiet else f" and {done} finished"
            return [
                f"{failed} failed{others} of {total} jobs. What finished is kept: mend the cause "
                "and run the same command again."
            ]
        if self.quiet:
            return []
        if done < total and not self.common_settings.dryrun:
            return [f"Stopped with {done} of {total} jobs done; to go on, run the same command."]
        if not done:
            return []
        times = {"jobs": done, "cores": self.progress.cores, "seconds": round(seconds, 1)}
        if self.results:
            (self.results / "logs" / "sweep.json").write_text(json.dumps(times) + "\n")
        return [f"{done} jobs finished in {duration(seconds)}."]

    # The terminal

    def _print(self, lines: list[str]) -> None:
        """Print lines above the live ones."""
        if lines or self.live or self.progress.running:
            live = self._live_lines()
            erase = (LINE_UP + ERASE_LINE) * len(self.live)
            sys.stderr.write(erase + "".join(f"{line}\n" for line in [*lines, *live]))
            sys.stderr.flush()
            self.live = live

    def _live_lines(self) -> list[str]:
        if self.quiet or not sys.stderr.isatty():
            return []
        width = shutil.get_terminal_size().columns - 1
        jobs = list(self.progress.running.values())[: self.progress.cores]
        return [f"  {last_line(job) or job.name}"[:width] for job in jobs]

    def _keep_live(self) -> None:
        while not self.closed.wait(1.0):
            with self.lock:
                self._print([])


def _short(wildcard: str) -> str:
    return {"num_tasks": "M=", "seed": "seed="}.get(wildcard, "")


def _message(record: logging.LogRecord) -> str | None:
    """Text of a record, unless it says what a reader knows."""
    text = record.getMessage().strip()
    if record.levelno <= logging.DEBUG or text.startswith(USUAL):
        return None
    if text.startswith("Nothing to be done"):
        return "Nothing to be done: all results are up to date."
    if text.startswith("Traceback"):
        return text.splitlines()[-1]  # what is wrong; .snakemake/log/ has the rest
    return None if any(known in text for known in REPEATED) else text
