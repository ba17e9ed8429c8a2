"""A frozen preconditioner of SGLD: stiff directions go at the pace of the others (ours).

Plain SGLD takes as many steps as the stiffest direction is stiffer than the flattest: ε is bounded
by the one and the other relaxes in 2/(εγ) draws. Let u_i be the Ritz vectors of the Hessian with
curvature θ_i above a = `STIFF` h*, h* = γ/nβ. With

    A = I + Σ_i (α_i - 1) u_i u_iᵀ,        α_i = (a + h*) / (θ_i + h*),

drift times A and noise times A^½ sample the same posterior for every A that is symmetric and
positive (Roberts & Stramer 2002), and all directions relax within `STIFF` + 1 of each other. The
u_i need not be exact: what curvature they leave is measured (`measure_curvature`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import torch

from transience.complexity.curvature import HessianProduct, Spectrum, lanczos
from transience.complexity.settings import Scales

STIFF = 5.0  # curvature in units of h* from which a direction is slowed down
MEASURE_STEPS = 8  # Lanczos steps to the largest remaining curvature: 3 % short of it at most, here


@dataclass(frozen=True)
class Preconditioner:
    """A, by the directions that it changes; without any it is the identity."""

    directions: torch.Tensor  # u_i, orthonormal rows (k, P)
    curvatures: torch.Tensor  # θ_i (k,)
    pace: float  # a: curvature whose pace the directions are slowed down to
    h_star: float

    @classmethod
    def of(cls, spectrum: Spectrum, h_star: float) -> Preconditioner:
        """Slow down the directions of a spectrum that are stiffer than `STIFF` h*."""
        pace = STIFF * h_star
        stiff = spectrum.values > pace
        directions = spectrum.vectors[stiff.to(spectrum.vectors.device)]
        return cls(directions, spectrum.values[stiff].to(directions), pace, h_star)

    @cached_property
    def factors(self) -> torch.Tensor:
        """α_i (k,), in (0, 1)."""
        return (self.pace + self.h_star) / (self.curvatures + self.h_star)

    def power(self, x: torch.Tensor, exponent: float) -> torch.Tensor:
        """A to a power, times x (…, P)."""
        parts = x @ self.directions.T  # … P @ P k -> … k
        return x + (parts * (self.factors**exponent - 1)) @ self.directions  # … k @ k P -> … P

    def move(self, drift: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        """A drift + A^½ noise (…, P), in one pass over the directions less than one by one."""
        parts = (drift @ self.directions.T) * (self.factors - 1)
        parts += (noise @ self.directions.T) * (self.factors.sqrt() - 1)
        return drift + noise + parts @ self.directions

    def start(self, anchor: torch.Tensor, normal: torch.Tensor, scales: Scales) -> torch.Tensor:
        """A state to begin a chain from, near to its stationary distribution, w* + … (…, P).

        Along u_i its variance is that of the quadratic posterior, 1/(nβ θ_i + γ). The other
        directions have curvatures from 0 to a: theirs is in the middle (geometrically), at most
        a factor √(`STIFF` + 1) off.
        """
        others = 1 / math.sqrt(scales.gamma * (scales.nbeta * self.pace + scales.gamma))  # variance
        along = torch.rsqrt(scales.nbeta * self.curvatures + scales.gamma) - math.sqrt(others)
        parts = (normal @ self.directions.T) * along
        return anchor + math.sqrt(others) * normal + parts @ self.directions


@dataclass(frozen=True)
class Curvature:
    """What was measured of the curvature at a w*, and the preconditioner made from it."""

    largest: float  # largest eigenvalue of the Hessian H
    remaining: float  # largest eigenvalue of A^½ H A^½
    preconditioner: Preconditioner | None  # A, or None where SGLD runs plain


def measure_curvature(
    product: HessianProduct, spectrum: Spectrum, direction: torch.Tensor, scales: Scales
) -> Curvature:
    """Make the preconditioner for h* = γ/nβ from a spectrum, and measure what it leaves.

    ``direction`` is a random one (P,), from which `MEASURE_STEPS` more products are taken. Without
    a pull (γ = 0) there is no preconditioner.
    """
    if scales.gamma == 0:
        return Curvature(spectrum.largest, spectrum.largest, None)
    preconditioner = Preconditioner.of(spectrum, scales.gamma / scales.nbeta)

    def preconditioned(vector: torch.Tensor) -> torch.Tensor:
        return preconditioner.power(product(preconditioner.power(vector, 0.5)), 0.5)

    remaining = lanczos(preconditioned, direction, MEASURE_STEPS).largest
    largest = max(spectrum.largest, remaining)  # both from below, and none is left above it
    return Curvature(largest, remaining, preconditioner)
