"""One training that there is to watch, and where its files are."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from transience.files.lines import NAME


@dataclass(frozen=True)
class Place:
    """One training, and where its files are or will be."""

    name: str  # `baseline/M8_seed0`, or that of a file of lines
    variant: str = ""
    num_tasks: float | None = None  # M; None for anyone's training
    seed: int | None = None
    state: Path | None = None  # folder with a folder of its state, while it runs
    tables: Path | None = None  # folder of its tables, once it is over
    log: Path | None = None
    own_lines: Path | None = None  # of anyone's training

    def lines(self) -> Path | None:
        """Its file of lines: of several states that a run has left, the one last written to.

        None if there is none; PermissionError if nobody knows.
        """
        if self.own_lines:
            return self.own_lines
        try:
            states = [*self.state.iterdir()]
        except FileNotFoundError:
            return None
        paths = [path for state in states if (path := state / NAME).is_file()]
        return max(paths, key=lambda path: path.stat().st_mtime, default=None)
