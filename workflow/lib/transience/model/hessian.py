"""Products with the Hessian of the transformer's loss, from its fast gradient (ours)."""

from collections.abc import Callable
from typing import Any, Protocol

import torch

# Of the two gradients from w, along a direction of length 1; in units of weight. Rounding spoils
# shorter differences and third derivatives longer ones: 1e-4 of the product at 0.02 to 0.05.
DISPLACEMENT = 0.03


class Gated(Protocol):
    """What is needed of `loss_and_gradient.LossAndGradient`."""

    def __call__(
        self, vector: torch.Tensor, xs: torch.Tensor, ys: torch.Tensor, gates: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Losses, and the gradient (P,) of their mean, with every ReLU as the gates have it."""

    def gates(self, vector: torch.Tensor, xs: torch.Tensor, ys: torch.Tensor) -> Any:
        """Which ReLUs are open at w (P,)."""


def hessian_product(
    model: Gated, vector: torch.Tensor, xs: torch.Tensor, ys: torch.Tensor
) -> Callable[[torch.Tensor], torch.Tensor]:
    """Products of directions (P,) with the Hessian of the mean loss at w (P,).

    A central difference of the gradient, with every ReLU held open or shut as it is at w: kinks
    between the two points would drown it. That is the Hessian that autograd finds, for two
    gradients a product where autograd takes several times as long.
    """
    gates = model.gates(vector, xs, ys)

    def product(direction: torch.Tensor) -> torch.Tensor:
        length = direction.norm()
        step = direction * (DISPLACEMENT / length)
        ahead, behind = (model(vector + sign * step, xs, ys, gates)[1] for sign in (1, -1))
        return (ahead - behind) * (length / (2 * DISPLACEMENT))

    return product
