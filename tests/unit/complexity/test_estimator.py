"""The LLC estimator against a plain loop and closed forms, and what it must not depend on."""

import math
import multiprocessing
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial

import numpy as np
import pytest
import torch
from regression import ONE_SAMPLE, regression, sampler, squared_error
from small import small_run

from transience.complexity.estimate import draw_table, summary_table
from transience.complexity.estimator import estimate_llc_of_loss, estimate_llc_with_gradient
from transience.complexity.settings import SamplerSettings
from transience.complexity.sgld import PROBE_EVERY
from transience.errors import InputError
from transience.model.loss_and_gradient import LossAndGradient
from transience.model.transformer import initial_parameters, sequence_losses, unflatten
from transience.problem.randomness import generator

SETTINGS = sampler()
RUN = small_run(math.inf)


def small_transformer() -> tuple[dict, tuple]:
    parameters = unflatten(initial_parameters(RUN.architecture, seed=0), RUN.architecture)
    return parameters, RUN.sequences("test", num_sequences=64)


def transformer_loss(parameters: dict, xs: torch.Tensor, ys: torch.Tensor) -> torch.Tensor:
    return sequence_losses(parameters, xs, ys, RUN.architecture)


# Against a loop that anyone can check


def reference_traces(loss, parameters, data, settings, seed, step):
    """SGLD in the plainest form: losses of every draw on its minibatch, and those of w* there."""
    names = list(parameters)
    traces, baselines = [], []
    for chain in range(settings.num_chains):
        choice = generator(seed, "sgld batches", step, chain)
        noises = generator(seed, "sgld noise", step, chain)
        num_steps = settings.num_burn_in + settings.num_draws
        rows = torch.randint(len(data[0]), (num_steps, settings.batch_size), generator=choice)
        w = {name: parameters[name].clone() for name in names}
        trace, baseline = [], []
        for row in rows:
            batch = [tensor[row] for tensor in data]
            leaves = {name: w[name].clone().requires_grad_() for name in names}
            mean_loss = loss(leaves, *batch).mean()
            gradients = torch.autograd.grad(mean_loss, list(leaves.values()))
            trace.append(mean_loss.item())
            baseline.append(loss(parameters, *batch).mean().item())
            size = sum(w[name].numel() for name in names)
            dtype = w[names[0]].dtype
            noise = torch.randn(size, generator=noises, dtype=dtype)
            start = 0
            for name, gradient in zip(names, gradients, strict=True):
                xi = noise[start : start + gradient.numel()].view(gradient.shape)
                pull = settings.gamma * (w[name] - parameters[name])
                drift = settings.nbeta * gradient + pull
                w[name] = w[name] - settings.step_size / 2 * drift + settings.step_size**0.5 * xi
                start += gradient.numel()
        traces.append(trace)
        baselines.append(baseline)
    return np.array(traces), np.array(baselines)


@pytest.mark.parametrize("problem", ["regression", "transformer"])
def test_trace_equals_the_reference_loop_draw_for_draw(problem):
    if problem == "regression":
        (parameters, data, _), loss, tolerance = regression(), squared_error, 1e-12
    else:
        (parameters, data), loss, tolerance = small_transformer(), transformer_loss, 1e-5
    traces, baselines = reference_traces(loss, parameters, data, SETTINGS, seed=7, step=300)
    estimate = estimate_llc_of_loss(loss, parameters, data, sampler(seed=7), step=300)
    np.testing.assert_allclose(estimate.losses, traces, rtol=tolerance)
    np.testing.assert_allclose(estimate.baseline_losses, baselines, rtol=tolerance)
    by_hand = SETTINGS.nbeta * (traces - baselines)[:, SETTINGS.num_burn_in :].mean()
    assert estimate.llc == pytest.approx(by_hand, rel=100 * tolerance)


def test_hand_written_gradients_give_the_same_trace_as_autograd():
    parameters, data = small_transformer()
    vector = torch.cat([tensor.reshape(-1) for tensor in parameters.values()])
    slow = estimate_llc_of_loss(transformer_loss, parameters, data, SETTINGS)
    fast = estimate_llc_with_gradient(LossAndGradient(RUN.architecture), vector, data, SETTINGS)
    np.testing.assert_allclose(fast.losses, slow.losses, rtol=1e-5)
    np.testing.assert_allclose(fast.excess, slow.excess, atol=SETTINGS.nbeta * 1e-5)


@pytest.mark.parametrize("data_mode", ["fixed", "fresh"])
def test_chains_side_by_side_are_those_one_after_another(data_mode):
    parameters, data = small_transformer()
    settings = sampler(data_mode=data_mode)
    if data_mode == "fresh":
        whole, size = data, settings.batch_size
        data = lambda chain, draw: tuple(t[(draw + chain) % 48 :][:size] for t in whole)  # noqa: E731
    alone = estimate_llc_of_loss(transformer_loss, parameters, data, settings, step=3)
    together = estimate_llc_of_loss(
        transformer_loss, parameters, data, settings, step=3, together=True
    )
    np.testing.assert_allclose(together.losses, alone.losses, rtol=1e-5)
    np.testing.assert_allclose(together.baseline_losses, alone.baseline_losses, rtol=1e-5)
    np.testing.assert_allclose(together.acceptances, alone.acceptances, atol=1e-3)
    np.testing.assert_allclose(together.distances, alone.distances, rtol=1e-4)
    assert together.centred_llc == pytest.approx(alone.centred_llc, abs=SETTINGS.nbeta * 1e-4)


# Against closed forms


def without_data(
    step_size: float, nbeta: float, gamma: float, *,
    num_chains: int = 2, num_draws: int = 600, num_burn_in: int = 300,
) -> SamplerSettings:  # fmt: skip
    return sampler(
        step_size=step_size, nbeta=nbeta, gamma=gamma, num_chains=num_chains,
        num_draws=num_draws, num_burn_in=num_burn_in, batch_size=1,
    )  # fmt: skip


def parabola(h: float, minimum: float) -> Callable[..., torch.Tensor]:
    return lambda parameters, _: (h / 2 * (parameters["w"] - minimum).square()).sum()[None]


def test_quadratic_has_its_exact_value_at_finite_steps():
    """L = ½ Σ h_i w_i², summed over independent copies; every number is exact (ours)."""
    h, copies = np.array([0.0, 0.5, 5.0, 40.0]), 1000
    settings = without_data(0.01, 4.0, 3.0, num_draws=60, num_burn_in=5)
    curvature = torch.from_numpy(h)

    def loss(parameters, _):
        return (0.5 * curvature * parameters["w"].square()).sum()[None]

    start = {"w": torch.zeros(copies, 4, dtype=torch.float64)}
    estimate = estimate_llc_of_loss(loss, start, ONE_SAMPLE, settings)

    a = settings.nbeta * h + settings.gamma
    rho = 1 - settings.step_size * a / 2
    t = np.arange(settings.num_burn_in, settings.num_burn_in + settings.num_draws)
    variance = (1 - rho ** (2 * t[:, None])) / (a * (1 - settings.step_size * a / 4))  # T modes
    expected = (settings.nbeta * h / 2 * variance).sum(axis=1)
    lags = abs(t[:, None] - t)[:, :, None]
    earlier = variance[np.minimum.outer(t, t) - t[0]]  # T T modes
    covariance = 2 * (settings.nbeta * h / 2) ** 2 * (rho**lags * earlier) ** 2
    exact_error = math.sqrt(covariance.sum(axis=2).mean() / (copies * settings.num_chains))
    z = (estimate.llc / copies - expected.mean()) / exact_error
    assert abs(z) < 3
    per_draw = estimate.excess.mean(axis=0) / copies
    draw_errors = np.sqrt(covariance.sum(axis=2).diagonal() / (copies * settings.num_chains))
    assert (abs(per_draw - expected) < 4.5 * draw_errors).all()


def test_a_point_that_is_no_minimum_reads_low_by_nbeta_times_what_it_can_still_lose():
    """λ̂ = ½ Σ h/(h + h*) - nβ (L(w*) - L(m)), with m the minimum of L + h*/2 |w - w*|²."""
    h, pull, copies = 2.0, 3.0, 2000
    start = {"w": torch.zeros(copies, dtype=torch.float64)}  # the minimum of the loss is at 0.5
    pulled = 0.5 * h / (h + pull)
    still_to_lose = h / 2 * (0.5**2 - (0.5 - pulled) ** 2)
    for nbeta in (2.0, 20.0):
        settings = without_data(0.02 / nbeta, nbeta, pull * nbeta)
        estimate = estimate_llc_of_loss(parabola(h, 0.5), start, ONE_SAMPLE, settings)
        inflation = 1 / (1 - settings.step_size * (nbeta * h + settings.gamma) / 4)  # by ε > 0
        expected = h / (h + pull) / 2 * inflation - nbeta * still_to_lose
        error = estimate.monte_carlo_error / copies
        assert error < 0.02
        assert abs(estimate.llc / copies - expected) < 3 * error
        centred = h / (h + pull) / 2 * inflation  # whatever w* is
        assert estimate.centred_llc / copies == pytest.approx(centred, abs=0.006)


def test_jackknife_frees_the_centred_estimate_of_the_error_of_the_mean():
    """Of few draws of a slow mode, L(mean) is ½ h Var(mean) too high; pseudo-values are exact."""
    h, copies = 1.0, 4000
    settings = without_data(0.05, 2.0, 2.0, num_chains=4, num_draws=60, num_burn_in=80)
    start = {"w": torch.zeros(copies, dtype=torch.float64)}
    estimate = estimate_llc_of_loss(parabola(h, 0.0), start, ONE_SAMPLE, settings)
    a = settings.nbeta * h + settings.gamma
    expected = settings.nbeta * h / 2 / (a * (1 - settings.step_size * a / 4))
    plug_in = (estimate.llc + estimate.descent) / copies
    assert plug_in < 0.95 * expected
    assert estimate.centred_llc / copies == pytest.approx(expected, rel=0.015)
    assert estimate.centred_standard_error / copies < 0.02 * expected


def quadrature(a: int, b: int, nbeta: float, gamma: float) -> float:
    """Exact nβ E[w1^2a w2^2b] under exp(-nβ w1^2a w2^2b - γ/2 |w|²), by a Riemann sum."""
    half = np.linspace(0, 6 / math.sqrt(gamma), 3001)[:-1] + 3 / math.sqrt(gamma) / 3000
    x, y = half[:, None], half[None, :]
    energy = nbeta * x ** (2 * a) * y ** (2 * b)
    density = np.exp(-energy - gamma / 2 * (x**2 + y**2))
    return float((energy * density).sum() / density.sum())


@pytest.mark.parametrize(("a", "b", "published"), [(1, 1, 0.354), (2, 2, 0.147), (1, 2, 0.206)])
def test_normal_crossing_agrees_with_quadrature(a, b, published):
    """L = w1^2a w2^2b is singular at 0: λ = min(1/2a, 1/2b), but not yet at this nβ and γ."""
    assert quadrature(a, b, nbeta=100.0, gamma=1.0) == pytest.approx(published, abs=6e-4)
    copies, nbeta, gamma = 2000, 100.0, 10.0

    def value_and_gradient(w, _):
        x, y = w.view(2, copies)
        p, q = x ** (2 * a), y ** (2 * b)
        gradient = torch.cat([2 * a * x ** (2 * a - 1) * q, 2 * b * y ** (2 * b - 1) * p])
        return (p * q).sum()[None], gradient

    def llc(step_size, num_burn_in, num_draws):
        chains = {"num_burn_in": num_burn_in, "num_draws": num_draws}
        settings = without_data(step_size, nbeta, gamma, **chains)
        start = torch.zeros(2 * copies, dtype=torch.float64)
        estimate = estimate_llc_with_gradient(value_and_gradient, start, ONE_SAMPLE, settings)
        return estimate.llc / copies, estimate.monte_carlo_error / copies

    (coarse, coarse_error), (fine, fine_error) = llc(2e-3, 500, 1000), llc(1e-3, 1000, 2000)
    extrapolated = 2 * fine - coarse  # to step size 0: the bias is linear in it
    expected, error = quadrature(a, b, nbeta, gamma), math.hypot(2 * fine_error, coarse_error)
    assert error < 0.04 * expected
    assert abs(extrapolated - expected) < 3 * error


def test_regular_model_has_the_posterior_mean_of_linear_regression():
    """Σ nβ h/(2(nβ h + γ)), towards d/2; minibatch noise inflates it (ours)."""
    parameters, data, h = regression()
    settings = sampler(
        step_size=2e-4, gamma=1.0, batch_size=64, num_draws=4000, num_burn_in=500, num_chains=4
    )
    estimate = estimate_llc_of_loss(squared_error, parameters, data, settings)
    expected = (settings.nbeta * h / 2 / (settings.nbeta * h + settings.gamma)).sum()
    assert expected == pytest.approx(2.5, rel=0.02)
    pooled = np.sqrt(np.square([trace.std() for trace in estimate.excess]).mean())
    assert estimate.standard_error < pooled / 5
    assert estimate.llc == pytest.approx(expected, abs=4 * estimate.standard_error + 0.03)


def test_descent_is_what_a_point_that_is_no_minimum_has_to_lose():
    """nβ (L(w*) - L(mean of draws)); added to λ̂ it gives that of the pulled minimum."""
    h, copies, nbeta, gamma = 2.0, 2000, 20.0, 60.0
    start = {"w": torch.zeros(copies, dtype=torch.float64)}  # the minimum of the loss is at 0.5
    settings = without_data(1e-3, nbeta, gamma)
    estimate = estimate_llc_of_loss(parabola(h, 0.5), start, ONE_SAMPLE, settings)
    pulled = 0.5 * nbeta * h / (nbeta * h + gamma)
    expected = nbeta * h / 2 * (0.5**2 - (0.5 - pulled) ** 2)
    assert estimate.descent / copies == pytest.approx(expected, rel=0.02)


# Invariances


def test_scaling_the_loss_and_nbeta_leaves_the_trace_unchanged():
    parameters, data, _ = regression()
    estimate = estimate_llc_of_loss(squared_error, parameters, data, SETTINGS)
    scaled = estimate_llc_of_loss(
        lambda *arguments: 4 * squared_error(*arguments),
        parameters,
        data,
        sampler(nbeta=SETTINGS.nbeta / 4),
    )
    assert np.array_equal(scaled.excess, estimate.excess)


def test_chains_do_not_depend_on_how_many_there_are():
    parameters, data, _ = regression()
    few = estimate_llc_of_loss(squared_error, parameters, data, sampler(num_chains=2))
    many = estimate_llc_of_loss(squared_error, parameters, data, sampler(num_chains=5))
    assert np.array_equal(many.losses[:2], few.losses)
    assert np.array_equal(many.baseline_losses[:2], few.baseline_losses)


def test_same_seed_same_draws_and_other_seeds_or_steps_others():
    parameters, data, _ = regression()

    def run(seed, step):
        return estimate_llc_of_loss(
            squared_error, parameters, data, sampler(seed=seed), step=step
        ).losses

    first = run(seed=0, step=10)
    assert np.array_equal(run(seed=0, step=10), first)
    assert not np.isclose(run(seed=1, step=10), first).any()
    assert not np.isclose(run(seed=0, step=11), first).any()
    assert not np.isclose(first[0], first[1]).any()


def test_checkpoints_in_another_process_and_order_have_the_same_draws():
    data = RUN.sequences("layout", num_sequences=32)
    settings = sampler(num_chains=2, num_draws=15, num_burn_in=5, batch_size=8)
    jobs = [
        partial(
            estimate_llc_with_gradient, LossAndGradient(RUN.architecture),
            initial_parameters(RUN.architecture, step), data, settings, step=step,
        )
        for step in (10, 200)
    ]  # fmt: skip
    together = [job() for job in jobs]
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        apart = [future.result() for future in [pool.submit(job) for job in reversed(jobs)]][::-1]
    for here, there in zip(together, apart, strict=True):
        assert np.array_equal(here.losses, there.losses)
        assert np.array_equal(here.baseline_losses, there.baseline_losses)
        assert (here.llc, here.standard_error) == (there.llc, there.standard_error)
    assert not np.isclose(together[0].losses, together[1].losses).any()


# What goes wrong


def test_a_chain_that_diverges_stops_and_the_others_go_on():
    parameters, data, _ = regression()
    sound = estimate_llc_of_loss(squared_error, parameters, data, SETTINGS)
    calls, per_chain = iter(range(10**6)), SETTINGS.num_burn_in + SETTINGS.num_draws
    baseline_calls = math.ceil(len(data[0]) / SETTINGS.batch_size)
    probes = per_chain // PROBE_EVERY
    broken_call = baseline_calls + per_chain + probes + 20 + 20 // PROBE_EVERY  # draw 20, chain 1

    def sometimes_broken(*arguments):
        scale = math.nan if next(calls) == broken_call else 1.0
        return scale * squared_error(*arguments)

    estimate = estimate_llc_of_loss(sometimes_broken, parameters, data, SETTINGS)
    assert estimate.diverged.tolist() == [False, True, False]
    assert np.array_equal(estimate.losses[[0, 2]], sound.losses[[0, 2]])
    assert np.array_equal(estimate.losses[1, :20], sound.losses[1, :20])
    assert np.isnan(estimate.losses[1, 20:]).all()
    assert math.isnan(estimate.llc) and math.isnan(estimate.standard_error)
    table = summary_table(estimate, {})
    assert table["llc"].isna().tolist() == [False, True, False]
    assert table["flags"].str.contains("DIVERGED").tolist() == [False, True, False]
    assert np.isfinite(table["distance"]).all() and np.isfinite(table["rhat"]).all()
    assert draw_table(estimate, {}).groupby("chain").size().tolist() == [per_chain, 20, per_chain]


def test_a_step_size_that_is_far_too_large_diverges_in_every_chain():
    parameters, data, _ = regression()
    settings = sampler(step_size=10.0, num_draws=400)
    estimate = estimate_llc_of_loss(squared_error, parameters, data, settings)
    assert estimate.diverged.all() and math.isnan(estimate.llc)
    table = summary_table(estimate, {})
    assert (table["flags"] == "DIVERGED,ACCEPTANCE").all() and table["llc"].isna().all()


def test_unusable_weights_and_losses_get_one_line():
    parameters, data, _ = regression(num_samples=20)

    def message(parameters=parameters, loss=squared_error):
        with pytest.raises(InputError) as error:
            estimate_llc_of_loss(loss, parameters, data, SETTINGS)
        return str(error.value)

    broken = {"weight": parameters["weight"].clone()}
    broken["weight"][1] = math.nan
    assert message(broken) == "parameters: expected finite numbers, found 1 of 5 not"
    assert message(loss=lambda *arguments: squared_error(*arguments).mean()).startswith(
        "loss: expected one value for each of 20 samples"
    )
    assert message(loss=lambda *arguments: squared_error(*arguments) * math.inf).startswith(
        "loss: expected finite values"
    )
