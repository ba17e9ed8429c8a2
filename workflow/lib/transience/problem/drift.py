"""Tasks that wander: a stationary Gaussian walk of every task of a set (ours).

In a step at rate r a task t becomes a t + √(1 - a²) ξ, a = exp(-r), ξ ~ N(0, I_D). So tasks are
distributed as N(0, I_D) at all times, and what a task was fades in 1/r steps. The ξ of a step come
from a stream of its own, filled task by task: where a set stands at a step is a function of seed,
rates and step alone, and the sets of different M stay nested.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

import torch

from transience.problem.randomness import numpy_generator


@dataclass(frozen=True)
class Drift:
    """Steps from ``begin`` up to ``end`` in which tasks wander at a rate per step."""

    begin: int
    end: int
    rate: float


def wander(tasks: torch.Tensor, seed: int, step: int, rate: float) -> torch.Tensor:
    """Tasks (M, D) one optimiser step on, from where they stand after ``step`` steps."""
    noise = numpy_generator(seed, "drift", step).standard_normal(tuple(tasks.shape))
    kept = math.exp(-rate)
    return kept * tasks + math.sqrt(-math.expm1(-2 * rate)) * torch.from_numpy(noise).to(tasks)


def drifted(
    tasks: torch.Tensor, seed: int, drifts: Iterable[Drift], step: int, *, start: int = 0
) -> torch.Tensor:
    """Where a task set (M, D) stands after ``step`` optimiser steps, if so after ``start``."""
    for drift in drifts:
        for at in range(max(drift.begin, start), min(drift.end, step)):
            tasks = wander(tasks, seed, at, drift.rate)
    return tasks


def last_move(drifts: Iterable[Drift], step: int) -> int:
    """The number of optimiser steps, up to ``step``, after which tasks moved last; 0 if never."""
    return max((min(drift.end, step) for drift in drifts if drift.begin < step), default=0)


def until(drifts: Iterable[Drift], step: int) -> tuple[Drift, ...]:
    """What there is of some drifts before a step."""
    return tuple(replace(one, end=min(one.end, step)) for one in drifts if one.begin < step)


class Walk:
    """A task set that is asked for at one step after another, and goes on from where it stands."""

    def __init__(self, tasks: torch.Tensor, seed: int, drifts: Iterable[Drift]) -> None:
        """Begin with the tasks (M, D) at step 0."""
        self.start, self.seed, self.drifts = tasks, seed, tuple(drifts)
        self.step, self.tasks = 0, tasks

    def at(self, step: int) -> torch.Tensor:
        """Where it stands after ``step`` optimiser steps, a copy (M, D)."""
        if step < self.step:
            self.step, self.tasks = 0, self.start
        self.tasks = drifted(self.tasks, self.seed, self.drifts, step, start=self.step)
        self.step = step
        return self.tasks.clone()
