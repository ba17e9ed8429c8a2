"""The spectrum of a loss's Hessian, seen by Lanczos iteration through products with directions.

The Hessian is never formed. m products take a start z to m Ritz values and vectors: the stiffest
directions, nearly exact, and a quadrature of the whole spectrum (`quadrature`). A model may bring
its products (`model.hessian`); `hessian_product` gets those of any loss by autograd.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import torch

from transience.complexity.sgld import Batch, Losses
from transience.errors import InputError

# direction (P,) -> Hessian of the mean loss at w* times it (P,)
HessianProduct: TypeAlias = Callable[[torch.Tensor], torch.Tensor]

# Norm of a new Lanczos vector, over the largest Ritz value so far, below which the directions seen
# hold all that there is: what is left is rounding.
BREAKDOWN = 1e-6


def hessian_product(
    losses_of: Losses, vector: torch.Tensor, data: Batch, *, chunk: int = 64
) -> HessianProduct:
    """Products with the Hessian of a mean loss at w (P,), by differentiating its gradient.

    ``losses_of`` takes (w, *batch) to per-sample losses and is differentiated twice, ``chunk``
    samples at a time, which bounds its memory.
    """
    count = len(data[0])

    def product(direction: torch.Tensor) -> torch.Tensor:
        total = torch.zeros_like(vector)
        for batch in zip(*(tensor.split(chunk) for tensor in data), strict=True):
            leaf = vector.detach().requires_grad_()
            loss = losses_of(leaf, *batch).sum() / count
            (gradient,) = torch.autograd.grad(loss, leaf, create_graph=True)
            if gradient.requires_grad:  # else the loss is linear
                total += torch.autograd.grad(gradient, leaf, direction)[0]
        return total

    return product


@dataclass(frozen=True)
class Spectrum:
    """What m Lanczos steps from a start z tell of a Hessian; values ascend."""

    values: torch.Tensor  # Ritz values, float64 (m,)
    weights: torch.Tensor  # squared parts of z / |z| along the Ritz vectors, float64 (m,)
    vectors: torch.Tensor  # Ritz vectors, orthonormal rows (m, P)

    @property
    def largest(self) -> float:
        """The largest curvature, from below."""
        return self.values[-1].item()


def lanczos(product: HessianProduct, start: torch.Tensor, num_steps: int) -> Spectrum:
    """Take m Lanczos steps from z (P,), each new vector made orthogonal to all before it.

    Fewer, if the space that z spans is exhausted earlier. InputError if a product is not finite.
    """
    num_steps = min(num_steps, len(start))
    basis = torch.zeros(num_steps, len(start), dtype=start.dtype, device=start.device)  # m P
    tridiagonal = torch.zeros(num_steps, num_steps, dtype=torch.float64)
    vector, taken, scale = start / start.norm(), 0, 0.0
    for step in range(num_steps):
        basis[step], taken = vector, step + 1
        image = product(vector)
        if not image.isfinite().all():
            raise InputError("parameters: expected a finite Hessian of the loss, found it not")
        tridiagonal[step, step] = image.double() @ vector.double()
        for _ in range(2):  # once leaves rounding errors that grow
            image = image - (basis[:taken] @ image) @ basis[:taken]  # m P @ P -> m @ m P -> P
        norm = image.double().norm().item()
        scale = max(scale, abs(tridiagonal[step, step].item()), norm)
        if taken == num_steps or norm <= BREAKDOWN * scale:
            break
        tridiagonal[step, taken] = tridiagonal[taken, step] = norm
        vector = image / norm
    values, vectors = torch.linalg.eigh(tridiagonal[:taken, :taken])
    ritz = vectors.T.to(basis) @ basis[:taken]  # m m @ m P -> m P
    return Spectrum(values, vectors[0].square(), ritz)
