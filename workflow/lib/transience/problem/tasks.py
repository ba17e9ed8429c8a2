"""Nested task sets and sequences of examples (paper, section 3).

A task is a vector t. In linear regression a sequence has K examples x_k ~ N(0, I_D),
y_k ~ N(t·x_k, σ²); other `families` make theirs of the same draws otherwise. The task distribution
q_M is uniform on the first M tasks of one fixed Gaussian sequence, and q_∞ is the Gaussian
N(0, I_D) itself. The first task of the sequence, t_1, is the root task: it is in every task set.
"""

from __future__ import annotations

import copy
import math
from typing import Any

import torch

from transience.problem.families.family import family_of
from transience.problem.randomness import numpy_generator, stream_key


def task_sequence(seed: int, num_tasks: int, task_dimension: int) -> torch.Tensor:
    """Draw the first M tasks t_1, t_2, … of a seed, shape (M, D).

    A longer sequence starts with the shorter one, so the task sets T_M are nested and adding a
    larger M to a sweep changes nothing. NumPy fills arrays in order; ``torch.randn`` does not.
    """
    draws = numpy_generator(seed, "tasks").standard_normal((num_tasks, task_dimension))
    return torch.from_numpy(draws).to(torch.float32)


def task_set(seed: int, num_tasks: float, task_dimension: int) -> torch.Tensor | None:
    """Return the support T_M of q_M, shape (M, D), or None for q_∞ = N(0, I_D)."""
    if math.isinf(num_tasks):
        return None
    return task_sequence(seed, int(num_tasks), task_dimension)


class SequenceSampler:
    """Draws sequences from q_M, or from q_∞ where ``tasks`` is None.

    Inputs and noise come from streams of their own, so they are the same for every M: models of
    different task diversity see the same inputs and noise with other tasks.
    """

    def __init__(
        self,
        *,
        tasks: torch.Tensor | None,
        num_sequences: int,
        num_examples: int,
        task_dimension: int,
        noise_variance: float,
        family: str = "linear",
        fresh_fraction: float = 0.0,
        device: torch.device | str = "cpu",
    ) -> None:
        """Fix the distribution, by its support T_M (M, D) or None, and the size of a draw.

        With the probability ``fresh_fraction`` a sequence is from q_∞ instead.
        """
        self.tasks = None if tasks is None else tasks.to(device, copy=True)  # they may drift
        self.size, self.task_dimension = (num_sequences, num_examples), task_dimension
        self.noise_deviation, self.device = math.sqrt(noise_variance), device
        self.family = family_of(family)
        self.fresh_fraction = fresh_fraction if tasks is not None else 0.0
        parts = ("inputs", "noise", "tasks", *(("fresh", "new") if self.fresh_fraction else ()))
        self.generators = {part: torch.Generator(device) for part in parts}

    def twin(self) -> SequenceSampler:
        """The same distribution, and tasks where these have wandered, but generators of its own."""
        twin = copy.copy(self)
        twin.generators = {part: torch.Generator(self.device) for part in self.generators}
        return twin

    def seed(self, seed: int, *stream: str | int) -> None:
        """Let the next draw be that of a stream."""
        for part, of_part in self.generators.items():
            of_part.manual_seed(stream_key(seed, *stream, part))

    def draw(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Return xs (B, K, D) and ys (B, K)."""
        inputs, noise = self.generators["inputs"], self.generators["noise"]
        on = {"device": self.device}
        draws = torch.randn(*self.size, self.task_dimension, generator=inputs, **on)  # B K D
        noises = torch.randn(self.size, generator=noise, **on)  # B K
        return self.family.sequences(self._tasks(), draws, noises, self.noise_deviation)

    def _tasks(self) -> torch.Tensor:
        """The task of each sequence (B, D)."""
        on, (B, _) = {"device": self.device}, self.size
        gaussian = {"size": (B, self.task_dimension), **on}
        if self.tasks is None:
            return torch.randn(generator=self.generators["tasks"], **gaussian)
        of_set = torch.randint(len(self.tasks), (B,), generator=self.generators["tasks"], **on)
        if not self.fresh_fraction:
            return self.tasks[of_set]
        fresh = torch.rand(B, 1, generator=self.generators["fresh"], **on) < self.fresh_fraction
        new = torch.randn(generator=self.generators["new"], **gaussian)
        return torch.where(fresh, new, self.tasks[of_set])


def sample_sequences(
    seed: int, *stream: str | int, **distribution: Any
) -> tuple[torch.Tensor, torch.Tensor]:
    """Draw the sequences of a stream, xs (B, K, D) and ys (B, K); see `SequenceSampler`."""
    sampler = SequenceSampler(**distribution)
    sampler.seed(seed, *stream)
    return sampler.draw()
