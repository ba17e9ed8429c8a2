"""Tasks that wander: a stationary Gaussian walk of every task of a set (ours).

In a step at rate r a task t becomes a t + √(1 - a²) ξ, a = exp(-r), ξ ~ N(0, I_D). So tasks are
distributed as N(0, I_D) at all times, and what a task was fades in 1/r steps. The ξ of a step come
from a stream of its own, filled task by task: where a set stands at a step is a function of seed,
rates and step alone, and the sets of different M stay nested.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

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


def drifted(tasks: torch.Tensor, seed: int, drifts: Iterable[Drift], step: int) -> torch.Tensor:
    """Where a task set (M, D) stands after ``step`` optimiser steps."""
    for drift in drifts:
        for at in range(drift.begin, min(drift.end, step)):
            tasks = wander(tasks, seed, at, drift.rate)
    return tasks
