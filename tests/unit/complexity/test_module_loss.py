"""A module's loss as one of a vector, and one line for whatever cannot be that."""

import copy

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import TensorDataset

from transience.complexity.module_loss import SAME, module_loss
from transience.errors import InputError

XS = torch.linspace(-2, 2, 100)[:, None] * torch.tensor([1.0, -0.5, 0.25])
YS = XS.sum(dim=1, keepdim=True).sin()
DATA = (XS, YS)


def squared(module: nn.Module, xs: torch.Tensor, ys: torch.Tensor) -> torch.Tensor:
    return (module(xs) - ys).square().mean(dim=1)


def perceptron(*middle: nn.Module) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), *middle, nn.Tanh(), nn.Linear(4, 1))


def test_losses_and_gradients_are_those_of_the_module():
    module = perceptron()
    loss = module_loss(module, squared, DATA)
    assert torch.equal(loss.losses_of(loss.vector, *DATA), squared(module, *DATA))
    _, gradient = loss.value_and_gradient(loss.vector, *DATA)
    squared(module, *DATA).mean().backward()
    expected = torch.cat([parameter.grad.reshape(-1) for parameter in module.parameters()])
    torch.testing.assert_close(gradient, expected)
    moved = loss.losses_of(loss.vector + 0.1, *DATA)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter += 0.1
    torch.testing.assert_close(moved, squared(module, *DATA))


def test_held_parameters_do_not_count_and_tied_ones_count_once():
    module = nn.Sequential(nn.Linear(3, 3), nn.Tanh(), nn.Linear(3, 3), nn.Linear(3, 1))
    module[2].weight = module[0].weight
    module[3].requires_grad_(False)
    loss = module_loss(module, squared, DATA)
    assert len(loss.vector) == 9 + 3 + 3
    moved = loss.losses_of(loss.vector + 0.1, *DATA)
    with torch.no_grad():
        for parameter in (module[0].weight, module[0].bias, module[2].bias):
            parameter += 0.1
    torch.testing.assert_close(moved, squared(module, *DATA))


def test_a_loss_may_use_the_module_as_it_likes_and_leaves_its_buffers_alone():
    class Counting(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.slope = nn.Parameter(torch.ones(3))
            self.register_buffer("calls", torch.zeros(()))

        def predicted(self, xs: torch.Tensor) -> torch.Tensor:
            self.calls += 1
            return xs @ self.slope

    def loss(module: Counting, xs: torch.Tensor, ys: torch.Tensor) -> torch.Tensor:
        return (module.predicted(xs) - ys[:, 0]).square() + 0.01 * module.slope.square().sum()

    module = Counting()
    found = module_loss(module, loss, DATA)
    found.value_and_gradient(found.vector + 1, *DATA)
    assert module.calls == 0 and torch.equal(module.slope, torch.ones(3))


def test_a_tensor_dataset_is_its_tensors():
    assert module_loss(perceptron(), squared, TensorDataset(*DATA)).data == DATA


def message(module=None, loss_fn=squared, data=DATA) -> str:
    with pytest.raises(InputError) as error:
        module_loss(perceptron() if module is None else module, loss_fn, data)
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize(
    ("data", "found"),
    [
        ([XS, YS], "or a TensorDataset, found a list of Tensor"),
        ([[1.0, 2.0]], "or a TensorDataset, found a list of list"),
        (XS.numpy(), "or a TensorDataset, found a NumPy array"),
        (XS, "or a TensorDataset, found a single tensor"),
        ((XS.numpy(), YS), "found a NumPy array in the tuple"),
        ((XS, YS.tolist()), "found a list of list in the tuple"),
        ((), "found no tensor in the tuple"),
        ((XS, YS[:-1]), "found shapes (100, 3), (99, 1)"),
        ((XS, torch.tensor(1.0)), "found shapes (100, 3), ()"),
        ((XS[:0], YS[:0]), "found shapes (0, 3), (0, 1)"),
    ],
)
def test_other_data_get_one_line(data, found):
    start = "data: expected a tuple of tensors with a row a sample, such as (xs, ys)"
    assert message(data=data) == f"{start}, {found}"


def test_data_on_another_device_get_one_line():
    found = message(data=(XS.to("meta"), YS))
    assert found == "data: expected tensors on cpu, as the module, found meta"


@pytest.mark.parametrize(
    ("loss_fn", "line"),
    [
        (
            lambda module, xs, ys: squared(module, xs, ys).mean(),
            "expected one loss for each of 64 samples, found a single number; use reduction='none'",
        ),
        (
            lambda module, xs, ys: module(xs) - ys,
            "expected one loss for each of 64 samples, found shape (64, 1); take the mean over all "
            "but the first axis, of 64",
        ),
        (
            lambda module, xs, ys: squared(module, xs, ys).mean().item(),
            "expected one loss for each of 64 samples, found float",
        ),
        (
            lambda module, xs, ys: squared(module, xs, ys).detach(),
            "expected losses that depend on the module's parameters, found none with a gradient",
        ),
        (
            nn.MSELoss(reduction="none"),
            "expected a function of (module, *batch), found MSELoss; write lambda module, xs, ys: "
            "f(module(xs), ys)",
        ),
        (
            lambda module, xs, ys: squared(module, xs, ys - ys.mean()),
            "expected a loss that depends on its own sample alone, found that the rest of the "
            "batch moves it",
        ),
    ],
)
def test_other_losses_get_one_line(loss_fn, line):
    module = perceptron().eval()
    assert message(module, loss_fn) == f"loss_fn: {line}"


def test_training_mode_is_refused_where_it_matters():
    dropout, norm = perceptron(nn.Dropout(0.5)), perceptron(nn.BatchNorm1d(4))
    assert message(dropout).endswith(
        "found others at a second look; 1 (Dropout) in training mode: call module.eval()"
    )
    before = copy.deepcopy(norm.state_dict())
    assert message(norm).endswith("; 1 (BatchNorm1d) in training mode: call module.eval()")
    assert all(torch.equal(norm.state_dict()[name], value) for name, value in before.items())
    for module in (dropout.eval(), norm.eval(), perceptron(nn.LayerNorm(4), nn.Dropout(0.0))):
        module_loss(module, squared, DATA)


def test_other_modules_get_one_line():
    assert message(squared) == "module: expected an nn.Module, found function"
    held = perceptron().requires_grad_(False)
    start = "module: expected parameters with requires_grad, of one real type and device, found"
    assert message(held) == f"{start} none"
    mixed = perceptron()
    mixed[0].double()
    assert message(mixed) == f"{start} torch.float32 on cpu, torch.float64 on cpu"


def test_rounding_is_not_taken_for_a_batch_that_matters():
    assert 1e2 * np.finfo(np.float32).eps < SAME


def test_hessian_products_are_those_of_the_mean_loss():
    loss = module_loss(perceptron().double(), squared, tuple(part.double() for part in DATA))
    dense = torch.autograd.functional.hessian(
        lambda w: loss.losses_of(w, *loss.data).mean(), loss.vector
    )
    direction = loss.direction(0, "test")
    assert set(direction.tolist()) == {-1.0, 1.0}
    torch.testing.assert_close(loss.hessian(0)(direction), dense @ direction)
