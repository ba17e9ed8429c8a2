"""Whether a training lives: what its files say, and what their silence says (ours).

*running* must not last for ever: a training that is killed says nothing of it. In order:

- *waiting*: planned, and nothing of it is there;
- *finished*, *stopped*, *diverged*, *failed*: it said so, last of all;
- *killed*: its process on this machine is gone, or another machine's has been silent for
  `DEAD` seconds and `DEAD_GAPS` times as long as from one logged step to the next;
- *stalled*: silent for `STALLED` seconds and `STALLED_GAPS` times as long;
- *running*.
"""

from __future__ import annotations

import math
import os
import socket
import time
from dataclasses import dataclass
from pathlib import Path

from transience.watch.course import Course

STALLED, STALLED_GAPS = 60.0, 5.0
DEAD, DEAD_GAPS = 600.0, 10.0
GONE = 5.0  # seconds of silence before a process that isn't there means anything
FIRST = 600.0  # before the first line a GPU may compile for minutes
ENDINGS = ("finished", "stopped", "diverged", "failed")
ALIVE = ("running", "stalled")
OVER = ("finished", "diverged", "failed")  # nobody is expected to go on with it


@dataclass
class Silence:
    """Since when nothing was heard of a training, by our own clock where that can tell.

    Clocks of other machines may be wrong, or jump.
    """

    length: tuple[int, ...] | None = None  # of what was heard
    since: float = 0.0  # time.monotonic of that
    grown: bool = False

    def seconds(self, course: Course) -> float:
        """Seconds without a sign of life, as far as one can tell."""
        now, length = time.monotonic(), (len(course), len(course.events))
        if length != self.length:
            self.grown, self.since = self.length is not None, now
        self.length, watched = length, now - self.since
        said = course.sign.get("time")
        if self.grown or not isinstance(said, int | float):
            return watched
        return max(watched, time.time() - said)


def life(course: Course | None, silence: float) -> str:
    """The word for a training, silent for so many seconds; None is one without any files."""
    if course is None:
        return "waiting"
    if course.ending.get("event") in ENDINGS:
        return course.ending["event"]
    gap = course.gap if math.isfinite(course.gap) else 0.0
    here = course.sign.get("host") == socket.gethostname()
    if here and silence > max(GONE, 2 * gap) and not _lives(course.sign.get("pid")):
        return "killed"
    if not here and silence > max(DEAD, DEAD_GAPS * gap):
        return "killed"
    least = STALLED if len(course) else FIRST
    return "stalled" if silence > max(least, STALLED_GAPS * gap) else "running"


def _lives(pid: object) -> bool:
    """Whether a process of this machine is there, or may be."""
    if not isinstance(pid, int) or not 0 < pid < 2**31:
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:  # somebody else's
        return True
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (OSError, IndexError):  # no such system
        return True
    return state not in "ZX"  # what is dead, and nobody has asked for
