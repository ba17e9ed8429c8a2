"""What the first hour on a GPU is asked for, and what its parts have found so far."""

import json
import os
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# Configurations of a size, each over the one before; the first one's model is checked and timed.
SUBSET = ("paper.yaml", "paper_subset.yaml")
SIZES = {
    "paper": SUBSET,
    "short": (*SUBSET, "paper_short.yaml"),
    "long": (*SUBSET, "paper_long.yaml"),
    "tiny": ("smoke.yaml",),
}
NEEDS_GPU = "needs a GPU"


@dataclass(frozen=True)
class Plan:
    """What is asked for."""

    size: str  # of SIZES
    device: str  # cpu or cuda
    num_tasks: tuple[str, ...]  # every M to train, in this order
    steps: int | None  # of a training, if not as many as its configuration says
    out: Path  # small files, to keep
    scratch: Path  # checkpoints, states and all else that is large
    deadline: float  # of the call, in seconds of time.time
    side_by_side: int = 1  # runs at a time

    @property
    def on_gpu(self) -> bool:
        return self.device == "cuda"

    def asked(self, part: str) -> list[Any]:
        """What a part depends on: one that was finished for it is taken as it is."""
        of_runs = [list(self.num_tasks), self.steps] if part == "run" else []
        return [self.size, self.device, *of_runs]

    def seconds_left(self) -> float:
        return self.deadline - time.time()


class Record:
    """What one part has found, in a file that is written again at every finding.

    Threads may share it.
    """

    def __init__(self, plan: Plan, part: str) -> None:
        """Read what an earlier call left."""
        self.part, self.path = part, plan.out / "parts" / f"{part}.json"
        self.asked, self.lock = plan.asked(part), threading.Lock()
        self.found: dict[str, Any] = {}
        if self.path.exists():
            self.found = json.loads(self.path.read_text())

    @property
    def of_this_plan(self) -> bool:
        return self.found.get("asked") == self.asked

    @property
    def finished(self) -> bool:
        return self.of_this_plan and self.found["finished"]

    def begin(self) -> None:
        """Forget what an earlier call has found, but not how long that took."""
        seconds = self.found["seconds"] if self.of_this_plan else {}
        with self._changed():
            self.found = {"asked": self.asked, "finished": False, "checks": [], "measured": {}}
            self.found |= {"seconds": seconds, "failures": [], "notes": []}

    def check(self, name: str, found: object, limit: object, verdict: bool | None) -> None:
        """Add a check; a verdict of None: it needs a GPU."""
        word = {True: "OK", False: "FAILED", None: NEEDS_GPU}[verdict]
        print(f"{self.part}: {name}: {found} (limit {limit}) {word}", flush=True)
        with self._changed():
            self.found["checks"].append([name, found, limit, word])

    def measure(self, name: str, value: Any) -> None:
        """Add a number, or a table of numbers."""
        with self._changed():
            self.found["measured"][name] = value

    def fail(self, text: str) -> None:
        """Add what went wrong: a traceback, or the last line of a log."""
        print(f"{self.part}: {text}", flush=True)
        with self._changed():
            self.found["failures"].append(text)

    def note(self, text: str) -> None:
        """Add what a reader must know."""
        print(f"{self.part}: {text}", flush=True)
        with self._changed():
            self.found["notes"].append(text)

    def guard(self, work: Callable[[], None]) -> None:
        """Do some work; if it fails, say how and go on."""
        try:
            work()
        except Exception:
            self.fail(traceback.format_exc())

    def finish(self) -> None:
        """Say that nothing is left to be done, unless something has failed."""
        with self._changed():
            self.found["finished"] = not self.found["failures"]

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Add the time within to that of a stage, over all calls."""
        started = time.time()
        print(f"{self.part}: {name} ...", flush=True)
        try:
            yield
        finally:
            with self._changed():
                seconds = self.found["seconds"]
                seconds[name] = seconds.get(name, 0.0) + time.time() - started

    @contextmanager
    def _changed(self) -> Iterator[None]:
        """Alone while it changes; then written, in one go, as a call may be killed at any time."""
        with self.lock:
            yield
            self.path.parent.mkdir(parents=True, exist_ok=True)
            temporary = self.path.with_suffix(".new")
            temporary.write_text(json.dumps(self.found, indent=1))
            os.replace(temporary, self.path)
