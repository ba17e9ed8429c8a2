"""Products with the Hessian by differences of the fast gradient, against autograd's own."""

import itertools
import math

import pytest
import torch
from small import small_run

from transience.model import hessian
from transience.model.hessian import hessian_product
from transience.model.loss_and_gradient import LossAndGradient
from transience.model.transformer import (
    Architecture,
    initial_parameters,
    sequence_losses,
    unflatten,
)
from transience.problem.randomness import generator

OPTIONS = [
    {"num_layers": layers, "output_projection": projection, "doubled_residual": doubled}
    for layers, projection, doubled in itertools.product([1, 2], [False, True], [False, True])
]
EACH = pytest.mark.parametrize("options", OPTIONS, ids=lambda o: "-".join(map(str, o.values())))
# the kernels take 16 sequences at a time, and a chunk is of thousands of these
NUM_SEQUENCES = 37


def point(
    options: dict, num_sequences: int = NUM_SEQUENCES
) -> tuple[Architecture, torch.Tensor, torch.Tensor, torch.Tensor]:
    """A small transformer away from its initial weights, whose biases are 0, and data."""
    run = small_run(math.inf, **({"width": 16, "mlp_width": 16} | options))
    vector = initial_parameters(run.architecture, seed=0)
    vector = vector + 0.1 * directions(vector, 1, "point")[0]
    xs, ys = run.sequences("test", num_sequences=num_sequences)
    return run.architecture, vector, xs, ys


def directions(vector: torch.Tensor, number: int, name: str = "directions") -> torch.Tensor:
    return torch.randn(number, len(vector), generator=generator(0, name))


def by_autograd(
    a: Architecture, vector: torch.Tensor, xs: torch.Tensor, ys: torch.Tensor, d: torch.Tensor
) -> torch.Tensor:
    """In float64: float32 is exact to 1e-5 there."""
    leaf = vector.double().requires_grad_()
    losses = sequence_losses(unflatten(leaf, a), xs.double(), ys.double(), a)
    (gradient,) = torch.autograd.grad(losses.mean(), leaf, create_graph=True)
    return torch.autograd.grad(gradient, leaf, d.double())[0]


def relative_error(found: torch.Tensor, expected: torch.Tensor) -> float:
    return ((found - expected).norm() / expected.norm()).item()


@EACH
@pytest.mark.parametrize("num_sequences", [1, 16, NUM_SEQUENCES])
def test_products_are_those_of_autograd(options: dict, num_sequences: int):
    a, vector, xs, ys = point(options, num_sequences)
    product = hessian_product(LossAndGradient(a), vector, xs, ys)
    for direction in directions(vector, 2):
        expected = by_autograd(a, vector, xs, ys, direction)
        assert relative_error(product(direction), expected) < 1e-3
        assert relative_error(product(50 * direction), 50 * expected) < 1e-3  # of any length


def test_products_are_those_of_several_chunks():
    a, vector, xs, ys = point(OPTIONS[0])
    model = LossAndGradient(a)
    model.chunk = 16
    found = hessian_product(model, vector, xs, ys)(directions(vector, 1)[0])
    assert relative_error(found, by_autograd(a, vector, xs, ys, directions(vector, 1)[0])) < 1e-3


def test_the_error_is_of_second_order(monkeypatch: pytest.MonkeyPatch):
    """Of a narrow model, whose third derivatives are large, in float64."""
    a, *tensors = point(OPTIONS[-2] | {"width": 8, "mlp_width": 8})
    vector, xs, ys = (tensor.double() for tensor in tensors)
    direction, errors = directions(vector, 1)[0].double(), []
    for displacement in (0.02, 0.01, 0.005):
        monkeypatch.setattr(hessian, "DISPLACEMENT", displacement)
        found = hessian_product(LossAndGradient(a), vector, xs, ys)(direction)
        errors.append(relative_error(found, by_autograd(a, vector, xs, ys, direction)))
    assert errors[0] / errors[1] == pytest.approx(4, rel=0.1)
    assert errors[1] / errors[2] == pytest.approx(4, rel=0.1)


def test_without_gates_the_kinks_would_drown_it():
    """The plain difference of the gradient has the same ends, and is far off."""
    a, vector, xs, ys = point(OPTIONS[-1])
    model, worst = LossAndGradient(a), 0.0
    for direction in directions(vector, 4):
        step = 0.03 * direction / direction.norm()
        ahead, behind = (model(vector + sign * step, xs, ys)[1] for sign in (1, -1))
        plain = (ahead - behind) * direction.norm() / 0.06
        worst = max(worst, relative_error(plain, by_autograd(a, vector, xs, ys, direction)))
    assert worst > 0.01


@EACH
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_gates_reproduce_loss_and_gradient_where_they_were_found(options: dict, dtype: torch.dtype):
    """In float64 by PyTorch operations, in float32 by kernels: to the last bit by both."""
    a, vector, xs, ys = (
        part.to(dtype) if isinstance(part, torch.Tensor) else part for part in point(options)
    )
    model = LossAndGradient(a)
    gates = model.gates(vector, xs, ys)
    plain_losses, plain_gradient = model(vector, xs, ys)
    losses, gradient = model(vector, xs, ys, gates)
    torch.testing.assert_close(losses, plain_losses, rtol=0, atol=0)
    torch.testing.assert_close(gradient, plain_gradient, rtol=0, atol=0)


def test_gates_are_what_holds_away_from_there():
    """Elsewhere the loss held open and shut differs, and the plain one is as it was."""
    a, vector, xs, ys = point(OPTIONS[0])
    model, elsewhere = LossAndGradient(a), vector + 0.3 * directions(vector, 1)[0]
    gates, plain = model.gates(vector, xs, ys), model(elsewhere, xs, ys)[0]
    held = model(elsewhere, xs, ys, gates)[0]
    assert (held - plain).abs().max() > 1e-3
    assert torch.equal(model(elsewhere, xs, ys)[0], plain)


def test_gates_are_a_mask_for_each_chunk_and_block():
    a, vector, xs, ys = point(OPTIONS[0] | {"num_layers": 2})
    model = LossAndGradient(a)
    model.chunk = 16
    found = model.gates(vector, xs, ys)
    assert [len(masks) for masks in found] == [2, 2, 2]  # 16, 16 and 5 sequences
    for mask in itertools.chain.from_iterable(found):
        assert set(mask.unique().tolist()) == {0.0, 1.0}
