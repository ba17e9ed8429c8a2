"""The LLC of anyone's network: the example of docs/library.md, closed forms, quadrature."""

import contextlib
import copy
import io
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from transience.complexity.module_loss import module_loss
from transience.complexity.network import estimate_llc, suggest_settings
from transience.complexity.quadrature import quadrature
from transience.complexity.settings import SamplerSettings
from transience.errors import InputError
from transience.problem.randomness import generator

PAGE = (Path(__file__).parents[3] / "workflow/docs/library.md").read_text(encoding="utf-8")
FEW = SamplerSettings(
    step_size=1e-4, nbeta=100.0, gamma=100.0, num_chains=2, num_draws=30, num_burn_in=5,
    batch_size=16,
)  # fmt: skip


def squared(module: nn.Module, xs: torch.Tensor, ys: torch.Tensor) -> torch.Tensor:
    return (module(xs) - ys).square().mean(dim=1)


def regression(count: int = 500) -> tuple[nn.Module, tuple, torch.Tensor]:
    """A linear regression at its solution, with curvatures on both sides of 0.1."""
    stream = generator(0, "network")
    scales = torch.tensor([1.0, 0.7, 0.3, 0.2, 0.1, 0.05])
    xs = scales * torch.randn(count, 6, generator=stream)
    ys = xs.sum(dim=1, keepdim=True) + 0.1 * torch.randn(count, 1, generator=stream)
    module = nn.Linear(6, 1, bias=False)
    with torch.no_grad():
        module.weight.copy_(torch.linalg.lstsq(xs, ys).solution.T)
    return module, (xs, ys), torch.linalg.eigvalsh(2 * xs.T @ xs / count)


def perceptron() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 4), nn.Tanh(), nn.Linear(4, 1))


# docs/library.md


@pytest.fixture(scope="module")
def example() -> tuple[dict[str, Any], str]:
    """The example as it stands: what it defines, and what it prints."""
    code = re.search(r"```python\n(.*?)```", PAGE, re.DOTALL)[1]
    assert len([line for line in code.splitlines() if line.strip()]) <= 20
    names: dict[str, Any] = {}
    before, printed = torch.get_num_threads(), io.StringIO()
    torch.set_num_threads(1)
    with contextlib.redirect_stdout(printed):
        exec(compile(code, "library.md", "exec"), names)
    torch.set_num_threads(before)
    return names, printed.getvalue()


def test_the_pages_example_prints_a_clean_estimate_like_the_one_it_shows(example):
    names, printed = example
    assert printed.endswith("\nflags: none\n")
    shown = re.search(r"```text\n(.*?)```", PAGE, re.DOTALL)[1]
    number = r"LLC ([\d.]+) ± ([\d.]+) at w\*, ([\d.]+) ± ([\d.]+) centred"
    there, here = (
        [float(part) for part in re.search(number, text).groups()] for text in (shown, printed)
    )
    assert here[0] == pytest.approx(there[0], rel=0.2)
    assert here[2] == pytest.approx(there[2], rel=0.2, abs=4 * there[3])
    assert shown.endswith("flags: none\n")
    count = sum(parameter.numel() for parameter in names["network"].parameters())
    assert here[0] < count / 2 and here[2] < count / 2
    assert f"P/2 = {count / 2:g}" in PAGE


def test_the_pages_estimate_agrees_with_quadrature(example):
    names, printed = example
    llc, error = map(float, re.search(r"LLC ([\d.]+) ± ([\d.]+)", printed).groups())
    loss = module_loss(names["network"], names["loss"], names["data"])
    h_star = names["settings"].gamma / names["settings"].nbeta
    probes = [loss.direction(0, "quadrature", number) for number in range(40)]
    other = quadrature(loss.hessian(0), probes, [h_star], 49)["llc"]
    errors = 3 * (error**2 + other.var() / len(other)) ** 0.5
    assert llc == pytest.approx(other.mean(), abs=errors + 0.2 * other.mean())


# Closed forms


@pytest.mark.parametrize("precondition", [True, False])
def test_linear_regression_has_its_closed_form(precondition):
    """½ Σ h/(h + h*); ε and minibatches add at most 5 % each."""
    module, data, h = regression()
    trivial = data[1].square().mean().item()
    settings = suggest_settings(module, squared, data, h_star=0.1, trivial_loss=trivial)
    if not precondition:
        settings = settings.model_copy(update={"step_size": settings.step_size / 3})
    estimate = estimate_llc(
        module, squared, data, settings, trivial_loss=trivial, precondition=precondition
    )
    expected = (h / (h + 0.1)).sum().item() / 2
    assert expected < 2.0  # of P/2 = 3
    assert estimate.flags == []
    assert -3 * estimate.standard_error < estimate.llc - expected
    assert estimate.llc < 1.1 * expected + 3 * estimate.standard_error
    assert estimate.largest_curvature == pytest.approx(h[-1].item(), rel=1e-3)


# What it does to a module, and what it depends on


def test_the_module_and_the_threads_are_as_before():
    module, data, _ = regression()
    module.train()
    before = copy.deepcopy(module.state_dict())
    torch.set_num_threads(2)
    estimate_llc(module, squared, data, FEW)
    assert torch.get_num_threads() == 2 and module.training
    assert torch.equal(module.weight, before["weight"]) and module.weight.grad is None
    assert module.weight.requires_grad


def test_the_seed_is_that_of_the_settings_unless_given():
    _, data, _ = regression()
    module = perceptron()

    def losses(**options: Any) -> torch.Tensor:
        return torch.from_numpy(estimate_llc(module, squared, data, **options).losses)

    other = FEW.model_copy(update={"seed": 5})
    assert torch.equal(losses(settings=other), losses(settings=FEW, seed=5))
    assert not torch.equal(losses(settings=FEW), losses(settings=FEW, seed=5))


def test_chains_together_are_those_one_by_one():
    _, data, _ = regression()
    alone, together = (
        torch.from_numpy(estimate_llc(perceptron(), squared, data, FEW, together=both).losses)
        for both in (False, True)
    )
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=0)


def test_settings_are_suggested_if_none_are_given():
    module, data, _ = regression(100)
    estimate = estimate_llc(module, squared, data, seed=3)
    assert estimate.settings == suggest_settings(module, squared, data, seed=3)
    assert estimate.flags == ["UNCHECKED"]  # no trivial loss, no word on locality


def test_a_plain_chain_has_its_stiffness_told():
    module, data, h = regression()
    settings = FEW.model_copy(update={"step_size": 1e-2})
    estimate = estimate_llc(module, squared, data, settings, precondition=False)
    expected = settings.step_size * (settings.nbeta * h[-1].item() + settings.gamma) / 4
    assert estimate.stiffness == pytest.approx(expected, rel=1e-3)
    assert "STIFF" in estimate.flags


def test_fresh_data_have_another_door():
    module, data, _ = regression()
    with pytest.raises(InputError, match=r"^data_mode: expected fixed, found fresh"):
        estimate_llc(module, squared, data, FEW.model_copy(update={"data_mode": "fresh"}))
