"""Alarms that a model is about to leave the general solution, from what a training logs (ours).

A detector looks at the rows of the log one by one. Each gives a number, and a one-sided CUSUM
(Page 1954) sums by how much numbers are above a slack: S = max(0, S + number - slack). The alarm is
at the first row at which S is above a threshold. Rows in which the learning rate still rises, and
rows without a number, leave S as it is. Numbers:

- `below_ridge`, which has to know the tasks of training: 1 - batch loss / that of ridge on the same
  batch. Ridge knows no tasks, so a model that stays below it has learnt those it is trained on.
- `projection`, which has to know them too: the place of the model on the line from ridge (0) to
  dMMSE_M (1), on the batch. It counts once the batch loss is near that of ridge, or below: before,
  a model is far off that line.
- `calm_gradient`, which needs no other predictor: the variance of the gradient over the batch loss,
  as the log of the largest so far over that of the row. It falls as a model fits few tasks.
- `small_gradient`: the same of the gradient's norm.

Slacks and thresholds are for rows of `training.log_every` = 100 steps.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

NEAR = 1.5  # batch loss over that of ridge from which on a projection counts (ours)


def _projection(row: Mapping[str, float]) -> float:
    near = row["batch_loss"] <= NEAR * row["ridge_loss"]
    return row["projection"] if near else math.nan


@dataclass(frozen=True)
class Detector:
    """Which number it sums up, and what it has to know besides the training: `tasks` or nothing."""

    value: Callable[[Mapping[str, float]], float]
    slack: float
    knows: str = "nothing"
    falls: bool = False  # the number is by how much the value has fallen, as a logarithm


DETECTORS = {
    "below_ridge": Detector(lambda row: 1 - row["batch_loss"] / row["ridge_loss"], 0.0, "tasks"),
    "projection": Detector(_projection, 0.3, "tasks"),
    "calm_gradient": Detector(
        lambda row: row["gradient_variance"] / row["batch_loss"], math.log(4), falls=True
    ),
    "small_gradient": Detector(lambda row: row["gradient_norm"], math.log(4), falls=True),
}


class Alarm:
    """A detector at work."""

    def __init__(self, detector: str, threshold: float = math.inf) -> None:
        """Begin before the first row; without a threshold it only sums."""
        self.detector, self.threshold = DETECTORS[detector], threshold
        self.rate, self.largest, self.sum = 0.0, 0.0, 0.0
        self.number = math.nan  # of the last row

    def see(self, row: Mapping[str, float]) -> bool:
        """Take a row of the log in, its columns by name; whether the sum is above the threshold."""
        rises, self.rate = row["learning_rate"] > self.rate, row["learning_rate"]
        self.number = math.nan if rises else self._number(self.detector.value(row))
        if math.isfinite(self.number):
            self.sum = max(0.0, self.sum + self.number - self.detector.slack)
        return self.sum > self.threshold

    def _number(self, value: float) -> float:
        if not self.detector.falls:
            return value
        if not value > 0:
            return math.nan
        self.largest = max(self.largest, value)
        return math.log(self.largest / value)
