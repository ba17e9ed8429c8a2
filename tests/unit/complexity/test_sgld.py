"""The sampler on its own: the step, chains alone and side by side, their acceptance."""

import math

import numpy as np
import pytest
import torch

from transience.complexity.settings import Scales
from transience.complexity.sgld import (
    PROBE_EVERY,
    drift,
    metropolis_acceptance,
    sample_chains,
    sgld_step,
    stack_of_one,
)
from transience.problem.randomness import generator

SCALES = Scales(step_size=0.02, nbeta=5.0, gamma=2.0)


def test_step_is_the_stated_update():
    w, anchor = torch.tensor([1.0, -2.0]), torch.tensor([0.5, 0.0])
    gradient, noise = torch.tensor([3.0, 4.0]), torch.tensor([1.0, -1.0])
    moved = sgld_step(w, gradient, anchor, noise, SCALES)
    # 1 - 0.01 (5·3 + 2·0.5) + √0.02 and -2 - 0.01 (5·4 - 2·2) - √0.02
    expected = torch.tensor([1 - 0.16 + math.sqrt(0.02), -2 - 0.16 - math.sqrt(0.02)])
    torch.testing.assert_close(moved, expected)


def test_step_leaves_its_arguments_alone():
    tensors = [torch.ones(3) * i for i in range(4)]
    sgld_step(*tensors, SCALES)
    assert all(torch.equal(tensor, torch.ones(3) * i) for i, tensor in enumerate(tensors))


def test_chain_has_the_quadratics_stationary_variance_at_this_step_size():
    h, n = 3.0, 20_000
    a = SCALES.nbeta * h + SCALES.gamma
    # one parameter per independent copy; the loss is the sum over the copies
    (chain,) = sample_chains(
        stack_of_one(lambda w: ((0.5 * h * w.square()).sum()[None], h * w)),
        torch.zeros(n, dtype=torch.float64),
        [()] * 100,
        [generator(0, "test noise")],
        SCALES,
    )
    variance = 1 / (a * (1 - SCALES.step_size * a / 4))  # exact for the discretised dynamics
    assert chain.position.var().item() == pytest.approx(variance, rel=4 * math.sqrt(2 / n))
    assert chain.losses[0] == 0.0  # draw 0 is the anchor
    assert len(chain.losses) == 100 and not chain.diverged


def test_a_chain_is_frozen_at_a_gradient_that_is_not_finite_and_the_others_go_on():
    def value_and_gradient(w, bad):
        return torch.zeros(len(w), 1), torch.where(bad, math.nan, w)

    batches = [(torch.tensor([[False], [draw == 3]]),) for draw in range(6)]
    noises = [generator(0, "test noise", chain) for chain in range(2)]
    sound, stopped = sample_chains(value_and_gradient, torch.zeros(2), batches, noises, SCALES)
    assert stopped.diverged and len(stopped.losses) == 3
    assert not sound.diverged and len(sound.losses) == 6
    # the last state that it had is the third draw, and its mean is that of three
    (early,) = sample_chains(
        stack_of_one(lambda w, _: (torch.zeros(1), w)), torch.zeros(2),
        [(torch.zeros(1, 1),)] * 3, [generator(0, "test noise", 1)], SCALES,
    )  # fmt: skip
    assert torch.equal(stopped.position, early.position)
    assert torch.equal(stopped.mean, early.mean)


def test_nothing_is_computed_once_all_chains_have_diverged():
    calls = []

    def value_and_gradient(w):
        calls.append(1)
        return torch.full((1, 1), math.nan), w

    draws = 10 * PROBE_EVERY
    (chain,) = sample_chains(
        value_and_gradient, torch.zeros(2), [()] * draws, [generator(0, "test noise")], SCALES
    )
    assert chain.diverged and len(chain.losses) == 0 and math.isnan(chain.acceptance)
    assert len(calls) == PROBE_EVERY + 1


def test_acceptance_is_that_of_metropolis_and_hastings():
    """Against densities of the proposal written out, on L = ½ h w² with a chain a row."""
    h, w = 3.0, torch.tensor([[0.5, -1.0], [2.0, 0.3]], dtype=torch.float64)
    proposal, anchor = w + torch.tensor([[0.1, -0.2], [-3.0, 1.0]]), torch.tensor([0.2, 0.1])
    a, s = SCALES, SCALES.step_size

    def energy(w):
        return a.nbeta * h / 2 * w.square().sum(-1) + a.gamma / 2 * (w - anchor).square().sum(-1)

    def log_density(there, here):  # of the proposal, up to a constant
        mean = here - s / 2 * (a.nbeta * h * here + a.gamma * (here - anchor))
        return -(there - mean).square().sum(-1) / (2 * s)

    ratio = energy(w) - energy(proposal) + log_density(w, proposal) - log_density(proposal, w)
    rise = h / 2 * (proposal.square() - w.square()).sum(-1)
    found = metropolis_acceptance(w, proposal, h * w, h * proposal, rise, anchor, a)
    torch.testing.assert_close(found, ratio.clamp(max=0).exp())
    assert 0 < found.min() < 0.9
    assert metropolis_acceptance(w, proposal, h * w, math.nan * w, rise, anchor, a).max() == 0


# Metropolis acceptance, on a Gaussian loss ½ wᵀ H w in two dimensions

H = torch.tensor([[2.0, 0.8], [0.8, 1.0]], dtype=torch.float64)
ANCHOR = torch.tensor([0.3, -0.2], dtype=torch.float64)


def accepted(w: torch.Tensor, proposal: torch.Tensor, scales: Scales) -> float:
    rise = 0.5 * (proposal @ H @ proposal - w @ H @ w).item()
    return metropolis_acceptance(w, proposal, H @ w, H @ proposal, rise, ANCHOR, scales)


def posterior(scales: Scales) -> torch.distributions.MultivariateNormal:
    precision = scales.nbeta * H + scales.gamma * torch.eye(2, dtype=torch.float64)
    mean = torch.linalg.solve(precision, scales.gamma * ANCHOR)
    return torch.distributions.MultivariateNormal(mean, precision_matrix=precision)


def steps_at_equilibrium(scales: Scales, number: int) -> tuple[torch.Tensor, torch.Tensor]:
    stream = generator(0, "equilibrium")
    target = posterior(scales)
    normal = torch.randn(number, 2, 2, generator=stream, dtype=torch.float64)
    before = target.mean + normal[:, 0] @ target.scale_tril.T
    return before, sgld_step(before, before @ H, ANCHOR, normal[:, 1], scales)


def test_acceptance_of_correlated_steps_is_that_of_metropolis_and_hastings():
    scales = Scales(step_size=0.3, nbeta=5.0, gamma=2.0)
    target, found, expected = posterior(scales), [], []

    def density(there: torch.Tensor, here: torch.Tensor) -> torch.Tensor:
        centre = here - scales.step_size / 2 * drift(here, H @ here, ANCHOR, scales)
        return torch.distributions.Normal(centre, math.sqrt(scales.step_size)).log_prob(there).sum()

    for w, proposal in zip(*steps_at_equilibrium(scales, 50), strict=True):
        forth = target.log_prob(w) + density(proposal, w)
        back = target.log_prob(proposal) + density(w, proposal)
        expected.append(min(1.0, math.exp(back - forth)))
        found.append(accepted(w, proposal, scales))
    assert 0.1 < np.mean(found) < 0.9 and 1.0 in found
    np.testing.assert_allclose(found, expected, rtol=1e-10)


def test_acceptance_tends_to_one_with_the_step_size():
    """1 - acceptance falls as ε^3/2, by 2.8 for each halving (Roberts & Rosenthal 1998)."""
    rejected = []
    for step_size in (0.08, 0.02, 0.005):
        scales = Scales(step_size=step_size, nbeta=5.0, gamma=2.0)
        pairs = zip(*steps_at_equilibrium(scales, 1500), strict=True)
        rejected.append(1 - np.mean([accepted(*pair, scales) for pair in pairs]))
    assert 5 < rejected[0] / rejected[1] < 12 and 5 < rejected[1] / rejected[2] < 12  # 8 each
    assert 0 < rejected[2] < 0.005


def test_acceptance_restores_detailed_balance():
    """In equilibrium as much of anything flows in as out, once steps count as often as accepted."""
    scales = Scales(step_size=0.3, nbeta=5.0, gamma=2.0)
    before, after = steps_at_equilibrium(scales, 3000)
    gained = ((after @ H * after).sum(dim=1) - (before @ H * before).sum(dim=1)).numpy()
    weights = np.array([accepted(*pair, scales) for pair in zip(before, after, strict=True)])
    z = {
        name: flow.mean() / flow.std() * math.sqrt(len(flow))
        for name, flow in (("accepted", weights * gained), ("all", gained))
    }
    assert abs(z["accepted"]) < 3.5
    assert z["all"] > 10
