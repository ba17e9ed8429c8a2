"""Symmetric matrices with known eigenvalues, as Hessians of quadratic losses."""

from collections.abc import Sequence

import torch

from transience.complexity.curvature import HessianProduct
from transience.problem.randomness import generator


def rotation(size: int, seed: int = 0) -> torch.Tensor:
    """Orthonormal columns (P, P), float64."""
    return torch.linalg.qr(normal(size, size, seed=seed)).Q


def symmetric(values: Sequence[float], seed: int = 0) -> torch.Tensor:
    """A matrix (P, P) with these eigenvalues, along the columns of `rotation`."""
    columns = rotation(len(values), seed)
    return columns @ torch.diag(torch.tensor(values, dtype=torch.float64)) @ columns.T


def normal(*size: int, seed: int = 0) -> torch.Tensor:
    """Standard normal numbers, float64."""
    return torch.randn(size, generator=generator(seed, "matrices"), dtype=torch.float64)


def signs(*size: int, seed: int = 0) -> torch.Tensor:
    """±1, float64."""
    return normal(*size, seed=seed).sign()


def product_with(matrix: torch.Tensor) -> HessianProduct:
    """Products with a matrix."""
    return lambda vector: matrix @ vector
