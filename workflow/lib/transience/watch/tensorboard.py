"""Event files for TensorBoard, from the same lines and tables: a folder a run, and no step twice.

A run whose lines were cut is written anew. TensorBoard is imported when this is asked for only; it
is in envs/requirements-tensorboard.txt.
"""

from __future__ import annotations

import contextlib
import fcntl
import importlib
import math
import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from transience.errors import InputError
from transience.watch.course import Course
from transience.watch.watched import Watched

LOCK = ".watch"
TESTED = ("loss/q_M", "loss/q_inf", "loss/q_1", "relative_distance")
NOT_SHOWN = ("step", "time", "seconds")


class Events:
    """Writes the event files of all runs below a folder."""

    def __init__(self, folder: Path) -> None:
        """Take the folder; InputError if TensorBoard is missing, or another watch writes there."""
        self.module = _tensorboard()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self.folder, self.lock, self.broken = folder, (folder / LOCK).open("w"), False
        except OSError as error:
            raise InputError(
                f"--tensorboard: expected a folder to write to, found {folder}: {error.strerror}"
            ) from None
        try:
            fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self.lock.close()
            raise InputError(
                f"{folder}: expected a folder for this watch alone, found another that writes there"
            ) from None
        self.runs: dict[str, _Curves] = {}

    def write(self, one: Watched) -> None:
        """Bring the files of a run up to its course and its losses.

        Where that fails, as on a full disk, say so once and write none any more.
        """
        if self.broken or one.course is None or not len(one.course):
            return
        try:
            self._write(one)
        except OSError as error:
            self.broken = True
            self.close()
            print(f"{self.folder}: no more event files, {error.strerror}", file=sys.stderr)

    def _write(self, one: Watched) -> None:
        self._bring(one.place.name, *_logged(one.course))
        steps, values = one.losses.columns()
        if len(steps):
            now = np.full(len(steps), time.time())
            columns = dict(zip(TESTED, values.T, strict=True))
            self._bring(f"{one.place.name}/test_sets", steps, now, columns)

    def close(self) -> None:
        """End all files, and leave the folder to others."""
        for curves in self.runs.values():
            with contextlib.suppress(OSError):
                curves.close()
        self.runs = {}
        self.lock.close()

    def _bring(
        self, name: str, steps: np.ndarray, times: np.ndarray, columns: dict[str, np.ndarray]
    ) -> None:
        known = self.runs.get(name)
        if known is None or not known.goes_on(steps, columns):
            if known:
                known.close()
            self.runs[name] = known = _Curves(self.module, self.folder / name)
        known.add(steps, times, columns)


class _Curves:
    """The one event file of a folder."""

    def __init__(self, module: Any, folder: Path) -> None:
        for path in folder.glob("events.out.tfevents.*"):  # of a watch before this one
            path.unlink()
        self.file = module.summary.writer.event_file_writer.EventFileWriter(str(folder))
        self.proto = module.compat.proto
        self.steps, self.last = np.zeros(0), {}
        begin = self.proto.event_pb2.SessionLog(status=self.proto.event_pb2.SessionLog.START)
        self._event(time.time(), 0, session_log=begin)  # what was read of a file before is void

    def goes_on(self, steps: np.ndarray, columns: dict[str, np.ndarray]) -> bool:
        """Whether what was written still stands, with more behind."""
        count = len(self.steps)
        if not np.array_equal(steps[:count], self.steps) or not count:
            return not count
        now = {name: values[count - 1] for name, values in columns.items()}
        return all(
            now.get(name) == value or not math.isfinite(value) for name, value in self.last.items()
        )

    def add(self, steps: np.ndarray, times: np.ndarray, columns: dict[str, np.ndarray]) -> None:
        count = len(self.steps)
        for index in range(count, len(steps)):
            values = [
                self.proto.summary_pb2.Summary.Value(tag=name, simple_value=float(column[index]))
                for name, column in columns.items()
                if math.isfinite(column[index])
            ]
            told = self.proto.summary_pb2.Summary(value=values)
            self._event(times[index], steps[index], summary=told)
        if len(steps) > count:
            self.file.flush()
            self.steps = steps.copy()
            self.last = {name: float(column[-1]) for name, column in columns.items()}

    def close(self) -> None:
        self.file.close()

    def _event(self, wall_time: float, step: float, **what: Any) -> None:
        event = self.proto.event_pb2.Event(wall_time=float(wall_time), step=int(step), **what)
        self.file.add_event(event)


def _logged(course: Course) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
    """Steps, times and curves of logged steps; a time that isn't known is that of the next one."""
    times, columns = course.column("time"), {}
    known = np.flatnonzero(np.isfinite(times))
    index = np.searchsorted(known, np.arange(len(times)))
    fallback = np.append(times[known], times[known[-1]] if len(known) else time.time())
    for name in course.values:
        if name not in NOT_SHOWN:
            tag = name.encode(errors="replace").decode()  # half a character
            columns[f"{'loss' if name.endswith('_loss') else 'training'}/{tag}"] = course.column(
                name
            )
    return course.column("step"), fallback[index], columns


def _tensorboard() -> Any:
    """The parts of TensorBoard that write, without its server."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    try:
        for name in (
            "summary.writer.event_file_writer",
            "compat.proto.event_pb2",
            "compat.proto.summary_pb2",
        ):
            importlib.import_module(f"tensorboard.{name}")
        return importlib.import_module("tensorboard")
    except ImportError as error:
        raise InputError(
            f"--tensorboard: expected TensorBoard, found none ({error}); "
            "pip install -r envs/requirements-tensorboard.txt"
        ) from None
