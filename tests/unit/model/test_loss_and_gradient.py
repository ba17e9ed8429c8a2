"""The fast loss and gradient against autograd through the readable transformer.

In float32 on the CPU the fast path is Numba kernels, in float64 PyTorch operations.
"""

import ast
import itertools
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from fake_cuda import fake_cuda

from transience.model.hessian import hessian_product
from transience.model.loss_and_gradient import LossAndGradient
from transience.model.operations import round_to_tf32
from transience.model.transformer import (
    Architecture,
    initial_parameters,
    parameter_shapes,
    predict,
    sequence_losses,
    unflatten,
)

# float32 rounds to 6e-8; sums of a few hundred terms through a few layers lose a digit
TOLERANCE = {torch.float32: 3e-6, torch.float64: 1e-12}
DTYPES = pytest.mark.parametrize("dtype", TOLERANCE)
SMALL = Architecture(
    task_dimension=3,
    num_examples=4,
    width=16,
    num_layers=2,
    num_heads=2,
    mlp_width=16,
    output_projection=False,
    doubled_residual=False,
)


def point(
    a: Architecture, dtype: torch.dtype, num_sequences: int = 21
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Parameters with every entry away from 0 and 1, and data."""
    stream = torch.Generator().manual_seed(0)
    draw = lambda *shape: torch.randn(*shape, generator=stream).to(dtype)  # noqa: E731
    vector = initial_parameters(a, 0).to(dtype)
    vector += 0.1 * draw(len(vector))
    return (
        vector,
        draw(num_sequences, a.num_examples, a.task_dimension),
        draw(num_sequences, a.num_examples),
    )


def by_autograd(
    a: Architecture, vector: torch.Tensor, xs: torch.Tensor, ys: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    leaf = vector.clone().requires_grad_()
    losses = sequence_losses(unflatten(leaf, a), xs, ys, a)
    (gradient,) = torch.autograd.grad(losses.mean(), leaf)
    return losses.detach(), gradient


def assert_close(actual: torch.Tensor, expected: torch.Tensor, tolerance: float) -> None:
    """Within ``tolerance`` of the largest number: small ones are differences of large ones."""
    assert actual.dtype == expected.dtype
    assert (actual - expected).abs().max() <= tolerance * expected.abs().max()


def assert_same_as_autograd(a: Architecture, dtype: torch.dtype) -> None:
    vector, xs, ys = point(a, dtype)
    fast = LossAndGradient(a)
    fast.chunk = 16  # two chunks, of 16 and 5 sequences
    losses, gradient = fast(vector, xs, ys)
    expected_losses, expected = by_autograd(a, vector, xs, ys)
    assert_close(losses, expected_losses, TOLERANCE[dtype])
    for name, part in unflatten(gradient, a).items():
        scale = expected.abs().max() / unflatten(expected, a)[name].abs().max().clamp_min(1e-30)
        assert_close(part, unflatten(expected, a)[name], TOLERANCE[dtype] * scale)
    predictions = fast.predict(vector, xs, ys)
    assert_close(predictions, predict(unflatten(vector, a), xs, ys, a), TOLERANCE[dtype])


@DTYPES
@pytest.mark.parametrize(
    ("num_layers", "output_projection", "doubled_residual"),
    list(itertools.product((1, 2, 3), (False, True), (False, True))),
)
def test_switches(num_layers, output_projection, doubled_residual, dtype):
    a = replace(
        SMALL,
        num_layers=num_layers,
        output_projection=output_projection,
        doubled_residual=doubled_residual,
    )
    assert_same_as_autograd(a, dtype)


@DTYPES
@pytest.mark.parametrize(
    "sizes",
    [
        {"num_heads": 1},
        {"num_heads": 4},
        {"num_heads": 16},  # heads of width 1
        {"width": 15, "num_heads": 3},  # odd heads, width no multiple of 16
        {"width": 36, "num_heads": 4, "mlp_width": 7},
        {"mlp_width": 40},
        {"num_examples": 1},
        {"num_examples": 9, "task_dimension": 1},
        {"width": 64, "num_heads": 4, "mlp_width": 64, "num_examples": 16, "task_dimension": 8},
    ],
    ids=str,
)
def test_sizes(sizes, dtype):
    assert_same_as_autograd(replace(SMALL, **sizes), dtype)


@pytest.mark.parametrize("name", parameter_shapes(SMALL))
def test_gradient_of_every_parameter_is_the_slope_of_the_loss(name):
    vector, xs, ys = point(SMALL, torch.float64)
    fast = LossAndGradient(SMALL)
    gradient = unflatten(fast(vector, xs, ys)[1], SMALL)[name]
    losses = []
    for step in (1e-5, -1e-5):
        moved = vector.clone()
        unflatten(moved, SMALL)[name].add_(gradient, alpha=step)
        losses.append(fast(moved, xs, ys)[0].mean())
    slope = (losses[0] - losses[1]).item() / 2e-5
    assert slope == pytest.approx(gradient.square().sum().item(), rel=1e-5, abs=1e-9)


ROUNDED = [  # dtype of the tensors, rounding of factors, and how far rounding goes in norm
    (torch.float64, torch.Tensor.float, 1e-6),  # PyTorch operations, every step of the way
    (torch.float32, torch.Tensor.bfloat16, 0.02),  # kernels
    (torch.float32, round_to_tf32, 0.003),
    (torch.float64, torch.Tensor.bfloat16, 0.02),
]


@pytest.mark.parametrize(
    ("dtype", "rounding", "tolerance"),
    ROUNDED,
    ids=lambda value: getattr(value, "__name__", str(value)),
)
@pytest.mark.parametrize("switch", [False, True])
def test_rounded_products(switch, dtype, rounding, tolerance):
    a = replace(SMALL, width=32, output_projection=switch, doubled_residual=switch)
    vector, xs, ys = point(a, dtype)
    expected = by_autograd(a, vector, xs, ys)
    for found, exact in zip(LossAndGradient(a, rounding)(vector, xs, ys), expected, strict=True):
        error = (found - exact).norm() / exact.norm()
        assert found.dtype == dtype
        assert tolerance / 1000 < error < tolerance


@DTYPES
def test_chunks_do_not_matter_beyond_rounding(dtype):
    vector, xs, ys = point(SMALL, dtype, num_sequences=70)
    whole, pieces = LossAndGradient(SMALL), LossAndGradient(SMALL)
    whole.chunk, pieces.chunk = 128, 16
    for a, b in zip(whole(vector, xs, ys), pieces(vector, xs, ys), strict=True):
        assert_close(a, b, TOLERANCE[dtype])


@DTYPES
def test_calls_leave_no_trace(dtype):
    vector, xs, ys = point(SMALL, dtype)
    fast = LossAndGradient(SMALL)
    losses, gradient = fast(vector, xs, ys)
    kept = losses.clone(), gradient.clone()
    fast(vector + 1, 2 * xs, ys)
    fast.predict(vector, xs[:3], ys[:3])
    assert torch.equal(losses, kept[0]) and torch.equal(gradient, kept[1])
    again = fast(vector, xs, ys)
    assert torch.equal(again[0], kept[0]) and torch.equal(again[1], kept[1])


def test_parameters_changed_in_place_are_seen():
    vector, xs, ys = point(SMALL, torch.float32)
    fast = LossAndGradient(SMALL)
    fast(vector, xs, ys)
    vector *= 0.5
    assert torch.equal(fast(vector, xs, ys)[1], LossAndGradient(SMALL)(vector, xs, ys)[1])


@DTYPES
def test_nan_in_the_parameters_reaches_every_loss(dtype):
    for name in ("layers.0.qkv", "layers.1.mlp_in.bias", "head.weight", "token_embedding"):
        vector, xs, ys = point(SMALL, dtype)
        unflatten(vector, SMALL)[name].view(-1)[0] = torch.nan
        losses, gradient = LossAndGradient(SMALL)(vector, xs, ys)
        assert losses.isnan().all(), name
        assert gradient.isnan().any(), name


@DTYPES
@pytest.mark.parametrize("bad", [torch.nan, torch.inf])
def test_a_bad_number_in_one_sequence_stays_in_that_sequence(dtype, bad):
    vector, xs, ys = point(SMALL, dtype)
    clean, _ = LossAndGradient(SMALL)(vector, xs, ys)
    xs[3, 0, 0] = bad
    losses, gradient = LossAndGradient(SMALL)(vector, xs, ys)
    others = torch.arange(len(xs)) != 3
    assert losses[3].isnan() and gradient.isnan().any()
    assert_close(losses[others], clean[others], TOLERANCE[dtype])


@DTYPES
def test_sharp_attention(dtype):
    """Scores of some ±200: the softmax has all its weight on one key."""
    vector, xs, ys = point(SMALL, dtype)
    for name, view in unflatten(vector, SMALL).items():
        if name.endswith("qkv"):
            view[: 2 * SMALL.width] *= 15
    losses, gradient = LossAndGradient(SMALL)(vector, xs, ys)
    expected_losses, expected = by_autograd(SMALL, vector, xs, ys)
    assert losses.isfinite().all() and gradient.isfinite().all()
    # a score of 200 carries a rounding error of 200 ε, which the exponential turns into a relative
    # error of the weights
    assert_close(losses, expected_losses, 200 * TOLERANCE[dtype])
    assert_close(gradient, expected, 200 * TOLERANCE[dtype])


# A GPU that is not there

ON_GPU = torch.device("cuda", 0)


@pytest.mark.parametrize("rounding", [None, torch.Tensor.bfloat16])
@pytest.mark.parametrize("switch", [False, True])
def test_all_is_computed_on_the_device_of_the_vector(switch, rounding):
    a = replace(SMALL, output_projection=switch, doubled_residual=switch)
    sizes = [tensor.shape for tensor in point(a, torch.float32)]
    with fake_cuda():
        vector, xs, ys = (torch.empty(size, device=ON_GPU) for size in sizes)
        model = LossAndGradient(a, rounding)
        losses, gradient = model(vector, xs, ys)
        predictions, product = model.predict(vector, xs, ys), hessian_product(model, vector, xs, ys)
        found = [losses, gradient, predictions, model.losses(vector, xs, ys), product(vector)]
        found.append(sequence_losses(unflatten(vector, a), xs, ys, a))
    shapes = [len(ys), len(vector), *ys.shape, len(ys), len(vector), len(ys)]
    assert [size for tensor in found for size in tensor.shape] == shapes
    assert {(tensor.device, tensor.dtype) for tensor in found} == {(ON_GPU, torch.float32)}


def test_two_devices_are_told_apart():
    """By what stands in for a GPU here."""
    with fake_cuda():
        there, here = torch.empty(3, 3, device=ON_GPU), torch.empty(3, 3)
        for mixed in (
            lambda: there @ here,
            lambda: there + here,
            lambda: there.copy_(here),
            lambda: there.__setitem__(slice(1), here[:1]),
            lambda: torch.mm(there, there, out=here),
        ):
            with pytest.raises((RuntimeError, AssertionError)):
                mixed()


# The door

LIBRARY = Path(__file__).parents[3] / "workflow/lib"
DOORS = {
    *("loss_and_gradient", "autograd", "hessian", "transformer", "settings"),
    "operations.round_to_tf32",
}


def imports_of_the_model() -> Iterator[tuple[str, str]]:
    """(file, what it imports of `transience.model`), wherever in its text."""
    package = LIBRARY / "transience"
    for path in package.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import | ast.ImportFrom):
                within = f"{node.module}." if isinstance(node, ast.ImportFrom) else ""
                for name in (within + alias.name for alias in node.names):
                    if f"{name}.".startswith("transience.model."):
                        file = path.relative_to(package).as_posix()
                        yield file, name.removeprefix("transience.model").removeprefix(".")


def test_this_module_alone_opens_the_kernels():
    opened = {file for file, name in imports_of_the_model() if f"{name}.".startswith("kernels.")}
    within = {file for file in opened if file.startswith("model/kernels/")}
    assert opened - within == {"model/loss_and_gradient.py"}


def test_callers_come_through_the_doors():
    """They compute by this module, name things by the definition, and may round to tf32."""
    for file, name in imports_of_the_model():
        if not file.startswith("model/"):
            assert any(f"{name}.".startswith(f"{door}.") for door in DOORS), f"{file}: {name}"
