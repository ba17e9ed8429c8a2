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
import contextlib
import math
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, SupportsFloat

from transience.errors import InputError
from transience.files.lines import LineWriter

Value = SupportsFloat | Callable[[], SupportsFloat] | None
OWN = ("step", "seconds", "time", "event")  # names that lines have for themselves


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
            InputError: if the file has another ending, which watch would not find, or a reference
                is no number.
        """
        self.path, self.every = Path(path), every
        if self.path.suffix != ".jsonl" or not every >= 1:
            found = f"{self.path}, every {every}"
            raise InputError(
                f"Monitor: expected a path that ends in .jsonl, every 1 or more; found {found}"
            )
        references = {name: _number(value) for name, value in (references or {}).items()}
        if odd := [name for name, value in references.items() if not math.isfinite(value)]:
            raise InputError(f"Monitor: expected numbers as references; found none of {odd[0]}")
        last = None if last_step is None else int(last_step)
        self.about = {"last_step": last, "held_out": held_out, "references": references}
        self.restored, self.writer, self.names = step, None, ()
        self.started = time.monotonic()

    def __call__(
        self,
        step: int,
        losses: Mapping[str, Value],
        indicators: Mapping[str, Value] | None = None,
    ) -> None:
        """Tell of the state after so many steps, if this is one that is logged.

        The first loss is that of training; each indicator has a plot of its own. What is None, or
        not given this time, is missing there.

        Raises:
            InputError: if a name is given twice, or is one of `OWN`.
        """
        if step % self.every and step != self.about["last_step"]:
            return
        values = {**losses, **(indicators or {})}
        if self.writer is None or values.keys() - {*self.names}:
            self._name(list(losses), [*losses, *(indicators or {})])
        numbers = [_number(values.get(name)) for name in self.names]
        self.writer.add([(step, time.monotonic() - self.started, *numbers)])
        if step == self.about["last_step"]:
            self.writer.event("finished", int(step))

    def event(self, name: str, step: int, words: str = "") -> None:
        """Tell that it has `finished`, `stopped`, `diverged` or `failed`, and in words why."""
        if self.writer is None:
            self._begin([])
        self.writer.event(name, int(step), **({"words": str(words)} if words else {}))

    def _name(self, losses: Sequence[str], names: Sequence[str]) -> None:
        """Take in names that are new; the first time, begin the file."""
        odd = [
            one for one in names if one in OWN or names.count(one) > 1 or not isinstance(one, str)
        ]
        if odd:
            raise InputError(
                f"Monitor: expected names, each once and none of {', '.join(OWN)}; found {odd[0]!r}"
            )
        self.names = tuple(dict.fromkeys([*self.names, *names]))
        if self.writer is None:
            self._begin(losses)
        self.writer.columns = ("step", "seconds", *self.names)

    def _begin(self, losses: Sequence[str]) -> None:
        header: dict[str, Any] = {**self.about, "losses": losses}
        if not self.restored:
            with contextlib.suppress(OSError):  # told by who writes
                self.path.unlink(missing_ok=True)
        self.writer = LineWriter(self.path, ("step", "seconds"), header, step=self.restored)
        atexit.register(self.writer.flush)


def _number(value: Value) -> float:
    """A number, of a function or a tensor (whose gradient is not asked for) as well."""
    found = value() if callable(value) else value
    if found is None:
        return math.nan
    return float(found.item() if hasattr(found, "item") else found)
