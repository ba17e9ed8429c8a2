"""Checkpoints of a training that still writes them.

`files.checkpoints` maps a file to memory, where one that another machine removes would take this
process with it. Here rows are read like those of any file, up to the step of the saved state: what
is before it has been flushed to the disk, what is after may be half there.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from transience.errors import InputError
from transience.files.tables import METADATA_KEY

MOST = 2**26  # bytes of a header


class Rows:
    """Steps and metadata of a file of checkpoints, and its rows one by one."""

    def __init__(self, path: Path) -> None:
        """InputError if it is no such file; OSError if it is gone."""
        self.path = path
        with path.open("rb") as file:
            header, self.start = _header(path, file)
            self.metadata: dict[str, Any] = json.loads(header["__metadata__"][METADATA_KEY])
            self.steps: list[int] = _tensor(file, self.start, header["steps"], "<i8").tolist()
        parameters = header["parameters"]
        self.first, self.size = parameters["data_offsets"][0], parameters["shape"][1]

    def row(self, index: int) -> np.ndarray | None:
        """Parameters (P,) of a checkpoint; None where none were written, or no numbers."""
        with self.path.open("rb") as file:
            file.seek(self.start + self.first + 4 * self.size * index)
            found = np.frombuffer(file.read(4 * self.size), "<f4")
        whole = len(found) == self.size and np.isfinite(found).all() and found.any()
        return found if whole else None


def saved_step(folder: Path) -> int:
    """Step of the state in the folder of a training; -1 if there is none yet."""
    path = folder / "state.safetensors"
    try:
        with path.open("rb") as file:
            header, start = _header(path, file)
            return int(_tensor(file, start, header["progress"], "<f8")[0])
    except (OSError, InputError, KeyError, IndexError):
        return -1


def _header(path: Path, file: BinaryIO) -> tuple[dict[str, Any], int]:
    """The header of a safetensors file, and where its data begin."""
    size = int.from_bytes(file.read(8), "little")
    try:
        if not 0 < size < MOST:
            raise ValueError
        return json.loads(file.read(size)), 8 + size
    except ValueError:
        raise InputError(f"{path}: expected a safetensors file, found another") from None


def _tensor(file: BinaryIO, start: int, described: dict[str, Any], dtype: str) -> np.ndarray:
    begin, end = described["data_offsets"]
    file.seek(start + begin)
    return np.frombuffer(file.read(end - begin), dtype)
