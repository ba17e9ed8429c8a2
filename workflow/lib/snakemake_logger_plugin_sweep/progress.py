"""How far a sweep is: counts of jobs, their times, and an estimate of the time left."""

import re
import signal
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from shutil import disk_usage

# Seconds that a job takes relative to the others, until one of its rule has finished.
RELATIVE_COST = {"train": 100, "llc": 40, "evaluate": 15, "indicators": 10}
OTHER_COST = 3
TARGET = "all"
FULL_DISK = 2**20  # bytes; with less, a job can't even say what is wrong
# How Snakemake words the end of a command, and what mostly sends a signal.
DEATH = re.compile(r"died with (?:<Signals\.\w+: |unknown signal )(\d+)|exit status (\d+)")
SENDERS = {
    signal.SIGKILL: "mostly the system, when memory runs out: use fewer --cores or smaller batches",
    signal.SIGTERM: "mostly someone's kill, a batch system's time limit, or a shutdown",
    signal.SIGHUP: "mostly a terminal that was closed: start it in tmux or screen",
    signal.SIGINT: "mostly someone's Ctrl-C",
    signal.SIGXCPU: "a limit on processor time: see ulimit -t",
    signal.SIGXFSZ: "a limit on the size of files: see ulimit -f",
    signal.SIGBUS: "mostly a full disk or /dev/shm, or a file that was cut off while it was read",
    signal.SIGILL: "mostly a library built for another processor",
    signal.SIGSEGV: "a fault in a library, or too small a stack",
    signal.SIGABRT: "a library gave up, perhaps as memory ran out",
}


@dataclass(frozen=True)
class Job:
    """A job that was started."""

    rule: str
    name: str
    log: Path | None
    started: float


@dataclass
class Progress:
    """State of a sweep. Times are seconds since the epoch."""

    started: float
    cores: int = 1
    planned: Counter[str] = field(default_factory=Counter)
    running: dict[int, Job] = field(default_factory=dict)
    seconds: dict[str, list[float]] = field(default_factory=dict)
    failed: int = 0

    def plan(self, jobs: dict[str, int]) -> None:
        """Take the number of jobs of each rule."""
        self.planned = Counter({r: n for r, n in jobs.items() if r not in (TARGET, "total")})

    @property
    def total(self) -> int:
        """Jobs in all."""
        return self.planned.total()

    @property
    def finished(self) -> int:
        """Jobs that finished well."""
        return sum(map(len, self.seconds.values()))

    def start(self, number: int, job: Job) -> None:
        """A job starts."""
        if job.rule != TARGET:
            self.running[number] = job

    def finish(self, number: int, now: float) -> str | None:
        """A job finished; the line that says so."""
        job = self.running.pop(number, None)
        if job is None:
            return None
        took = now - job.started
        self.seconds.setdefault(job.rule, []).append(took)
        count = f"{self.finished:{len(str(self.total))}}/{self.total}"
        line = f"[{count}] {duration(now - self.started):>8}  {job.name}  in {duration(took)}"
        left = self.seconds_left(now)
        return f"{line}; about {duration(left)} left" if left else line

    def fail(self, number: int, end: str | None = None) -> list[str]:
        """A job failed; its name, what ended it, the error in its log, and where the log is."""
        self.failed += 1
        job = self.running.pop(number)
        found = [end] if end else []
        if job.log:
            found += [*errors(job.log, told=bool(end)), f"log: {job.log}"]
        return [f"FAILED  {job.name}", *(f"    {line}" for line in found)]

    def seconds_left(self, now: float) -> float | None:
        """Time left, from the mean times of finished jobs; None while too little is known."""
        running = Counter(job.rule for job in self.running.values())
        waiting = self.planned - running - Counter({r: len(s) for r, s in self.seconds.items()})
        dearest = max(map(cost, waiting | running), default=0)
        if dearest > max(map(cost, self.seconds), default=0):
            return None
        work = sum(n * self._estimate(rule) for rule, n in waiting.items())
        for job in self.running.values():
            work += max(self._estimate(job.rule) - (now - job.started), 0)
        return work / self.cores

    def _estimate(self, rule: str) -> float:
        if known := self.seconds.get(rule):
            return sum(known) / len(known)
        costs = sum(cost(rule) * len(seconds) for rule, seconds in self.seconds.items())
        return cost(rule) * sum(map(sum, self.seconds.values())) / costs


def cost(rule: str) -> int:
    """Relative cost of a rule's job."""
    return RELATIVE_COST.get(rule, OTHER_COST)


def death(message: str) -> str | None:
    """Which signal ended a command, by Snakemake's message, and what mostly sends it.

    A shell that outlives its command passes signal 9 on as exit status 137.
    """
    ends = DEATH.findall(message)  # what comes before the last is the command itself
    if not ends:
        return None
    number = int(ends[-1][0] or int(ends[-1][1]) - 128)
    if number not in {*signal.Signals}:
        return f"ended by signal {number}" if ends[-1][0] else None
    named = signal.Signals(number)
    sender = SENDERS.get(named, "")
    return f"ended by signal {number} ({named.name}){sender and f', {sender}'}"


def errors(log: Path, *, told: bool = False) -> list[str]:
    """The line of a log in which a command says what is wrong, or else its last lines.

    ``told``: it is known otherwise what is wrong, so few will do.
    """
    lines = _tail(log)
    said = [line for line in lines if line.startswith("error: ")]
    full = disk_usage(log.parent).free < FULL_DISK
    silent = ["no space left on the disk"] if full else [] if told else ["its log is empty"]
    return said or lines[-3 if told else -20 :] or silent


def last_line(job: Job) -> str:
    """The newest line of a running job's log, empty before there is one."""
    if job.log is None or not job.log.exists() or job.log.stat().st_mtime < job.started:
        return ""
    return next(reversed(_tail(job.log)), "")


def _tail(log: Path, size: int = 8192) -> list[str]:
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - size))
            text = file.read().decode(errors="replace")
    except OSError:
        return []
    return [line for line in text.replace("\r", "\n").split("\n") if line.strip()]


def duration(seconds: float) -> str:
    """Seconds as `12 s`, `3.4 min` or `5.6 h`."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.1f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
