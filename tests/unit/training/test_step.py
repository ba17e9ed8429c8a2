"""What a step computes in each precision; the step as a GPU runs it is in test_cuda_graph."""

import pytest
import torch
from small import small_run

from transience.model.transformer import initial_parameters
from transience.training.step import loss_and_gradient

ARCHITECTURE, CPU = small_run().architecture, torch.device("cpu")


@pytest.mark.parametrize("precision", ["float32", "tf32", "bf16"])
def test_every_precision_computes_nearly_the_same_gradient(precision):
    vector = initial_parameters(ARCHITECTURE, 0)
    xs, ys = torch.randn(16, 3, 2), torch.randn(16, 3)
    exact = loss_and_gradient(ARCHITECTURE, "float32", CPU)(vector, xs, ys)
    found = loss_and_gradient(ARCHITECTURE, precision, CPU)(vector, xs, ys)
    for a, b in zip(found, exact, strict=True):
        assert a.dtype == torch.float32
        assert (a - b).norm() <= 0.05 * b.norm()
