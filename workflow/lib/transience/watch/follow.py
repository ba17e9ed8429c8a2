"""Lines of a training, followed as they come: only what is new is read, and nothing is locked."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from transience.files.lines import FORMAT, parsed
from transience.watch.course import Course, is_step

MOST = 2**23  # bytes read at once, and of a line
MANY = 200  # lines that are worth a reader of columns
EVENT = b'"event"'
REMEMBERED = 64  # bytes before where reading goes on, to see that they still stand there


def _are_names(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) for one in value)


def _are_numbers(value: object) -> bool:
    numbers = value.values() if isinstance(value, dict) else [None]
    return all(isinstance(one, int | float) and math.isfinite(one) for one in numbers)


# What the page counts on in a header, where it is there: in words, and whether a value is that.
HEADER = {
    "first_step": ("a number of steps", is_step),
    "last_step": ("a number of steps", is_step),
    "held_out": ("a name", lambda value: isinstance(value, str)),
    "losses": ("a list of names", _are_names),
    "references": ("numbers by name", _are_numbers),
}


class Follower:
    """One file of lines, read on from where it was read to, or from its begin if it was cut."""

    def __init__(self, path: Path) -> None:
        """Nothing is read before `look`."""
        self.path = path
        self._begin()

    def _begin(self) -> None:
        self.course, self.offset, self.before = Course(), 0, b""

    def look(self) -> bool:
        """Read what is new; whether anything was, or was cut. What can't be read is a problem."""
        try:
            with self.path.open("rb") as file:
                cut = self._was_cut(file)
                if cut or self.course.problem:
                    self._begin()
                before = self.offset
                while self._read(file):
                    pass
                return cut or self.offset > before
        except OSError as error:
            self.course.problem = f"{self.path}: {error.strerror}"
            return False

    def _was_cut(self, file: BinaryIO) -> bool:
        """Whether the file is no longer the one that was read, with more behind."""
        if os.fstat(file.fileno()).st_size < self.offset:
            return True
        file.seek(self.offset - len(self.before))
        return file.read(len(self.before)) != self.before

    def _read(self, file: BinaryIO) -> bool:
        """Take over whole lines from a part of the file; False at its end, or where it is wrong."""
        file.seek(self.offset)
        part = file.read(MOST)
        end = part.rfind(b"\n") + 1
        if not end and len(part) == MOST:
            self.course.problem = f"{self.path}: expected lines, found a file without"
        self._take_all(part[:end].splitlines(keepends=True))
        self.before = (self.before + part[:end])[-REMEMBERED:]
        self.offset += end
        return len(part) == MOST and not self.course.problem

    def _take_all(self, lines: list[bytes]) -> None:
        """Take over lines, in columns where they are many: at a first look."""
        if lines and not self.course.header:
            self._take(lines[0])
            lines = lines[1:]
        logged = [line for line in lines if EVENT not in line]
        columns = _columns(logged) if len(logged) >= MANY and not self.course.problem else None
        in_columns = columns is not None and self.course.extend(columns)
        for line in lines:
            if not in_columns or EVENT in line:
                self._take(line)
        if in_columns and EVENT not in lines[-1]:
            times = columns.get("time", np.zeros(0))
            self.course.sign["time"] = [None, *times[np.isfinite(times)].tolist()][-1]

    def _take(self, line: bytes) -> None:
        course, found = self.course, parsed(line)
        if not course.header:
            course.problem = _problem(self.path, found or {})
            course.header = {"format": None} if course.problem else found
        if course.problem:
            return
        try:
            if found is course.header or "event" in found:
                course.sign = {key: found.get(key) for key in ("host", "pid", "time")}
                if "event" in found:
                    course.tell(found)
            else:
                course.append(found)
                course.sign["time"] = found.get("time") or course.sign["time"]
        except (KeyError, TypeError, ValueError, OverflowError):  # not ours, or half of two lines
            course.odd_lines += 1


def _columns(lines: list[bytes]) -> dict[str, np.ndarray] | None:
    """Values of logged steps by column; None if some line is damaged, or says something else."""
    from pyarrow import ArrowException, BufferReader, json

    options = json.ReadOptions(use_threads=False, block_size=2 * MOST)
    try:
        table = json.read_json(BufferReader(b"".join(lines)), options)
        found = {name: table[name].to_numpy().astype(float) for name in table.column_names}
    except (ArrowException, ValueError, TypeError):
        return None
    return found if len(table) == len(lines) else None


def _problem(path: Path, header: dict[str, Any]) -> str:
    """What is wrong with a file that begins like this, in a line."""
    found = header.get("format")
    if not isinstance(found, int):
        return f"{path}: expected lines of a training, found another file"
    if found != FORMAT:
        return (
            f"{path}: expected lines of format {FORMAT}, found format {found}; "
            "watch it with the version that trains"
        )
    for key, (expected, fits) in HEADER.items():
        if header.get(key) is not None and not fits(header[key]):
            return f"{path}: expected {expected} as {key} in its header, found {header[key]!r:.40}"
    return ""
