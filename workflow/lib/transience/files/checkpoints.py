"""Checkpoints of a run: the one file that holds them all.

The file is a safetensors file with `steps` (C,) int64 and `parameters` (C, P) float32, so reading
it executes no code and any row can be read alone. It is written row by row during training: a
run of the paper's size has 22 GiB of them, which need not fit in memory.
"""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open

from transience.errors import InputError
from transience.files.tables import METADATA_KEY


class CheckpointWriter:
    """Writes the rows of a checkpoint file in any order, and goes on with a file begun before."""

    def __init__(
        self, path: Path, steps: list[int], num_parameters: int, metadata: dict[str, Any]
    ) -> None:
        """Open or begin the file at ``path``; metadata is kept as JSON in its header.

        InputError if a file that was begun before has not the size that it was given then.
        """
        self.path, self.row_bytes, self.count = path, 4 * num_parameters, len(steps)
        self.metadata = metadata
        self.index = {step: row for row, step in enumerate(steps)}
        if not path.exists():
            _begin(path, steps, num_parameters, metadata)
        self.file = path.open("r+b")
        header_bytes = int.from_bytes(self.file.read(8), "little")
        self.start = 8 + header_bytes + 8 * len(steps)
        expected, found = self.start + len(steps) * self.row_bytes, path.stat().st_size
        if found != expected:
            raise InputError(f"{path}: expected {expected} bytes, found {found}")

    def write(self, step: int, vector: torch.Tensor) -> None:
        """Write the parameters (P,) of one step."""
        self.file.seek(self.start + self.index[step] * self.row_bytes)
        self.file.write(vector.detach().cpu().numpy().astype("<f4", copy=False).tobytes())

    def flush(self) -> None:
        """Make everything written so far survive a crash of the machine."""
        self.file.flush()
        os.fsync(self.file.fileno())

    def finish(self, path: Path, rows: dict[int, int] | None = None, **told: Any) -> None:
        """Close the complete file and move it to its place.

        Where ``rows`` by step, ascending, are not all, it has these only, and what is ``told`` in
        its metadata besides.
        """
        self.flush()
        whole = rows is None or len(rows) == self.count
        os.replace(self.path if whole else self._cut(rows, told), path)
        self.file.close()
        self.path.unlink(missing_ok=True)

    def _cut(self, rows: dict[int, int], told: dict[str, Any]) -> Path:
        """Write a file of some of the rows beside this one."""
        cut, size = self.path.with_suffix(".cut"), self.row_bytes
        cut.unlink(missing_ok=True)
        kept = CheckpointWriter(cut, [*rows], size // 4, self.metadata | told)
        for step, row in rows.items():
            self.file.seek(self.start + row * size)
            kept.file.seek(kept.start + kept.index[step] * size)
            kept.file.write(self.file.read(size))
        kept.flush()
        kept.file.close()
        return cut


def _begin(path: Path, steps: list[int], num_parameters: int, metadata: dict[str, Any]) -> None:
    """Create the file with its header, its steps and room for the rows."""
    count = len(steps)
    ends = [8 * count, 8 * count + 4 * count * num_parameters]
    header = {
        "__metadata__": {METADATA_KEY: json.dumps(metadata)},
        "steps": {"dtype": "I64", "shape": [count], "data_offsets": [0, ends[0]]},
        "parameters": {"dtype": "F32", "shape": [count, num_parameters], "data_offsets": ends},
    }
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)  # the format wants its data aligned
    temporary = path.with_suffix(".new")
    with temporary.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        file.write(np.asarray(steps, dtype="<i8").tobytes())
        file.truncate(8 + len(text) + ends[1])
    os.replace(temporary, path)


class CheckpointReader:
    """Reads a checkpoint file; InputError if it is missing, truncated or not one of ours."""

    def __init__(self, path: str | Path) -> None:
        """Read the header and the steps; rows are read when asked for."""
        if not Path(path).is_file():
            raise InputError(f"{path}: expected a checkpoint file, found no such file")
        try:
            self.file = safe_open(str(path), framework="pt")
            self.steps: list[int] = self.file.get_tensor("steps").tolist()
            self.rows = self.file.get_slice("parameters")
            self.metadata: dict[str, Any] = json.loads(self.file.metadata()[METADATA_KEY])
        except (SafetensorError, KeyError, TypeError) as error:
            raise InputError(
                f"{path}: expected a checkpoint file of this project, found one that is truncated "
                f"or foreign ({' '.join(str(error).split())})"
            ) from None
        self.num_parameters: int = self.rows.get_shape()[1]
        self.path = path

    def __len__(self) -> int:
        """Number of checkpoints."""
        return len(self.steps)

    def parameters(self, index: int) -> torch.Tensor:
        """Flat parameters (P,) of the checkpoint at ``steps[index]``."""
        return self.rows[index]

    def check_num_parameters(self, expected: int) -> None:
        """InputError if the checkpoints are of another architecture."""
        if self.num_parameters != expected:
            raise InputError(
                f"{self.path}: expected checkpoints of {expected} parameters, "
                f"found {self.num_parameters}; they belong to another configuration"
            )
