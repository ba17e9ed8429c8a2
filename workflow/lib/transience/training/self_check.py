"""A compiled gradient against the definition, before a training trusts it (ours).

A library's fused kernel can be wrong on one device and for one shape, with a loss that is right
(workflow/docs/speed.md has a case, in which the gradients of norms were never written).
"""

import torch

from transience.errors import InputError
from transience.model.transformer import Architecture, sequence_losses, unflatten

# Largest errors of losses or gradient at initial parameters, in units of their norm: some ten
# times what rounding does there, and less than what wrong attention does. Late in a training they
# would not do: rounded weights are other weights, to which a loss may have become sensitive.
LIMITS = {"float32": 1e-3, "tf32": 0.05, "bf16": 0.1}
# The same for each block of parameters, such as the weights of a norm. Rounding does 1e-6, 0.014
# and 0.09 (models of smoke, default and paper, on a CPU); a gradient that was not written does 1,
# unless the block is a small one.
OF_A_BLOCK = {"float32": 1e-2, "tf32": 0.2, "bf16": 0.5}
SMALL = 1e-3  # of the norm of the whole: rounding may be all that a smaller block has
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


def errors_of_blocks(
    found: torch.Tensor, exact: torch.Tensor, architecture: Architecture
) -> dict[str, float]:
    """Relative error of each block of a gradient (P,); of one below ``SMALL``, in its units."""
    least = SMALL * exact.norm()
    blocks = unflatten(found.double(), architecture), unflatten(exact, architecture)
    return {
        name: ((one - other).norm() / torch.maximum(other.norm(), least)).item()
        for (name, one), other in zip(blocks[0].items(), blocks[1].values(), strict=True)
    }


def check(
    found: tuple[torch.Tensor, torch.Tensor],
    exact: tuple[torch.Tensor, torch.Tensor],
    precision: str,
    architecture: Architecture,
) -> None:
    """InputError if losses (B,) or gradient (P,) are further from ``exact`` than rounding takes."""
    whole = dict(zip(("losses", "gradient"), map(relative_error, found, exact), strict=True))
    blocks = errors_of_blocks(found[1], exact[1], architecture)
    of_blocks = {f"gradient of {name}": error for name, error in blocks.items()}
    for errors, limit in ((whole, LIMITS[precision]), (of_blocks, OF_A_BLOCK[precision])):
        for name, error in errors.items():
            if not error <= limit:  # NaN too
                raise InputError(
                    f"the compiled training step has wrong {name}: in {precision} expected a "
                    f"relative error of at most {limit:g}, found {error:.2g}. Another version of "
                    "PyTorch, training.precision or TORCHDYNAMO_DISABLE=1 in the environment may do"
                )
