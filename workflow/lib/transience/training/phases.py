"""Phases of a training: at which steps what is otherwise, the learning rate, and what is kept.

Nothing here imports torch: Snakemake checks phases before any job.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from transience.settings import in_steps
from transience.training.schedule import schedule
from transience.training.settings import CheckpointSettings, PhaseSettings, TrainingSettings

PLAIN = PhaseSettings()


@dataclass(frozen=True)
class Segment:
    """Steps from ``begin`` up to ``end`` that are done alike, but for a factor of the rate."""

    begin: int
    end: int
    phase: PhaseSettings = PLAIN
    first_factor: float = 1.0  # of the learning rate, before the segment,
    last_factor: float = 1.0  # and after it

    def factor(self, step: int) -> float:
        """By what the learning rate of the optimiser step after ``step`` steps is multiplied."""
        if self.phase.learning_rate_course == "constant":
            return self.last_factor
        part = (step - self.begin) / (self.end - self.begin)
        if self.phase.learning_rate_course == "cosine":
            part = (1 - math.cos(math.pi * part)) / 2
        return self.first_factor + (self.last_factor - self.first_factor) * part


def bounds(phases: Sequence[PhaseSettings], start: int, stop: int) -> list[tuple[int, int]]:
    """First step of each phase, and the step at which it is over, of a training from ``start``."""
    begins = [start + in_steps(phase.begin, stop - start) for phase in phases]
    following = [*begins[1:], stop][: len(begins)]
    return [
        (begin, nearest if phase.end is None else start + in_steps(phase.end, stop - start))
        for phase, begin, nearest in zip(phases, begins, following, strict=True)
    ]


def segments(phases: Sequence[PhaseSettings], start: int, stop: int) -> list[Segment]:
    """All of a training from ``start`` to ``stop``: its phases, and plain segments between them.

    What lies behind ``stop`` is cut off. A rate that is led to a factor comes from that of the
    phase just before, or from 1.
    """
    found, at, factor = [], start, 1.0
    for phase, (begin, end) in zip(phases, bounds(phases, start, stop), strict=True):
        if begin > at:
            found.append(Segment(at, begin))
            factor = 1.0
        found.append(Segment(begin, end, phase, factor, phase.learning_rate_factor))
        at, factor = end, phase.learning_rate_factor
    found.append(Segment(at, stop))
    return [one for one in found if one.begin < min(one.end, stop)]


def learning_rate(step: int, settings: TrainingSettings, segment: Segment) -> float:
    """Rate of the optimiser step after ``step`` steps: linear warm-up, times the phase's factor."""
    warm_up = min(1.0, (step + 1) / max(settings.warmup_steps, 1))
    return settings.learning_rate * warm_up * segment.factor(step)


def kept_steps(
    training: TrainingSettings,
    checkpoints: CheckpointSettings,
    *,
    start: int = 0,
    before: Iterable[int] = (),
) -> tuple[list[int], list[int]]:
    """Steps of a run's checkpoints, and those at which its optimiser's state is kept; ascending.

    A branch that leaves another run after ``start`` steps has that one's checkpoints ``before``.
    """
    stop = training.last_step(start)
    scheduled = schedule(
        stop,
        linear_every=checkpoints.linear_every,
        logarithmic_count=checkpoints.logarithmic_count,
    )
    begins = {one.begin for one in segments(training.phases, start, stop)}
    steps = {start, *begins, *(step for step in scheduled if step >= start)}
    states = {in_steps(step, training.num_steps) for step in checkpoints.states if step != "all"}
    states = {step for step in states if start <= step <= stop}
    kept = steps | states if "all" in checkpoints.states else states
    return sorted({*before} | steps | states), sorted(kept)
