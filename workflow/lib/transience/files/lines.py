"""A training told while it runs: a file to which it appends a line of JSON for each logged step.

Nobody else writes to the file, and anyone may read it at any time, also over a shared file system:
lines are appended whole and the file is closed after each time. The first line is the header, then
come logged steps, which have `step`, what is logged and the `time`, and events, which have a name
in `event`. Steps never descend. What is no finite number is null. See workflow/docs/watch.md.
"""

import json
import math
import os
import socket
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from transience.files.atomic import replacing

FORMAT = 1
NAME = "lines.jsonl"
AT_MOST_EVERY = 1.0  # seconds from one append to the next, so that fast steps cost nothing


class LineWriter:
    """The one who appends to a file of lines. A disk that is full never stops a training."""

    def __init__(
        self,
        path: Path,
        columns: Sequence[str],
        header: Mapping[str, Any],
        *,
        step: int = 0,
        log: Sequence[Sequence[float]] = (),
    ) -> None:
        """Begin the file, or go on with it at a restored step; where that can't be, say so once.

        Lines above that step are cut off, and those of ``log`` that are missing below it (of
        another run, or lost with the machine) are added, without a time.

        Args:
            path: of the file; its folder is made.
            columns: names of the values of a logged row; one of them is `step`.
            header: what the first line says besides format, host, process and time.
            step: the step at which training goes on.
            log: rows up to this step.
        """
        self.path, self.columns, self.number = path, tuple(columns), self._number(columns)
        self.pending: list[str] = []
        self.appended, self.broken, self.size = -math.inf, False, 0
        self.told, resumed, last = len(log), False, -1
        try:
            resumed, last = self._begin(header, step)
        except OSError as error:
            self._break(error.strerror)
        self.pending = [self._row(row, None) for row in log if row[self.number] > last]
        if resumed:
            self.event("resumed", step)
        self.flush()

    def _begin(self, header: Mapping[str, Any], step: int) -> tuple[bool, int]:
        """Cut the file, or write its header; whether it goes on, and the last step in it."""
        self.size, last = _kept(self.path, header, step)
        if self.size:
            os.truncate(self.path, self.size)
            return True, last
        text = _line({"format": FORMAT, **header, **_sign_of_life()})
        with replacing(self.path) as temporary:
            temporary.write_text(text)
        self.size = len(text)
        return False, last

    @staticmethod
    def _number(columns: Sequence[str]) -> int:
        return list(columns).index("step")

    def follow(self, log: Sequence[Sequence[float]]) -> None:
        """Append the rows by which a log has grown; to be called often, as `add` is."""
        self.add(log[self.told :])
        self.told = len(log)

    def add(self, rows: Sequence[Sequence[float]]) -> None:
        """Append rows, and those kept back before, at most once a second."""
        self.pending += [self._row(row, _now()) for row in rows]
        if self.pending and time.monotonic() - self.appended >= AT_MOST_EVERY:
            self.flush()

    def event(self, name: str, step: int, **more: Any) -> None:
        """Append, at once, that something happened after so many steps."""
        self.pending.append(_line({"event": name, "step": step, **more, **_sign_of_life()}))
        self.flush()

    def flush(self) -> None:
        """Append what is pending; a failure is told once, and then nothing is appended any more."""
        self.appended = time.monotonic()
        text, self.pending = "".join(self.pending), []
        if not text or self.broken:
            return
        try:
            descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND)  # there, or not to be
            with os.fdopen(descriptor, "ab", buffering=0) as file:
                if os.fstat(descriptor).st_size != self.size:
                    self._break("another training writes to it")
                    return
                written = file.write(text.encode())
            self.size += written
            if written < len(text.encode()):
                self._break("No space left on device")
        except OSError as error:
            self._break(error.strerror)

    def _break(self, why: str | None) -> None:
        self.broken = True
        print(f"{self.path}: no more lines, {why}", file=sys.stderr)

    def _row(self, row: Sequence[float], now: float | None) -> str:
        values = dict(zip(self.columns, row, strict=True))
        return _line(values | {"step": int(row[self.number]), "time": now})


def parsed(line: bytes) -> dict[str, Any] | None:
    """What a line says; None for one that is cut off, or is none of ours."""
    if not line.endswith(b"\n"):
        return None
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):  # UnicodeDecodeError too
        return None
    return found if isinstance(found, dict) else None


def _kept(path: Path, header: Mapping[str, Any], step: int) -> tuple[int, int]:
    """Bytes of the file up to a step, and the last step logged there; (0, -1) to begin anew."""
    size, logged = 0, -1
    for line in _whole_lines(path):
        found = parsed(line)
        if found is None:
            break
        if not size:
            same = {key: found.get(key) for key in header} == json.loads(json.dumps({**header}))
            if found.get("format") != FORMAT or not same:
                break
        elif not _is_up_to(step, found.get("step")):
            break
        elif "event" not in found:
            logged = found["step"]
        size += len(line)
    return size, logged


def _is_up_to(step: int, found: object) -> bool:
    return isinstance(found, int | float) and found <= step


def _whole_lines(path: Path) -> Iterator[bytes]:
    if path.is_file():
        with path.open("rb") as file:
            yield from file


def _sign_of_life() -> dict[str, Any]:
    """Where a training runs, and that it does."""
    return {"host": socket.gethostname(), "pid": os.getpid(), "time": _now()}


def _now() -> float:
    return round(time.time(), 3)


def _line(values: Mapping[str, Any]) -> str:
    finite = {key: None if _is_odd(value) else value for key, value in values.items()}
    return json.dumps(finite, allow_nan=False, separators=(",", ":")) + "\n"


def _is_odd(value: Any) -> bool:
    return isinstance(value, float) and not math.isfinite(value)
