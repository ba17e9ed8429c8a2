"""Each operation by kernels gives what PyTorch's gives in float64."""

import pytest
import torch

from transience.model.kernels.operations import KernelOperations
from transience.model.operations import TorchOperations
from transience.model.transformer import Architecture

B, C, N = 16, 15, 128  # N = 2K B columns; 15 features are no whole vector
SHAPE = Architecture(3, 4, C, 2, 3, 24, output_projection=False, doubled_residual=False)


class Inputs:
    """Numbers for both kinds of operations: the n-th draw of one is the n-th of the other."""

    def __init__(self, ops: TorchOperations) -> None:
        self.ops, self.stream, self.count = ops, torch.Generator().manual_seed(0), 0

    def __call__(self, *shape: int) -> torch.Tensor:
        values = torch.randn(*shape, generator=self.stream)
        if not isinstance(self.ops, KernelOperations):
            return values.double()
        if shape[-1] != N:
            return values
        self.count += 1  # activations lie in buffers
        return self.ops._matrix(f"input {self.count}", *shape).copy_(values)


def linear(ops, draw):
    yield ops.linear("out", draw(24, C), draw(C, N))


def embed(ops, draw):
    saved = ops.embed(draw(12, 4 * C), ops.tokens(draw(B, 4, 3), draw(B, 4)))
    yield from (saved.stack, saved.mean, saved.rstd)


def add_standardise(ops, draw):
    found = ops.add_standardise("out", draw(C, N), draw(C, N), draw(C))
    yield from (found.total, found.standardised, found.rstd)


def norm_backward(ops, draw):
    found = ops.add_standardise("out", draw(C, N), draw(C, N), None)
    yield ops.norm_backward("gradient", draw(C, N), found, draw(C, N)[:, : N // 2])


def rectify(ops, draw):
    hidden, total = ops.rectify(draw(C, N), draw(C)), draw(C)
    yield from (hidden, ops.rectify_backward(draw(C, N), hidden, total), total)


def add_row_sums(ops, draw):
    total = draw(C)
    ops.add_row_sums(total, draw(C, N))
    yield total


def fold_norm(ops, draw):
    yield from ops.fold_norm(draw(24, C), draw(C), draw(C), draw(24), 5, 0.25)


def unfold_norm(ops, draw):
    gradients = draw(24, C), draw(C), draw(C)
    ops.unfold_norm(*gradients, draw(24), draw(24, C), draw(C), draw(C), 5, 0.25)
    yield from gradients


@pytest.mark.parametrize(
    "operation",
    [linear, embed, add_standardise, norm_backward, rectify, add_row_sums, fold_norm, unfold_norm],
)
def test_operation(operation):
    kernels, exact = KernelOperations(SHAPE, B), TorchOperations(SHAPE, B)
    found = operation(kernels, Inputs(kernels))
    for one, expected in zip(found, operation(exact, Inputs(exact)), strict=True):
        assert one.dtype == torch.float32
        torch.testing.assert_close(one.double().view_as(expected), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("sequences", "whole"), [(1, 16), (16, 16), (17, 32)])
def test_sequences_fill_whole_vectors(sequences: int, whole: int):
    ops = KernelOperations(SHAPE, sequences)
    tokens = ops.tokens(torch.ones(sequences, 4, 3), torch.ones(sequences, 4))
    assert ops.sequences == whole and tokens.shape == (4, 8 * whole)
    by_token = tokens.unflatten(1, (8, whole))
    assert by_token[..., :sequences].any(dim=0).all() and not by_token[..., sequences:].any()
