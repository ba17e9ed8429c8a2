"""Where a training ends: at its last step, or at an alarm, with or without a cooldown (ours)."""

from __future__ import annotations

import math

from transience.training.detectors import Alarm
from transience.training.settings import StopSettings
from transience.training.state import LOG_COLUMNS, TrainingState


class Ending:
    """Follows the log of a training; what it decides depends on logged numbers alone."""

    def __init__(self, settings: StopSettings, start: int, stop: int, state: TrainingState) -> None:
        """Take in the log of a state so far, of a branch from the step ``start`` on."""
        threshold = math.inf if settings.threshold is None else settings.threshold
        self.alarm = Alarm(settings.detector, threshold) if settings.detector else None
        self.cooldown, self.start, self.stop = settings.cooldown_steps or 0, start, stop
        self.state, state.alarm, state.stop = state, None, stop
        for row in state.log:
            self._see(row)

    def logs(self, step: int, every: int) -> bool:
        """Whether a step is logged: every so many, the first, and the last."""
        return step % every == 0 or step in (1, self.stop)

    def log(self, row: tuple[float, ...]) -> None:
        """Add a row to the log of the training, and end it if the row raises the alarm."""
        self.state.log.append(row)
        self._see(row)

    def _see(self, row: tuple[float, ...]) -> None:
        named = dict(zip(LOG_COLUMNS, row, strict=True))
        step = int(named["step"])
        if self.alarm is None or self.state.alarm is not None or step <= self.start:
            return
        if self.alarm.see(named):
            self.stop = min(self.stop, step + self.cooldown)
            self.state.alarm, self.state.stop = step, self.stop

    def factor(self, step: int) -> float:
        """Of the learning rate of the optimiser step after ``step`` steps: linearly to 0."""
        alarm = self.state.alarm
        if alarm is None or step < alarm:
            return 1.0
        return 1 - (step - alarm) / (self.stop - alarm)
