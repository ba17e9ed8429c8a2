"""Regression on fixed nonlinear features of the input, y = t·φ(x) + noise (ours).

φ has D random Fourier features (Rahimi & Recht 2007), the same for all runs and seeds:
φ_j(x) = √2 cos(ω_j·x + b_j), ω_j ~ N(0, I_D), b_j uniform on [0, 2π). The model sees x, not φ(x),
and has to learn φ first. Ideal predictors know φ: they are those of linear regression on φ(x).
"""

import math
from functools import cache

import torch

from transience.problem.families.family import Family
from transience.problem.families.linear import FAMILY as LINEAR
from transience.problem.families.linear import labels_of
from transience.problem.randomness import numpy_generator


class Features(Family):
    """Labels are linear in φ(x); σ² is the variance of their noise."""

    memorising, general = "dMMSE on features", "ridge on features"

    def sequences(
        self, tasks: torch.Tensor, inputs: torch.Tensor, noise: torch.Tensor, noise_deviation: float
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Inputs as drawn; labels t·φ(x) with noise."""
        return inputs, labels_of(tasks, features(inputs), noise, noise_deviation)

    def weighed_memorising(
        self, xs: torch.Tensor, ys: torch.Tensor, tasks: torch.Tensor, noise_variance: float
    ) -> torch.Tensor:
        """That of linear regression on φ(x)."""
        return LINEAR.weighed_memorising(features(xs), ys, tasks, noise_variance)

    def weighed_general(
        self, xs: torch.Tensor, ys: torch.Tensor, noise_variance: float
    ) -> torch.Tensor:
        """That of linear regression on φ(x)."""
        return LINEAR.weighed_general(features(xs), ys, noise_variance)


FAMILY = Features()


def features(xs: torch.Tensor) -> torch.Tensor:
    """φ(x) of inputs (B, K, D): (B, K, D)."""
    frequencies, phases = (part.to(xs) for part in _fixed(xs.shape[-1]))
    return math.sqrt(2) * torch.cos(xs @ frequencies.T + phases)  # B K D @ D D -> B K D


@cache
def _fixed(dimension: int) -> tuple[torch.Tensor, torch.Tensor]:
    """ω (D, D), a row a feature, and b (D,)."""
    generator = numpy_generator(0, "features")
    frequencies = torch.from_numpy(generator.standard_normal((dimension, dimension)))
    return frequencies, torch.from_numpy(2 * math.pi * generator.random(dimension))
