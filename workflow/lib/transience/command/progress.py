"""How far a long command is, for who watches it."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, TextIO

from transience.problem.diversity import format_num_tasks

if TYPE_CHECKING:
    from transience.run import Run


def label(stage: str, run: Run) -> str:
    """What is being done with a run, in a line of progress."""
    return f"{stage} {run.variant} M={format_num_tasks(run.num_tasks)} seed={run.seed}"


class Progress:
    """How far a long stage is: one line rewritten in a terminal, a few lines in a log.

    In a log a line comes at most every 10 seconds and at most once per percent (but at least
    every 10 minutes), so that neither a short nor a long run scrolls. The time left counts from
    the first update, because the first unit of work may have to warm up.
    """

    def __init__(
        self, total: int, what: str, unit: str, *, done: int = 0, stream: TextIO | None = None
    ) -> None:
        self.total, self.what, self.unit = total, what, unit
        self.last_done = done
        self.first: tuple[int, float] | None = None  # units done and time at the first update
        self.stream = stream or sys.stderr
        self.terminal = self.stream.isatty()
        self.started = self.last_time = time.monotonic()

    def update(self, done: int, note: str = "") -> None:
        """Report that `done` of `total` are done; `note` is shown behind them."""
        now = time.monotonic()
        self.first = self.first or (done, now)
        if done < self.total and not self._due(done, now - self.last_time):
            return
        self.last_done, self.last_time = done, now
        start = "\r\x1b[K" if self.terminal else ""
        end = "\n" if done >= self.total or not self.terminal else ""
        print(start + self._line(done, note, now), end=end, file=self.stream, flush=True)

    def _due(self, done: int, seconds: float) -> bool:
        if self.terminal:
            return seconds >= 0.2
        return seconds >= 600 or (seconds >= 10 and done - self.last_done >= 0.01 * self.total)

    def _line(self, done: int, note: str, now: float) -> str:
        parts = [f"{self.unit} {done}/{self.total} ({100 * done // max(self.total, 1)}%)", note]
        first_done, first_time = self.first or (done, now)
        if done >= self.total:
            parts.append(f"{duration(now - self.started)} in all")
        elif done > first_done:
            left = (now - first_time) * (self.total - done) / (done - first_done)
            parts.append(f"{duration(left)} left")
        return "  ".join([self.what, *filter(None, parts)])


def duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.1f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
