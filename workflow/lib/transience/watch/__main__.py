"""Command: watch trainings while they run, from their files alone, on one page."""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from transience.command.entry import ends_in_one_line
from transience.errors import InputError
from transience.watch.budget import Budget
from transience.watch.life import ALIVE, OVER
from transience.watch.measure import Measurer
from transience.watch.page import Page
from transience.watch.place import Place
from transience.watch.places import family, places, warning
from transience.watch.watched import Watched

OWN = "watch"  # the watcher's folder beside the results, and its page there
LONGEST = 86400  # seconds from one page to the next
ONCE = 10.0  # seconds of processor time for test losses where there is one page only


class Watch:
    """All trainings of a folder, and where they are shown."""

    def __init__(self, folder: Path, page: Page, measurer: Measurer | None, events: object) -> None:
        """Nothing is read before `look`; without a measurer, test losses are those of tables."""
        self.folder, self.page, self.measurer, self.events = folder, page, measurer, events
        self.runs: dict[Place, Watched] = {}
        self.changed: set[str] = set()

    def look(self) -> None:
        """Read what is new of all that is there."""
        found = places(self.folder)
        self.runs = {place: self.runs.get(place) or Watched(place) for place in found}
        self.changed |= {one.place.name for one in self.runs.values() if one.look()}

    def test(self, seconds: float) -> None:
        """Measure checkpoints for so many seconds of processor time."""
        if self.measurer is None or seconds <= 0:
            return
        ready = [(one, one.rows()) for one in self.runs.values()]
        by_name = {one.place.name: (one, *found) for one, found in ready if found}
        waiting = [(name, rows, last) for name, (_, rows, last) in by_name.items()]
        measured = self.measurer.work(waiting, seconds)
        for name, (one, rows, _) in by_name.items():
            losses = self.measurer.of(name, rows)
            if name in measured or losses is not one.losses:
                one.tested(losses)
                self.changed.add(name)

    def write(self, every: float, *, live: bool) -> None:
        """Show them."""
        runs = [*self.runs.values()]
        self._write_events(runs)
        note = warning(self.folder) if any(not one.place.own_lines for one in runs) else ""
        self.page.family = family(self.folder)
        self.page.write(runs, self.changed, every=every, live=live, note=note)
        self.changed = set()

    def _write_events(self, runs: list[Watched]) -> None:
        for one in runs if self.events else ():
            self.events.write(one)

    @property
    def running(self) -> int:
        """Trainings that run."""
        return sum(one.life in ALIVE for one in self.runs.values())

    @property
    def over(self) -> bool:
        """Whether nothing is to be expected any more; where nothing is there, something is."""
        return bool(self.runs) and all(one.life in OVER for one in self.runs.values())


def main() -> None:
    """Watch the trainings of a sweep, or of a folder of files of lines, on one page.

    Reads files alone, and ends when all trainings are over, or when it is told to (Ctrl-C).
    """
    args = _options()
    os.nice(19)  # trainings come first
    folder = args.folder
    places(folder)  # or there is nothing to watch
    own = _writable(args.out or folder / OWN)
    events = _events(args.tensorboard)
    measurer = Measurer(args.sequences, own / "losses.json") if args.sequences else None
    watch = Watch(folder, Page(own / "watch.html", folder.resolve().name), measurer, events)
    with contextlib.closing(events) if events else contextlib.nullcontext(), _told() as told:
        _go_on(watch, told, args.once, args.every, args.budget / 100)


def _options() -> argparse.Namespace:
    """Options, checked."""
    parser = argparse.ArgumentParser(
        prog="python -m transience.watch", description=main.__doc__, allow_abbrev=False
    )
    parser.add_argument("folder", type=Path, help="results/<experiment>, or a folder of lines")
    parser.add_argument("--once", action="store_true", help="write one page and end")
    parser.add_argument(
        "--every",
        type=float,
        default=10.0,
        metavar="SECONDS",
        help="from one page to the next, at least (default: 10)",
    )
    parser.add_argument("--out", type=Path, help=f"folder of the page (default: <folder>/{OWN})")
    parser.add_argument(
        "--budget", type=float, default=2.0, metavar="PERCENT",
        help="of a core, for each training that runs (default: 2)",
    )  # fmt: skip
    parser.add_argument(
        "--sequences", type=int, default=256, help="in a test set; 0: measure no checkpoints"
    )
    parser.add_argument("--tensorboard", type=Path, metavar="DIR", help="write event files, too")
    args = parser.parse_args()
    if not (0 < args.every <= LONGEST and 0 < args.budget <= LONGEST and args.sequences >= 0):
        raise InputError(
            f"expected --every and --budget above 0, at most {LONGEST:,}, --sequences 0 or more; "
            f"found {args.every:g}, {args.budget:g}, {args.sequences}"
        )
    return args


def _go_on(watch: Watch, told: threading.Event, once: bool, every: float, share: float) -> None:
    """Look, show and wait, again and again; what it takes to begin is no part of the budget."""
    watch.look()
    if not once:
        watch.write(every, live=True)
        print(f"Page: {watch.page.path} (Ctrl-C ends the watch)", flush=True)
    if watch.measurer and watch.running:
        watch.measurer.load()
    budget, pause = Budget(share), every
    while not (once or watch.over or told.wait(pause)):
        pause = _look_again(watch, budget, pause, every)
    watch.test(ONCE if once or watch.over else 0)
    watch.write(every, live=False)
    if once:
        print(f"Page: {watch.page.path}")
    else:
        print("All trainings are over." if watch.over else "The watch has ended.")


def _look_again(watch: Watch, budget: Budget, pause: float, every: float) -> float:
    """Look, measure what there is time for, and show; seconds until the next time."""
    before = time.process_time()
    try:
        watch.look()
        cost = time.process_time() - before
        watch.test(budget.left)
        before = time.process_time()
        watch.write(pause, live=True)
    except OSError as error:  # a disk that is full may have room again
        print(f"{watch.page.path}: no page this time: {error}", file=sys.stderr)
        cost = 0.0
    budget.settle(watch.running)
    return budget.pause(every, cost + time.process_time() - before)


def _writable(folder: Path) -> Path:
    """A folder for the page, made; InputError if it can't be written to."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if os.access(folder, os.W_OK | os.X_OK):
            return folder
        found = "no permission"
    except OSError as error:
        found = error.strerror
    raise InputError(
        f"{folder}: expected a folder to write the page to, found {found}; name another with --out"
    )


def _events(folder: Path | None) -> object:
    if folder is None:
        return None
    from transience.watch.tensorboard import Events

    return Events(folder)


@contextlib.contextmanager
def _told() -> Iterator[threading.Event]:
    """Set where a signal says to end."""
    told = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: told.set())
    yield told


if __name__ == "__main__":
    ends_in_one_line(main)
