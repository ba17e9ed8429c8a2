"""The stiffest curvature of a loss: the largest eigenvalue of its Hessian, by Lanczos iteration.

The Hessian is never formed: each iteration takes its product with one direction, by
differentiating the gradient again.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from scipy.sparse.linalg import LinearOperator, eigsh

from transience.errors import InputError
from transience.problem.randomness import numpy_generator

TOLERANCE = 1e-3  # relative error of the eigenvalue; a step size needs no more digits
BASIS = 10  # Lanczos vectors: enough here, where the largest eigenvalue stands apart


class Curvature(NamedTuple):
    """The largest eigenvalue of a Hessian, and what it took to find it."""

    largest: float  # in units of the loss / squared units of weight
    residual: float  # |H v - h v| / |h| at the eigenvector v found
    products: int  # Hessian-vector products


def largest_curvature(
    mean_loss: Callable[[torch.Tensor], torch.Tensor], vector: torch.Tensor
) -> Curvature:
    """Largest (most positive) eigenvalue of the Hessian of a loss at w (P,), P ≥ 2.

    ``mean_loss`` takes w to a scalar and is differentiated twice; its graph is kept throughout, so
    memory grows with the samples behind it. Lanczos iteration is ARPACK's (scipy's `eigsh`) in
    float64, the products are in the precision of w. InputError if they are not finite.
    """
    leaf = vector.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(mean_loss(leaf), leaf, create_graph=True)
    products = 0

    def product(direction: np.ndarray) -> np.ndarray:
        nonlocal products
        products += 1
        along = torch.from_numpy(direction.ravel()).to(leaf)
        (result,) = torch.autograd.grad(gradient, leaf, along, retain_graph=True)
        found = result.double().cpu().numpy()
        if not np.isfinite(found).all():
            raise InputError("parameters: expected a finite Hessian of the loss, found it not")
        return found

    size = len(vector)
    hessian = LinearOperator((size, size), matvec=product, dtype=np.float64)
    start = numpy_generator(0, "lanczos").standard_normal(size)
    values, vectors = eigsh(hessian, k=1, which="LA", v0=start, tol=TOLERANCE, ncv=min(size, BASIS))
    found, direction = float(values[0]), vectors[:, 0]
    residual = float(np.linalg.norm(product(direction) - found * direction))
    return Curvature(found, residual / abs(found) if found else residual, products)
