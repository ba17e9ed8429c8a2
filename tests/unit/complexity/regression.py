"""Linear regression in float64, whose LLC is known, and settings to estimate it with."""

from typing import Any

import numpy as np
import torch

from transience.complexity.settings import SamplerSettings
from transience.problem.randomness import generator

ONE_SAMPLE = (torch.zeros(1, dtype=torch.float64),)  # for losses that look at no data


def sampler(**changes: Any) -> SamplerSettings:
    """Settings of an estimate that takes a moment, or others."""
    few = {"num_chains": 3, "num_draws": 40, "num_burn_in": 10, "batch_size": 16}
    scales = {"step_size": 1e-3, "nbeta": 50.0, "gamma": 10.0}
    return SamplerSettings(**scales | few | changes)


def regression(num_samples: int = 512, dimension: int = 5) -> tuple[dict, tuple, np.ndarray]:
    """A problem at its least-squares solution: parameters, data, curvatures."""
    stream = generator(0, "regression")
    xs = torch.randn(num_samples, dimension, generator=stream, dtype=torch.float64)
    ys = xs.sum(dim=1) + torch.randn(num_samples, generator=stream, dtype=torch.float64)
    w = torch.linalg.lstsq(xs, ys[:, None]).solution
    curvatures = torch.linalg.eigvalsh(2 * xs.T @ xs / num_samples)
    return {"weight": w}, (xs, ys), curvatures.numpy()


def squared_error(parameters: dict, xs: torch.Tensor, ys: torch.Tensor) -> torch.Tensor:
    """Per-sample loss (B,)."""
    return ((xs @ parameters["weight"])[:, 0] - ys).square()
