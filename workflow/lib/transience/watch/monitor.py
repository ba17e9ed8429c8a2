"""Anyone's training, told in lines that `python -m transience.watch` shows.

Three lines in a loop of one's own:

    from transience.watch.monitor import Monitor
    monitor = Monitor("watched/mine.jsonl", last_step=5000, every=50, held_out="held out")
    monitor(step, {"training": loss, "held out": lambda: evaluate(model)})  # in the loop, each step

It needs neither pandas nor this project's models; a loss may be a number, a tensor of one element
or a function, which is called at logged steps only.
"""

from __future__ import annotations

import atexit
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, SupportsFloat

from transience.errors import InputError
from transience.files.lines import LineWriter

Value = SupportsFloat | Callable[[], SupportsFloat]


class Monitor:
    """Writes a line of a training every so many steps; between them it costs a comparison."""

    def __init__(
        self,
        path: str | Path,
        *,
        last_step: int | None = None,
        every: int = 100,
        held_out: str = "held_out",
        references: Mapping[str, float] | None = None,
        step: int = 0,
    ) -> None:
        """Begin a file of lines, or go on with it.

        Args:
            path: of the file, `<name>.jsonl` in the folder that is to be watched. One training
                writes to it.
            last_step: steps in all, so that the page can tell the time left.
            every: steps from one line to the next.
            held_out: the loss that tells phases; see `watch.phases`.
            references: losses by name which a good model would have, 0 where none is given.
            step: where to go on; lines above it are cut off. At 0 the file begins anew.

        Raises:
            InputError: if the file has another ending, which watch would not find.
        """
        self.path, self.every = Path(path), every
        if self.path.suffix != ".jsonl" or every < 1:
            found = f"{self.path}, every {every}"
            raise InputError(
                f"Monitor: expected a path that ends in .jsonl, every 1 or more; found {found}"
            )
        self.about = {"last_step": last_step, "held_out": held_out, "references": references or {}}
        self.restored, self.writer, self.names = step, None, ()
        self.started = time.monotonic()

    def __call__(
        self,
        step: int,
        losses: Mapping[str, Value],
        indicators: Mapping[str, Value] | None = None,
    ) -> None:
        """Tell of the state after so many steps, if this is one that is logged.

        The first loss is that of training; each indicator has a plot of its own.
        """
        if step % self.every and step != self.about["last_step"]:
            return
        values = {**losses, **(indicators or {})}
        if self.writer is None:
            self._begin(list(losses), list(values))
        numbers = [_number(values[name]) for name in self.names]
        self.writer.add([(step, time.monotonic() - self.started, *numbers)])
        if step == self.about["last_step"]:
            self.writer.event("finished", step)

    def event(self, name: str, step: int, words: str = "") -> None:
        """Tell that it has `finished`, `stopped`, `diverged` or `failed`, and in words why."""
        if self.writer is None:
            self._begin([], [])
        self.writer.event(name, step, **({"words": words} if words else {}))

    def _begin(self, losses: Sequence[str], names: Sequence[str]) -> None:
        self.names = tuple(names)
        header: dict[str, Any] = {**self.about, "losses": losses}
        if not self.restored:
            self.path.unlink(missing_ok=True)
        columns = ("step", "seconds", *names)
        self.writer = LineWriter(self.path, columns, header, step=self.restored)
        atexit.register(self.writer.flush)


def _number(value: Value) -> float:
    """A number, of a function or a tensor (whose gradient is not asked for) as well."""
    found = value() if callable(value) else value
    return float(found.item() if hasattr(found, "item") else found)
