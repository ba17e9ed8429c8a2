"""What a family of problems is: how a task makes sequences, and both ideal predictors (ours).

A task is a vector of D numbers, from N(0, I_D) or from the task set T_M. Ideal predictors are the
posterior means of a label under either prior, given the examples before and its own input: the
memorising one under Uniform(T_M), the general one under N(0, I_D).
"""

from abc import ABC, abstractmethod
from importlib import import_module

import torch


class Family(ABC):
    """A kind of problem. Tensors of predictors are float64; xs are (B, K, D), ys (B, K)."""

    memorising: str  # what its ideal predictors are called
    general: str

    @abstractmethod
    def sequences(
        self, tasks: torch.Tensor, inputs: torch.Tensor, noise: torch.Tensor, noise_deviation: float
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Make sequences xs, ys of tasks (B, D) from normal draws: inputs (B, K, D), noise (B, K).

        ``noise_deviation`` is σ. The draws may be changed.
        """

    @abstractmethod
    def weighed_memorising(
        self, xs: torch.Tensor, ys: torch.Tensor, tasks: torch.Tensor, noise_variance: float
    ) -> torch.Tensor:
        """Predictions of the memorising predictor for tasks (M, D), and log evidence: (2, B, K).

        The evidence of Uniform(T_M) is that of all that a prediction knows, but for a factor that
        is the same under both priors.
        """

    @abstractmethod
    def weighed_general(
        self, xs: torch.Tensor, ys: torch.Tensor, noise_variance: float
    ) -> torch.Tensor:
        """Predictions of the general predictor, and the log evidence of N(0, I_D): (2, B, K)."""

    def memorised(
        self, xs: torch.Tensor, ys: torch.Tensor, tasks: torch.Tensor, noise_variance: float
    ) -> torch.Tensor:
        """Predictions (B, K) of the memorising predictor alone."""
        return self.weighed_memorising(xs, ys, tasks, noise_variance)[0]

    def generalised(
        self, xs: torch.Tensor, ys: torch.Tensor, noise_variance: float
    ) -> torch.Tensor:
        """Predictions (B, K) of the general predictor alone."""
        return self.weighed_general(xs, ys, noise_variance)[0]


def family_of(name: str) -> Family:
    """The family of a name, as `task.family` has it."""
    return import_module(f"transience.problem.families.{name}").FAMILY


def sum_before(values: torch.Tensor) -> torch.Tensor:
    """Sum over the positions before each: (B, K, …) -> (B, K, …), 0 at the first."""
    sums = torch.zeros_like(values)
    torch.cumsum(values[:, :-1], dim=1, out=sums[:, 1:])
    return sums
