"""What a run has used by a step: sequences, and learning rate summed over steps."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd


@dataclass(frozen=True)
class Course:
    """By the rows of a run in table `training`, linear between them."""

    steps: np.ndarray
    used: dict[str, np.ndarray]  # `sequences`, `rate_time` and `seconds` at these steps

    @classmethod
    def of(cls, training: pd.DataFrame) -> Course:
        """The course of one run; ``rate_time`` is the integral of the learning rate over steps."""
        rows = training.sort_values("step")
        steps = np.concatenate([[0.0], rows["step"].to_numpy(float)])
        rates = rows["learning_rate"].to_numpy(float)
        rates = np.concatenate([rates[:1], rates])
        integral = np.cumsum(np.diff(steps) * (rates[1:] + rates[:-1]) / 2)
        used = {name: rows[name].to_numpy(float) for name in ("sequences", "seconds")}
        used |= {"rate_time": integral}
        return cls(steps, {name: np.concatenate([[0.0], of]) for name, of in used.items()})

    def at(self, step: float, name: str) -> float:
        """What was used by a step; a step that is not finite stays what it is."""
        return float(np.interp(step, self.steps, self.used[name])) if np.isfinite(step) else step
