"""Attention by kernels, forward and back, gives what PyTorch's gives in float64."""

import pytest
import torch

from transience.model.kernels.attention import slots
from transience.model.kernels.operations import KernelOperations
from transience.model.operations import TorchOperations
from transience.model.transformer import Architecture

B = 32


@pytest.mark.parametrize("all_query", [True, False], ids=["all", "x-tokens"])
@pytest.mark.parametrize("scale", [1.0, 10.0], ids=["flat", "sharp"])
@pytest.mark.parametrize(("num_examples", "depth"), [(1, 1), (4, 5), (7, 8)])
def test_attention(num_examples: int, depth: int, scale: float, all_query: bool):
    C = 3 * depth
    shape = Architecture(
        3, num_examples, C, 2, 3, 8, output_projection=True, doubled_residual=False
    )
    kernels, exact = KernelOperations(shape, B), TorchOperations(shape, B)
    N = 2 * num_examples * B
    n = N if all_query else N // 2
    stream = torch.Generator().manual_seed(0)
    q, kv, dmixed, bias = (
        torch.randn(*size, generator=stream).double()
        for size in ((C, n), (2 * C, N), (C, n), (3 * C,))
    )
    q *= scale
    expected, saved = exact.attention(0, q, kv, bias)
    expected_dbias = torch.zeros(3 * C).double()
    expected = expected, *exact.attention_backward(dmixed, saved, expected_dbias)

    placed = [
        kernels._matrix(name, *values.shape).copy_(values)
        for name, values in (("queries", q), ("keys and values", kv), ("gradient", dmixed))
    ]
    mixed, saved = kernels.attention(0, *placed[:2], bias.float())
    dbias = torch.zeros(3 * C)
    found = mixed, *kernels.attention_backward(placed[2], saved, dbias)
    for one, other in zip((*found, dbias), (*expected, expected_dbias), strict=True):
        error = (one.double() - other).abs().max() / other.abs().max().clamp_min(1e-6)
        assert error < 3e-6 * scale


def test_weights_come_in_fours():
    assert [slots(tokens) for tokens in (2, 4, 6, 8)] == [4, 4, 8, 8]
