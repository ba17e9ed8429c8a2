"""PyTorch operations: rounding, and the layout in which they look at the past alone."""

import pytest
import torch

from transience.model import operations
from transience.model.operations import TorchOperations, product, round_to_tf32
from transience.model.transformer import Architecture, tokens

SMALL = Architecture(3, 4, 8, 2, 2, 12, output_projection=False, doubled_residual=False)


def test_tf32_keeps_ten_bits_and_rounds_ties_to_even():
    unit = 2.0**-10
    x = torch.tensor(
        [1.0, 1 + unit, 1 + 0.4 * unit, 1 + 0.5 * unit, 1 + 1.5 * unit, -1 - 0.6 * unit]
    )
    assert round_to_tf32(x).tolist() == [1, 1 + unit, 1, 1, 1 + 2 * unit, -1 - unit]


@pytest.mark.parametrize("native", [True, False])
def test_a_product_in_bfloat16_rounds_the_sums_whoever_makes_it(monkeypatch, native):
    monkeypatch.setattr(operations, "_multiplies_bf16", lambda: native)
    stream = torch.Generator().manual_seed(0)
    left, right = (torch.randn(size, generator=stream).bfloat16() for size in ((7, 96), (96, 33)))
    found = product(left, right)
    assert found.dtype == torch.bfloat16
    exact = left.double() @ right.double()
    nearest = exact.bfloat16()
    assert (found == nearest).double().mean() > 0.99  # but for sums in the middle of two
    assert torch.allclose(found.double(), exact, rtol=2.0**-8, atol=1e-5)
    assert product(left.float(), right.float()).dtype == torch.float32


def test_tokens_are_those_of_the_definition_with_x_tokens_first():
    xs, ys = torch.randn(5, 4, 3), torch.randn(5, 4)
    columns = TorchOperations(SMALL, 5).tokens(xs, ys)  # V (2 K B)
    expected = tokens(xs, ys)  # B 2K V
    in_order = torch.cat([expected[:, 0::2], expected[:, 1::2]], dim=1).permute(2, 1, 0)
    assert torch.equal(columns, in_order.reshape(4, -1))


def test_a_query_sees_no_future():
    """Values after a query may be anything."""
    ops = TorchOperations(SMALL, 2)
    N = 2 * SMALL.num_tokens
    stream = torch.Generator().manual_seed(0)
    q, kv, bias = (torch.randn(*size, generator=stream) for size in ((8, N), (16, N), (24,)))
    before, _ = ops.attention(0, q, kv, bias)
    times = torch.cat([torch.arange(0, 8, 2), torch.arange(1, 8, 2)]).repeat_interleave(2)
    after, _ = ops.attention(0, q, torch.where(times > 3, kv + 5, kv), bias)
    assert torch.equal(before[:, times <= 3], after[:, times <= 3])
    assert (before != after)[:, times > 3].any(dim=0).all()
