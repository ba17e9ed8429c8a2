"""One training that is watched: what its files say, and whether it lives."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from transience.errors import InputError
from transience.watch import losses as test_losses
from transience.watch.course import Course, of_tables
from transience.watch.follow import Follower
from transience.watch.life import Silence, life
from transience.watch.losses import Losses
from transience.watch.phases import (
    PHASES,
    at_steps,
    bands,
    has_risen,
    phases_of_loop,
    phases_of_run,
    since,
)
from transience.watch.place import Place
from transience.watch.rows import Rows, saved_step

Signature = tuple[tuple[int, int], ...]


class Watched:
    """A training, looked at again and again."""

    def __init__(self, place: Place) -> None:
        """Nothing is read before `look`."""
        self.place, self.course, self.losses = place, None, Losses()
        self.follower: Follower | None = None
        self.heard, self.silence, self.life, self.problem = Silence(), 0.0, "waiting", ""
        self.phases = np.zeros(0, int)
        self.read: dict[str, Signature] = {}  # tables, as they were when they were read

    def look(self) -> bool:
        """Read what is new; whether there is anything to draw anew."""
        self.problem = ""
        try:
            changed = self._look()
        except (InputError, OSError) as error:
            self.problem, changed = " ".join(str(error).split()), True
        if self.course is None:
            self.life, self.silence = life(None, 0.0), 0.0
            self.phases, self.losses = np.zeros(0, int), Losses()  # of what is gone
            return changed
        self.problem = self.problem or self.course.problem
        self.silence = self.heard.seconds(self.course)
        before, self.life = self.life, life(self.course, self.silence)
        if changed:
            self._tell_phases()
        return changed or before != self.life

    def tested(self, losses: Losses) -> None:
        """Take over losses on test sets."""
        self.losses = losses
        self._tell_phases()

    @property
    def phase(self) -> str:
        """In a word; empty where nothing tells."""
        known = len(self.phases) and self.phases[-1] >= 0
        return PHASES[self.phases[-1]] if known else ""

    @property
    def since(self) -> int | None:
        """The step from which on it has been in its phase."""
        return since(self.phases, self.course.column("step")) if self.phase else None

    @property
    def bands(self) -> list[tuple[int, int, int]]:
        """Phases one after another: index into PHASES, step of begin, step of end."""
        return bands(self.phases, self.course.column("step")) if self.course else []

    def rows(self) -> tuple[Rows, int] | None:
        """Checkpoints that may be measured, and up to which step; None if there are none.

        None either where they have been evaluated.
        """
        place = self.place
        if self.course is None or place.own_lines or "evaluation" in self.read:
            return None
        try:
            if self.life == "finished" and place.tables and self.follower is None:
                return Rows(place.tables / "checkpoints.safetensors"), self.course.step
            folder = self.follower.path.parent
            return Rows(folder / "checkpoints.partial"), min(saved_step(folder), self.course.step)
        except (OSError, InputError, LookupError, TypeError, ValueError):
            return None

    def _look(self) -> bool:
        tables = self.place.tables
        training = tables and _signature(tables / "training.parquet", tables / "signals.parquet")
        if training and training[0]:
            changed = self.read.get("training") != training
            if changed:
                self.course = of_tables(tables / "training.parquet", tables / "signals.parquet")
                self.follower, self.read["training"] = None, training
            return self._look_at_evaluation(tables) or changed
        if self.read:  # its tables are gone: it is trained again
            self.read, self.losses, self.course = {}, Losses(), None
        path = self.place.lines()
        if path is None:
            gone, self.course, self.follower = self.course is not None, None, None
            return gone
        if self.follower is None or self.follower.path != path:
            self.follower, self.heard = Follower(path), Silence()
        changed = self.follower.look()
        self.course = self.follower.course
        return changed

    def _look_at_evaluation(self, folder: Path) -> bool:
        files = folder / "evaluation.parquet", folder / "predictors.parquet"
        found = _signature(*files)
        if not all(found) or found == self.read.get("evaluation"):
            return False
        self.losses = test_losses.of_tables(*files)
        self.read["evaluation"] = found
        return True

    def _tell_phases(self) -> None:
        course = self.course
        if self.place.own_lines:
            self.phases = _phases_of_loop(course)
            return
        steps, values = self.losses.columns()
        rises = at_steps(course.column("step"), steps, has_risen(values[:, 1]))
        num_tasks = self.place.num_tasks
        self.phases = phases_of_run(course, math.inf if num_tasks is None else num_tasks, rises)


def _phases_of_loop(course: Course) -> np.ndarray:
    header = course.header
    references, names = header.get("references") or {}, header.get("losses") or []
    held_out = header.get("held_out")
    if held_out not in names:
        return np.full(len(course), -1)
    others = [name for name in names if name != held_out] or [held_out]
    pair = [course.column(name) - references.get(name, 0.0) for name in (others[0], held_out)]
    return phases_of_loop(*pair)


def _signature(*paths: Path) -> tuple:
    """Size and time of files, () for one that is not there."""
    found = []
    for path in paths:
        try:
            stat = path.stat()
            found.append((stat.st_size, stat.st_mtime_ns))
        except FileNotFoundError:
            found.append(())
    return tuple(found)
