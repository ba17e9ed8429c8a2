"""Proposed settings: what each number is to bring about."""

import math

import pytest
import torch
from torch import nn

from transience.complexity import suggested
from transience.complexity.module_loss import module_loss
from transience.complexity.settings import Scales
from transience.complexity.suggested import suggest_settings
from transience.errors import InputError
from transience.problem.randomness import generator


def squared(module: nn.Module, xs: torch.Tensor, ys: torch.Tensor) -> torch.Tensor:
    return (module(xs) - ys).square().mean(dim=1)


def fitted(noise: float = 0.1, count: int = 600) -> tuple[nn.Module, tuple, torch.Tensor]:
    """A linear regression at its solution, its data and curvatures, which span a decade or two."""
    stream = generator(0, "suggested")
    scales = torch.tensor([2.0, 1.0, 0.5, 0.3])
    xs = scales * torch.randn(count, 4, generator=stream)
    ys = xs.sum(dim=1, keepdim=True) + noise * torch.randn(count, 1, generator=stream)
    module = nn.Linear(4, 1, bias=False)
    with torch.no_grad():
        module.weight.copy_(torch.linalg.lstsq(xs, ys).solution.T)
    return module, (xs, ys), torch.linalg.eigvalsh(2 * xs.T @ xs / count)


def test_the_numbers_follow_from_the_curvature():
    module, data, h = fitted()
    trivial = data[1].square().mean().item()
    settings = suggest_settings(module, squared, data, trivial_loss=trivial)
    h_star = settings.gamma / settings.nbeta
    assert h_star == pytest.approx(0.01 * h[-1].item(), rel=0.06)  # two digits
    llc = (h / (h + h_star)).sum().item() / 2
    initial = squared(module, *data).mean().item()
    assert llc / settings.nbeta == pytest.approx(0.01 * (trivial - initial), rel=0.1)
    pace = 6 * h_star / (h + h_star)  # of stiff directions, all four here are
    stiffness = settings.step_size * (settings.nbeta * (h + h_star) * pace).max().item() / 4
    assert 0.04 < stiffness < 0.0525  # from the safe side, as A slows the pull down too
    relaxation = 2 / (settings.step_size * settings.gamma)
    assert settings.num_draws == math.ceil(30 * relaxation)
    assert settings.batch_size == 64


def test_h_star_is_taken_as_given():
    module, data, _ = fitted()
    settings = suggest_settings(module, squared, data, h_star=0.1234)
    assert settings.gamma / settings.nbeta == pytest.approx(0.1234, rel=1e-5)


def test_without_a_trivial_loss_the_range_is_that_of_zero_weights():
    module, data, _ = fitted()
    zero = data[1].square().mean().item()
    given = suggest_settings(module, squared, data, trivial_loss=zero)
    assert suggest_settings(module, squared, data) == given


def test_noise_needs_larger_batches_and_then_smaller_steps():
    sizes, steps = [], []
    for noise in (0.1, 30.0, 300.0):
        module, data, _ = fitted(noise)
        settings = suggest_settings(
            module, squared, data, trivial_loss=squared(module, *data).mean().item() + 5
        )
        sizes.append(settings.batch_size)
        steps.append(settings.step_size)
    assert sizes[0] == 64 and sizes[-1] == 512
    assert steps[-1] < 0.1 * steps[0]


def test_the_warmth_of_minibatches_is_that_of_the_closed_form():
    """Σ ½ h/(h + h*) α nβ² c/4 with c of single samples, over many minibatches."""
    module, data, _ = fitted(1.0)
    loss = module_loss(module, squared, data)
    scales = Scales(step_size=1.0, nbeta=20.0, gamma=1.0)
    xs, ys = data
    gradients = 2 * (module(xs) - ys).detach() * xs  # n P
    h, vectors = torch.linalg.eigh(2 * xs.T @ xs / len(xs))
    c = (gradients @ vectors).var(dim=0)
    h_star = scales.gamma / scales.nbeta
    pace = (6 * h_star / (h + h_star)).clamp(max=1)
    expected = (h / (h + h_star) / 2 * pace * scales.nbeta**2 * c / 4).sum().item()
    found = [suggested._warmth(loss, scales, seed) for seed in range(100)]
    assert sum(found) / 100 == pytest.approx(expected, rel=0.2)


def test_a_point_that_is_no_minimum_is_held():
    """h* is at least twice the most negative curvature."""
    saddle = nn.ParameterDict({"w": torch.full((2,), 0.1)})

    def loss(module: nn.Module, signs: torch.Tensor) -> torch.Tensor:
        up, down = module["w"]
        return 2 + up.square() - 0.5 * signs * down.square()

    data = (torch.ones(64),)
    settings = suggest_settings(saddle, loss, data, trivial_loss=3.0)
    assert settings.gamma / settings.nbeta == pytest.approx(2.0, rel=1e-3)


def test_what_cannot_be_suggested_gets_one_line():
    module, data, _ = fitted()
    with pytest.raises(InputError, match=r"^trivial_loss: expected more than the loss at the mod"):
        suggest_settings(module, squared, data, trivial_loss=0.0)
    with pytest.raises(InputError, match=r"^loss_fn: expected a loss that curves upwards, found"):
        suggest_settings(module, lambda *parts: -squared(*parts), data)

    with pytest.raises(InputError, match=r"^h_star: expected more than 0, found -1$"):
        suggest_settings(module, squared, data, h_star=-1.0)


def test_settings_can_be_changed():
    module, data, _ = fitted()
    settings = suggest_settings(module, squared, data).model_copy(update={"num_draws": 7})
    assert settings.num_draws == 7 and "num_draws=7" in str(settings)
