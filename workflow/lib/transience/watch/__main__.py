"""Command: watch trainings while they run, from their files alone, on one page."""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

from transience.command.entry import ends_in_one_line
from transience.errors import InputError
from transience.watch.budget import Budget
from transience.watch.life import ALIVE, OVER
from transience.watch.losses import Tester
from transience.watch.page import Page
from transience.watch.places import Place, places, warning
from transience.watch.watched import Watched

OWN = "watch"  # the watcher's folder beside the results, and its page there
ONCE = 10.0  # seconds of processor time for test losses where there is one page only


class Watch:
    """All trainings of a folder, and where they are shown."""

    def __init__(self, folder: Path, page: Page, tester: Tester | None, events: object) -> None:
        """Nothing is read before `look`; without a tester, test losses are those of tables."""
        self.folder, self.page, self.tester, self.events = folder, page, tester, events
        self.runs: dict[Place, Watched] = {}
        self.changed: set[str] = set()

    def look(self) -> None:
        """Read what is new of all that is there."""
        found = places(self.folder)
        self.runs = {place: self.runs.get(place) or Watched(place) for place in found}
        self.changed |= {one.place.name for one in self.runs.values() if one.look()}

    def test(self, seconds: float) -> bool:
        """Measure checkpoints for so many seconds; whether any was."""
        if self.tester is None:
            return False
        ready = [(one, one.rows()) for one in self.runs.values()]
        by_name = {one.place.name: (one, *found) for one, found in ready if found}
        waiting = [(name, rows, last) for name, (_, rows, last) in by_name.items()]
        measured = self.tester.work(waiting, seconds)
        for name, (one, rows, _) in by_name.items():
            losses = self.tester.of(name, rows)
            if name in measured or losses is not one.losses:
                one.tested(losses)
                self.changed.add(name)
        return bool(measured)

    def write(self, every: float, *, live: bool) -> None:
        """Show them."""
        runs = [*self.runs.values()]
        note = warning(self.folder) if any(not one.place.own_lines for one in runs) else ""
        self.page.write(runs, self.changed, every=every, live=live, note=note)
        if self.events:
            for one in runs:
                self.events.write(one)
        self.changed = set()

    @property
    def running(self) -> int:
        """Trainings that run."""
        return sum(one.life in ALIVE for one in self.runs.values())

    @property
    def over(self) -> bool:
        """Whether nothing is to be expected any more."""
        return all(one.life in OVER for one in self.runs.values())


def main() -> None:
    """Watch the trainings of a sweep, or of a folder of files of lines, on one page.

    Reads files alone, and ends when all trainings are over, or when it is told to (Ctrl-C).
    """
    parser = argparse.ArgumentParser(description=main.__doc__, allow_abbrev=False)
    parser.add_argument("folder", type=Path, help="results/<experiment>, or a folder of lines")
    parser.add_argument("--once", action="store_true", help="write one page and end")
    parser.add_argument("--every", type=float, default=10.0, metavar="SECONDS")
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
    if not (args.every > 0 and args.budget > 0 and args.sequences >= 0):
        raise InputError("expected --every and --budget above 0, --sequences 0 or more")
    os.nice(19)  # trainings come first
    folder = args.folder
    places(folder)  # or there is nothing to watch
    own = args.out or folder / OWN
    events = _events(args.tensorboard)
    tester = Tester(args.sequences, own / "losses.json") if args.sequences else None
    watch = Watch(folder, Page(own / "watch.html", folder.resolve().name), tester, events)
    with contextlib.closing(events) if events else contextlib.nullcontext(), _told() as told:
        _go_on(watch, told, args.once, args.every, args.budget / 100)


def _go_on(watch: Watch, told: threading.Event, once: bool, every: float, share: float) -> None:
    """Look, show and wait, again and again."""
    watch.look()
    if once:
        watch.test(ONCE)
        watch.write(every, live=False)
        print(f"Page: {watch.page.path}")
        return
    watch.write(every, live=True)
    print(f"Page: {watch.page.path} (Ctrl-C ends the watch)", flush=True)
    budget = Budget(share)
    while not told.is_set():
        over = watch.over
        measured = watch.test(budget.left if not over else ONCE)
        budget.settle(watch.running)
        pause = budget.pause(every)
        if watch.changed or not over:
            watch.write(pause, live=True)
        if over and not measured:
            break
        told.wait(pause)
        watch.look()
    watch.write(every, live=False)
    print("The watch has ended." if told.is_set() else "All trainings are over.")


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
