"""The sampler on its own: the step, chains alone and side by side, their acceptance."""

import math

import numpy as np
import pytest
import torch
from matrices import product_with, rotation, symmetric
from regression import ONE_SAMPLE, sampler

from transience.complexity.curvature import lanczos
from transience.complexity.estimate import LLCEstimate
from transience.complexity.estimator import estimate_llc_with_gradient
from transience.complexity.preconditioner import Preconditioner, measure_curvature
from transience.complexity.settings import SamplerSettings, Scales
from transience.complexity.sgld import (
    PROBE_EVERY,
    Metric,
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


def test_without_a_metric_the_step_is_rounded_as_it_was_before_there_were_any():
    """Pull first, noise after it: the other order gives other float32 draws."""
    stream = generator(0, "rounding")
    w, gradient, anchor, noise = torch.randn(4, 1000, generator=stream)
    pull = 5.0 * gradient + 2.0 * (w - anchor)
    expected = w - 0.01 * pull + math.sqrt(0.02) * noise
    assert torch.equal(sgld_step(w, gradient, anchor, noise, SCALES), expected)
    (chain,) = sample_chains(
        stack_of_one(lambda w: ((w.square()).sum()[None] / 2, w)), anchor, [()] * 30,
        [generator(0, "test noise")], SCALES,
    )  # fmt: skip
    w, again = anchor, generator(0, "test noise")
    for _ in range(30):
        noise = torch.empty_like(w).normal_(generator=again)
        w = w - 0.01 * (5.0 * w + 2.0 * (w - anchor)) + math.sqrt(0.02) * noise
    assert torch.equal(chain.position, w)


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
    ends = (w, proposal)
    found = metropolis_acceptance(ends, (h * w, h * proposal), rise, anchor, a)
    torch.testing.assert_close(found, ratio.clamp(max=0).exp())
    assert 0 < found.min() < 0.9
    assert metropolis_acceptance(ends, (h * w, math.nan * w), rise, anchor, a).max() == 0


# Metropolis acceptance, on a Gaussian loss ½ wᵀ H w in two dimensions

H = torch.tensor([[2.0, 0.8], [0.8, 1.0]], dtype=torch.float64)
ANCHOR = torch.tensor([0.3, -0.2], dtype=torch.float64)


def accepted(
    w: torch.Tensor, proposal: torch.Tensor, scales: Scales, metric: Metric | None = None
) -> float:
    rise = 0.5 * (proposal @ H @ proposal - w @ H @ w)
    gradients = (H @ w, H @ proposal)
    return metropolis_acceptance((w, proposal), gradients, rise, ANCHOR, scales, metric).item()


def posterior(scales: Scales) -> torch.distributions.MultivariateNormal:
    precision = scales.nbeta * H + scales.gamma * torch.eye(2, dtype=torch.float64)
    mean = torch.linalg.solve(precision, scales.gamma * ANCHOR)
    return torch.distributions.MultivariateNormal(mean, precision_matrix=precision)


def steps_at_equilibrium(
    scales: Scales, number: int, metric: Metric | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    stream = generator(0, "equilibrium")
    target = posterior(scales)
    normal = torch.randn(number, 2, 2, generator=stream, dtype=torch.float64)
    before = target.mean + normal[:, 0] @ target.scale_tril.T
    return before, sgld_step(before, before @ H, ANCHOR, normal[:, 1], scales, metric)


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


# With a preconditioner

TILTED = Preconditioner(  # not along an eigenvector of H, and so not of the energy
    directions=torch.tensor([[0.8, 0.6]], dtype=torch.float64),
    curvatures=torch.tensor([40.0], dtype=torch.float64),
    pace=2.0,
    h_star=0.4,
)


def test_a_preconditioned_step_is_the_matrix_times_drift_and_its_root_times_noise():
    A = TILTED.power(torch.eye(2, dtype=torch.float64), 1.0)
    root = TILTED.power(torch.eye(2, dtype=torch.float64), 0.5)
    w, gradient, noise = torch.randn(3, 2, generator=generator(0, "step"), dtype=torch.float64)
    pull = SCALES.nbeta * gradient + SCALES.gamma * (w - ANCHOR)
    expected = w - SCALES.step_size / 2 * A @ pull + math.sqrt(SCALES.step_size) * root @ noise
    torch.testing.assert_close(sgld_step(w, gradient, ANCHOR, noise, SCALES, TILTED), expected)
    assert not torch.allclose(sgld_step(w, gradient, ANCHOR, noise, SCALES), expected)


def test_acceptance_with_a_preconditioner_is_that_of_its_proposal():
    scales = Scales(step_size=0.6, nbeta=5.0, gamma=2.0)
    A = TILTED.power(torch.eye(2, dtype=torch.float64), 1.0)
    target, found, expected, plain = posterior(scales), [], [], []

    def density(there: torch.Tensor, here: torch.Tensor) -> torch.Tensor:
        centre = here - scales.step_size / 2 * A @ drift(here, H @ here, ANCHOR, scales)
        around = torch.distributions.MultivariateNormal(centre, scales.step_size * A)
        return around.log_prob(there)

    for w, proposal in zip(*steps_at_equilibrium(scales, 50, TILTED), strict=True):
        forth = target.log_prob(w) + density(proposal, w)
        back = target.log_prob(proposal) + density(w, proposal)
        expected.append(min(1.0, math.exp(back - forth)))
        found.append(accepted(w, proposal, scales, TILTED))
        plain.append(accepted(w, proposal, scales))
    assert 0.1 < np.mean(found) < 0.9 and 1.0 in found
    np.testing.assert_allclose(found, expected, rtol=1e-10)
    assert np.abs(np.subtract(found, plain)).max() > 0.1


def test_the_identity_changes_no_acceptance():
    scales = Scales(step_size=0.3, nbeta=5.0, gamma=2.0)
    identity = Preconditioner(TILTED.directions[:0], TILTED.curvatures[:0], pace=2.0, h_star=0.4)
    for pair in zip(*steps_at_equilibrium(scales, 20), strict=True):
        assert accepted(*pair, scales, identity) == pytest.approx(accepted(*pair, scales))


CURVATURES = np.geomspace(0.1, 30.0, 20)  # condition number 300
HESSIAN = symmetric(CURVATURES.tolist())
POSTERIOR = Scales(step_size=1.0, nbeta=100.0, gamma=10.0)  # h* = 0.1, as the least curvature


def quadratic(w: torch.Tensor, *_: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    gradient = w @ HESSIAN
    return (w * gradient).sum(dim=-1, keepdim=True) / 2, gradient


def exact_spectrum_metric() -> Preconditioner:
    spectrum = lanczos(product_with(HESSIAN), torch.ones(20, dtype=torch.float64), 20)
    return Preconditioner.of(spectrum, POSTERIOR.gamma / POSTERIOR.nbeta)


def variances(step_size: float, *, plain: bool) -> np.ndarray:
    """1/(m (1 - ε α m/4)) along each direction: exact for the discretised dynamics."""
    m = POSTERIOR.nbeta * CURVATURES + POSTERIOR.gamma
    alpha = np.where(plain | (CURVATURES <= 0.5), 1.0, 0.6 / (CURVATURES + 0.1))
    return 1 / (m * (1 - step_size * alpha * m / 4))


@pytest.mark.parametrize("step_size", [0.01, 0.03])
def test_preconditioned_chains_have_the_stationary_variance_of_this_step_size(step_size: float):
    """Along every direction; without the finite step it would be off by up to 80 %."""
    number, scales = 4000, POSTERIOR.model_copy(update={"step_size": step_size})
    noises = [generator(0, "test noise", chain) for chain in range(number)]
    metric = exact_spectrum_metric()
    normal = torch.randn(number, 20, generator=generator(0, "start"), dtype=torch.float64)
    zero = torch.zeros(20, dtype=torch.float64)
    draws = math.ceil(8 / (step_size * 20))  # the slowest forgets its start, of nearly its variance
    chains = sample_chains(
        quadratic, zero, [()] * draws, noises, scales,
        start=metric.start(zero, normal, scales), metric=metric,
    )  # fmt: skip
    found = torch.stack([chain.position for chain in chains]) @ rotation(20)
    expected = variances(step_size, plain=False)
    assert expected[-1] * 3010 == pytest.approx(1 / (1 - step_size * 60 / 4), rel=1e-3)
    z = (found.var(dim=0).numpy() / expected - 1) / math.sqrt(2 / number)
    assert (np.abs(z) < 4.5).all(), z
    assert not any(chain.diverged for chain in chains)


def estimated(settings: SamplerSettings, *, plain: bool) -> LLCEstimate:
    """From 24 chains side by side; every chain has generators of its own."""
    start = torch.ones(20, dtype=torch.float64)
    spectrum = lanczos(product_with(HESSIAN), start, 20)
    curvature = measure_curvature(product_with(HESSIAN), spectrum, start, settings)
    return estimate_llc_with_gradient(
        quadratic, torch.zeros(20, dtype=torch.float64), ONE_SAMPLE, settings,
        stacked=quadratic, curvature=None if plain else curvature,
    )  # fmt: skip


def test_a_preconditioned_estimate_is_the_plain_one_with_ten_times_fewer_draws():
    """Each at a stiffness of 0.075 and from as many relaxation times of its flattest direction."""
    common = {"nbeta": 100.0, "gamma": 10.0, "num_chains": 24, "batch_size": 1}
    settings = {
        True: sampler(**common, step_size=1e-4, num_draws=2000, num_burn_in=1500),
        False: sampler(**common, step_size=5e-3, num_draws=200, num_burn_in=20),
    }
    found = {plain: estimated(settings[plain], plain=plain) for plain in (True, False)}
    for plain, estimate in found.items():
        nbeta, step_size = POSTERIOR.nbeta, settings[plain].step_size
        exact = nbeta / 2 * np.sum(CURVATURES * variances(step_size, plain=plain))
        assert estimate.standard_error < 0.02 * exact
        assert abs(estimate.llc - exact) < 4 * estimate.standard_error
    assert found[True].losses.size >= 10 * found[False].losses.size
    assert found[False].standard_error < found[True].standard_error
    assert found[False].acceptances.min() > 0.8
    assert 0.075 < found[False].stiffness < 0.09  # from above: γ counts in full
    # without the preconditioner the same step would be far beyond stability
    assert settings[False].step_size * (100 * 30 + 10) / 4 > 3
