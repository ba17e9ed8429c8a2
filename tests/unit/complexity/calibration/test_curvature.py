"""The stiffest curvature, of a quadratic and of a transformer."""

import math

import pytest
import torch
from small import small_run

from transience.complexity.calibration.curvature import TOLERANCE, largest_curvature
from transience.errors import InputError
from transience.model.transformer import initial_parameters, sequence_losses, unflatten


@pytest.mark.parametrize("size", [2, 40])
def test_the_largest_curvature_of_a_quadratic(size: int) -> None:
    """Most positive, not largest in size."""
    rotation = torch.linalg.qr(torch.randn(size, size, dtype=torch.float64)).Q
    values = torch.linspace(-9.0, 7.0, size, dtype=torch.float64)
    hessian = rotation @ torch.diag(values) @ rotation.T
    found = largest_curvature(lambda w: w @ hessian @ w / 2, torch.ones(size, dtype=torch.float64))
    assert found.largest == pytest.approx(7.0, rel=TOLERANCE)
    assert found.residual < 0.05


def test_the_largest_curvature_of_a_transformer_is_that_of_its_dense_hessian() -> None:
    run = small_run(math.inf, width=4, mlp_width=4)
    xs, ys = run.sequences("test", num_sequences=32)
    vector = initial_parameters(run.architecture, seed=0)

    def mean_loss(w: torch.Tensor) -> torch.Tensor:
        return sequence_losses(unflatten(w, run.architecture), xs, ys, run.architecture).mean()

    dense = torch.autograd.functional.hessian(mean_loss, vector, vectorize=True)
    found = largest_curvature(mean_loss, vector)
    assert found.largest == pytest.approx(torch.linalg.eigvalsh(dense)[-1].item(), rel=TOLERANCE)
    assert found.products < len(vector) / 3


def test_a_hessian_that_is_not_finite_is_refused() -> None:
    with pytest.raises(InputError, match="expected a finite Hessian"):
        largest_curvature(lambda w: w.sqrt().sum(), torch.zeros(3))
