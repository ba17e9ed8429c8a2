"""A compiled gradient against the definition, before a training trusts it (ours).

A library's fused kernel can be wrong on one device and for one shape, with a loss that is right
(workflow/docs/speed.md has a case). One batch tells what moves the whole: in bf16 rounding hides a
small block of parameters whose gradient is wrong.
"""

import torch

from transience.errors import InputError
from transience.model.transformer import Architecture, sequence_losses, unflatten

# Largest errors of losses or gradient at initial parameters, in units of their norm: some ten
# times what rounding does there, and less than what wrong attention does. Late in a training they
# would not do: rounded weights are other weights, to which a loss may have become sensitive.
LIMITS = {"float32": 1e-3, "tf32": 0.05, "bf16": 0.1}
PIECE = 128  # sequences whose gradient in float64 takes little memory


def in_float64(
    architecture: Architecture, vector: torch.Tensor, xs: torch.Tensor, ys: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Losses (B,) and gradient (P,) of their mean, by autograd of the readable transformer."""
    losses, total = [], torch.zeros_like(vector, dtype=torch.float64)
    for x, y in zip(xs.double().split(PIECE), ys.double().split(PIECE), strict=True):
        leaf = vector.detach().double().requires_grad_()
        of_piece = sequence_losses(unflatten(leaf, architecture), x, y, architecture)
        total += torch.autograd.grad(of_piece.sum(), leaf)[0]
        losses.append(of_piece.detach())
    return torch.cat(losses), total / len(xs)


def relative_error(found: torch.Tensor, exact: torch.Tensor) -> float:
    """Norm of the difference, in units of the norm of ``exact``; NaN if there is one in either."""
    return ((found.double() - exact).norm() / exact.norm()).item()


def check(
    found: tuple[torch.Tensor, torch.Tensor],
    exact: tuple[torch.Tensor, torch.Tensor],
    precision: str,
) -> None:
    """InputError if losses (B,) or gradient (P,) are further from ``exact`` than rounding takes."""
    limit = LIMITS[precision]
    for name, one, other in zip(("losses", "gradient"), found, exact, strict=True):
        error = relative_error(one, other)
        if not error <= limit:  # NaN too
            raise InputError(
                f"the compiled training step has wrong {name}: in {precision} expected a relative "
                f"error of at most {limit:g}, found {error:.2g}. Another version of PyTorch, "
                "training.precision or TORCHDYNAMO_DISABLE=1 in the environment may do"
            )
