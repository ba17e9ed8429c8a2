"""Folding is an exact identity, and unfolding is its derivative."""

import math
from dataclasses import replace

import pytest
import torch

from transience.model.folding import fold, gradient_buffers, unfold
from transience.model.operations import TorchOperations
from transience.model.transformer import (
    LAYER_NORM_EPS,
    Architecture,
    initial_parameters,
    num_parameters,
    unflatten,
)

SMALL = Architecture(3, 4, 8, 2, 2, 12, output_projection=True, doubled_residual=False)
P = num_parameters(SMALL)


def point() -> torch.Tensor:
    """Parameters with every entry away from 0 and 1."""
    noise = torch.randn(P, generator=torch.Generator().manual_seed(0))
    return (initial_parameters(SMALL, 0) + 0.1 * noise).double()


@pytest.mark.parametrize(
    ("norm", "weight", "bias"),
    [("attention_norm", "qkv", "qkv_bias"), ("mlp_norm", "mlp_in.weight", "mlp_in.bias")],
)
def test_a_map_takes_in_the_norm_before_it(norm: str, weight: str, bias: str):
    raw = unflatten(point(), SMALL)
    folded = fold(raw, SMALL, TorchOperations)
    h = torch.randn(5, SMALL.width, generator=torch.Generator().manual_seed(1)).double()
    standardised = torch.layer_norm(h, h.shape[1:], eps=LAYER_NORM_EPS)
    p = "layers.1."
    expected = (standardised * raw[f"{p}{norm}.weight"] + raw[f"{p}{norm}.bias"]) @ raw[
        p + weight
    ].T
    if weight == "qkv":  # the queries carry the scale of the scores
        expected[:, : SMALL.width] /= math.sqrt(SMALL.width // SMALL.num_heads)
    else:
        expected += raw[p + bias]
    torch.testing.assert_close(standardised @ folded[p + weight].T + folded[p + bias], expected)


def test_the_first_block_sees_few_coordinates():
    """A row of `embedding` for every coordinate and position: h, then W C h for QKV's folded W."""
    raw = unflatten(point(), SMALL)
    folded = fold(raw, SMALL, TorchOperations)
    rows = torch.cat(
        [raw["token_embedding"].T, raw["position_embedding"][[0, 2, 4, 6, 1, 3, 5, 7]]]
    )
    through = (rows - rows.mean(dim=1, keepdim=True)) @ folded["layers.0.qkv"].T
    torch.testing.assert_close(folded["embedding"], torch.cat([rows, through], dim=1))


def test_unfolding_is_the_derivative_of_folding():
    vector = point().requires_grad_()
    raw = unflatten(vector, SMALL)
    folded = fold(raw, SMALL, TorchOperations)
    flat, sums = gradient_buffers(SMALL, vector.detach())
    # what nothing reads gets no gradient: the raw forms, and QKV of the first block
    read = [name for name in sums if name in folded and "norm" not in name]
    unread = ("token_embedding", "position_embedding", "layers.0.qkv", "head.weight", "head.bias")
    read = [name for name in read if name not in unread]
    stream = torch.Generator().manual_seed(2)
    weights = {name: torch.randn(folded[name].shape, generator=stream).double() for name in read}
    (expected,) = torch.autograd.grad(
        sum((weights[name] * folded[name]).sum() for name in read), vector
    )
    for name in read:
        sums[name].copy_(weights[name])
    with torch.no_grad():
        unfold(sums, folded, raw, SMALL, TorchOperations)
    torch.testing.assert_close(flat[:P], expected)


@pytest.mark.parametrize("width", [8, 6])
def test_parts_for_folded_parameters_begin_at_16_bytes(width: int):
    """What follows the flat gradient, whose length is odd; no two parts share a number."""
    architecture = replace(SMALL, width=width, task_dimension=4)
    vector = initial_parameters(architecture, 0)
    assert len(vector) % 4 != 0
    flat, sums = gradient_buffers(architecture, vector)
    later = [part for part in sums.values() if part.storage_offset() >= len(vector)]
    assert len(later) == 1 + architecture.num_layers
    assert all(part.data_ptr() % 16 == 0 for part in later)
    raw = unflatten(flat[: len(vector)], architecture).values()
    for part in [*raw, *later]:
        part += 1
    assert flat.max() == 1 and (flat == 0).sum() < 4 * (1 + len(later))
