"""What is known of the course of a training: header, values of every logged step, events."""

from __future__ import annotations

import math
from array import array
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

RECENT = 20  # logged steps that say how fast a training is
MOST_STEPS = 2**53  # beyond, no float is every step


@dataclass
class Course:
    """Filled line by line, or from the tables of a training that is over."""

    header: dict[str, Any] = field(default_factory=dict)
    values: dict[str, array] = field(default_factory=lambda: {"step": array("d")})  # NaN: none
    events: list[dict[str, Any]] = field(default_factory=list)
    sign: dict[str, Any] = field(default_factory=dict)  # the last of life: host, pid and time
    problem: str = ""  # what is wrong with its file, in a line
    odd_lines: int = 0  # that say nothing, or nothing new

    def __len__(self) -> int:
        """Logged steps."""
        return len(self.values["step"])

    def column(self, name: str) -> np.ndarray:
        """Values (L,) by logged step; NaN where there are none."""
        values = self.values.get(name)
        return np.full(len(self), math.nan) if values is None else np.array(values)

    @property
    def step(self) -> int:
        """The last one known of."""
        steps = [event["step"] for event in self.events[-1:]]
        steps += [int(value) for value in self.values["step"][-1:]]
        return max(steps, default=int(self.header.get("first_step", 0)))

    @property
    def last_step(self) -> int | None:
        """Steps in all, fewer after an alarm; None if nobody said."""
        said = [self.header, *self.alarms]
        return next((one["last_step"] for one in reversed(said) if "last_step" in one), None)

    @property
    def alarms(self) -> list[dict[str, Any]]:
        """Events of a training that ends, or will soon, as its model was about to leave ridge."""
        return [event for event in self.events if event["event"] == "alarm"]

    @property
    def ending(self) -> dict[str, Any]:
        """The event that nothing has come after; {} while it goes on."""
        last = self.events[-1] if self.events else {}
        over = last.get("event") not in (None, "resumed", "alarm") and last["step"] >= self.step
        return last if over else {}

    @property
    def pace(self) -> float:
        """Seconds a step takes, lately; NaN if that isn't known yet."""
        return self._lately("seconds") / self._lately("step")

    @property
    def gap(self) -> float:
        """Seconds from one logged step to the next, lately; NaN if that isn't known yet."""
        recent = self.column("seconds")[-RECENT:]
        return float(np.median(np.diff(recent))) if len(recent) > 1 else math.nan

    @property
    def seconds_left(self) -> float:
        """At this pace, to the last step; NaN if that isn't known."""
        return math.nan if self.last_step is None else self.pace * (self.last_step - self.step)

    def _lately(self, name: str) -> float:
        recent = self.column(name)[-RECENT:]
        return recent[-1] - recent[0] if len(recent) > 1 else math.nan

    def append(self, row: dict[str, Any]) -> None:
        """Add a logged step.

        TypeError or OverflowError if its values are no numbers, ValueError if it descends, or is no
        step.
        """
        step, values = row["step"], self.values
        if not is_step(step):
            raise ValueError(f"no step: {step}")
        if values["step"] and step <= values["step"][-1]:
            raise ValueError(f"step {step} after step {values['step'][-1]:g}")
        known = len(self)
        numbers = array("d", [math.nan if one is None else one for one in row.values()])
        for name, number in zip(row, numbers, strict=True):
            if name not in values:
                values[name] = array("d", [math.nan] * known)
            values[name].append(number)
        for name in values.keys() - row.keys():
            values[name].append(math.nan)

    def tell(self, event: dict[str, Any]) -> None:
        """Add an event; ValueError if it doesn't say what, or when."""
        steps = event["step"], event.get("last_step", 0)
        if not (isinstance(event["event"], str) and all(map(is_step, steps))):
            raise ValueError(f"no event: {event}")
        self.events.append(event)

    def extend(self, columns: dict[str, np.ndarray]) -> bool:
        """Add many logged steps at once; False, and nothing is added, if they don't follow."""
        steps, known = columns.get("step", np.zeros(0)), len(self)
        before = self.values["step"][-1] if known else -math.inf
        ascend = (np.diff(steps, prepend=before) > 0) & (np.abs(steps) < MOST_STEPS)
        if not len(steps) or not ascend.all():
            return False
        nothing = array("d", [math.nan])
        for name, values in columns.items():
            if name not in self.values:
                self.values[name] = nothing * known
            self.values[name].frombytes(np.ascontiguousarray(values, float).tobytes())
        for name in self.values.keys() - columns.keys():
            self.values[name].extend(nothing * len(steps))
        return True


def is_step(value: object) -> bool:
    """Whether it is the number of a step."""
    return isinstance(value, int | float) and abs(value) < MOST_STEPS


def of_tables(training: Path, signals: Path) -> Course:
    """The course of a training that is over; InputError if a table is damaged.

    Sweeps of older versions have no signals.
    """
    from transience.files.tables import RUN_KEYS, read_metadata, read_table

    frame = read_table(training, "training")
    if signals.is_file():
        told = read_table(signals, "signals").drop(columns=[*RUN_KEYS, "batch_loss"])
        frame = frame.merge(told, on="step", how="left")
    metadata, last = read_metadata(training), int(frame["step"].iloc[-1])
    header = {key: metadata.get(key) for key in RUN_KEYS} | {"last_step": last}
    over = training.stat().st_mtime
    frame["time"] = over - (frame["seconds"].iloc[-1] - frame["seconds"])
    columns = frame.drop(columns=RUN_KEYS)
    values = {name: array("d", columns[name].to_numpy(float)) for name in columns}
    events = [{"event": "finished", "step": last, "time": over}]
    if stopped := metadata.get("stopped"):
        alarm = {"event": "alarm", "step": stopped["step"], "words": stopped["detector"]}
        events = [alarm, *events]
    return Course(header, values, events, {"time": over})
