"""The gradient of a GPU's step, on a CPU: against the readable definition and in bytes."""

import itertools
import warnings
from dataclasses import replace

import pytest
import torch
from torch._inductor.graph import GraphLowering

from transience.model import autograd
from transience.model import loss_and_gradient as by_hand
from transience.model.autograd import AutogradLossAndGradient
from transience.model.loss_and_gradient import LossAndGradient
from transience.model.operations import TorchOperations
from transience.model.transformer import (
    Architecture,
    initial_parameters,
    sequence_losses,
    unflatten,
)

SMALL = Architecture(
    task_dimension=3, num_examples=4, width=16, num_layers=2, num_heads=2, mlp_width=24,
    output_projection=False, doubled_residual=False,
)  # fmt: skip
SWITCHES = list(itertools.product([False, True], repeat=2))


def point(a, sequences=21):
    """Parameters away from their start, where norms do nothing, and sequences."""
    stream = torch.Generator().manual_seed(3)
    vector = initial_parameters(a, 0).double()
    vector += 0.1 * torch.randn(vector.shape, generator=stream, dtype=torch.float64)
    xs = torch.randn(
        sequences, a.num_examples, a.task_dimension, generator=stream, dtype=torch.float64
    )
    ys = torch.randn(sequences, a.num_examples, generator=stream, dtype=torch.float64)
    return vector, xs, ys


def exact(a, vector, xs, ys):
    """Losses and gradient of the definition."""
    vector = vector.clone().requires_grad_()
    losses = sequence_losses(unflatten(vector, a), xs, ys, a)
    losses.mean().backward()
    return losses.detach(), vector.grad


@pytest.mark.parametrize("layers", [1, 2, 3])
@pytest.mark.parametrize(("projection", "doubled"), SWITCHES)
@pytest.mark.parametrize("sequences", [1, 6, 16, 21])  # in tiles of 1, 2, 16 and 1
def test_it_is_the_gradient_of_the_definition(layers, projection, doubled, sequences):
    a = replace(SMALL, num_layers=layers, output_projection=projection, doubled_residual=doubled)
    given = point(a, sequences)
    for found, wanted in zip(AutogradLossAndGradient(a)(*given), exact(a, *given), strict=True):
        assert found.dtype == torch.float64
        assert (found - wanted).norm() <= 1e-12 * wanted.norm()


def test_sequences_of_a_tile_do_not_see_each_other():
    """A change of one moves its own loss alone; a change of a label, no earlier prediction."""
    vector, xs, ys = point(SMALL, 16)
    before, _ = AutogradLossAndGradient(SMALL)(vector, xs, ys)
    xs[5] += 1
    after, _ = AutogradLossAndGradient(SMALL)(vector, xs, ys)
    assert (before != after).nonzero().tolist() == [[5]]


@pytest.mark.parametrize("tile", [1, 16, 64])
def test_the_tile_does_not_matter(tile, monkeypatch):
    given = point(SMALL, 16)
    losses, gradient = AutogradLossAndGradient(SMALL)(*given)
    monkeypatch.setattr(autograd, "TILE", tile)
    other, other_gradient = AutogradLossAndGradient(SMALL)(*given)
    torch.testing.assert_close(other, losses, rtol=1e-12, atol=0)
    assert (gradient - other_gradient).norm() <= 1e-12 * gradient.norm()


PAPER = Architecture(
    task_dimension=8, num_examples=16, width=512, num_layers=2, num_heads=4, mlp_width=512,
    output_projection=False, doubled_residual=False,
)  # fmt: skip


def test_bfloat16_is_as_exact_as_bfloat16_is():
    """At the paper's size: parameters, losses and gradient stay float32, and near float64."""
    vector, xs, ys = point(PAPER, 16)
    vector = initial_parameters(PAPER, 0).double()  # the noise of `point` drowns a wide model
    given = vector.float(), xs.float(), ys.float()
    rounded = AutogradLossAndGradient(PAPER, torch.bfloat16)(*given)
    wanted = exact(PAPER, vector, xs, ys)
    for found, value in zip(rounded, wanted, strict=True):
        assert found.dtype == torch.float32
        assert (
            1e-5 < (found - value).norm() / value.norm() < 0.03
        )  # rounds to 2^-9, at dozens of places


def bytes_moved(call, given, monkeypatch):
    """What the compiler counts that its kernels read and write."""
    counted = []
    compile_to_module = GraphLowering.compile_to_module

    def count(graph):
        module = compile_to_module(graph)
        counted.append(graph.count_bytes()[0])
        return module

    monkeypatch.setattr(GraphLowering, "compile_to_module", count)
    with (
        warnings.catch_warnings(action="ignore"),  # of the compiler
        torch._inductor.config.patch(fx_graph_cache=False),  # in which nothing is counted
        torch._functorch.config.patch(enable_autograd_cache=False),
    ):
        torch.compile(call, fullgraph=True, dynamic=False)(*given)
    return sum(counted)


@pytest.mark.oracles
def test_less_than_half_the_bytes_of_the_gradient_by_hand(monkeypatch):
    """At the paper's width and batch, in bfloat16, by the compiler's own count on a CPU."""
    monkeypatch.setattr(by_hand, "_operations_for", lambda tensor: TorchOperations)
    monkeypatch.setattr(by_hand, "CHUNK_ELEMENTS", 2**24)  # as on a GPU, in one
    given = [tensor.float() for tensor in point(PAPER, 1024)]
    ours = bytes_moved(AutogradLossAndGradient(PAPER, torch.bfloat16).__call__, given, monkeypatch)
    other = LossAndGradient(PAPER, lambda x: x.bfloat16())
    other(*given)  # makes its work space, which is then compiled in
    assert ours <= 0.45 * bytes_moved(other.__call__, given, monkeypatch)
