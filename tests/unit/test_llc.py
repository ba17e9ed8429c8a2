"""The LLC estimator against known answers, and what it must do when something is wrong."""

import contextlib
import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from transience import command, llc, tables
from transience.checkpoints import CheckpointWriter
from transience.errors import InputError
from transience.gradients import LossAndGradient
from transience.llc import choose_checkpoints, estimate_llc, estimate_llc_of_vector
from transience.llc_estimate import (
    LLCEstimate,
    LLCSettings,
    draw_table,
    flags,
    summary_table,
)
from transience.randomness import generator, numpy_generator
from transience.sgld import PROBE_EVERY
from transience.tasks import sample_sequences
from transience.transformer import Architecture, initial_parameters, sequence_losses, unflatten

SETTINGS = LLCSettings(
    step_size=1e-3,
    nbeta=50.0,
    gamma=10.0,
    num_chains=3,
    num_draws=40,
    num_burn_in=10,
    batch_size=16,
)
ONE_SAMPLE = (torch.zeros(1, dtype=torch.float64),)  # for losses that look at no data
COMMAND_SETTINGS = {
    "task": {"task_dimension": 2, "num_examples": 3, "noise_variance": 0.1},
    "model": {
        "width": 8,
        "num_layers": 2,
        "num_heads": 2,
        "mlp_width": 8,
        "output_projection": False,
        "doubled_residual": False,
    },
    "llc": {
        "checkpoints": [0, 10],
        "step_size": 1.0e-3,
        "nbeta": 50.0,
        "gamma": 10.0,
        "num_chains": 2,
        "num_draws": 10,
        "num_burn_in": 2,
        "batch_size": 16,
        "num_sequences": 32,
    },
}
SMALL = Architecture.from_settings(COMMAND_SETTINGS)


def regression(num_samples: int = 512, dimension: int = 5) -> tuple[dict, tuple, np.ndarray]:
    """Linear regression in float64 at its least-squares solution: parameters, data, curvatures."""
    stream = generator(0, "regression")
    xs = torch.randn(num_samples, dimension, generator=stream, dtype=torch.float64)
    ys = xs.sum(dim=1) + torch.randn(num_samples, generator=stream, dtype=torch.float64)
    w = torch.linalg.lstsq(xs, ys[:, None]).solution
    curvatures = torch.linalg.eigvalsh(2 * xs.T @ xs / num_samples)
    return {"weight": w}, (xs, ys), curvatures.numpy()


def squared_error(parameters: dict, xs: torch.Tensor, ys: torch.Tensor) -> torch.Tensor:
    return ((xs @ parameters["weight"])[:, 0] - ys).square()


def small_transformer() -> tuple[dict, tuple]:
    data = sample_sequences(
        0,
        "test",
        tasks=None,
        num_sequences=64,
        num_examples=3,
        task_dimension=2,
        noise_variance=0.1,
    )
    return unflatten(initial_parameters(SMALL, seed=0), SMALL), data


def transformer_loss(parameters: dict, xs: torch.Tensor, ys: torch.Tensor) -> torch.Tensor:
    return sequence_losses(parameters, xs, ys, SMALL)


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
    estimate = estimate_llc(loss, parameters, data, replace(SETTINGS, seed=7), step=300)
    np.testing.assert_allclose(estimate.losses, traces, rtol=tolerance)
    np.testing.assert_allclose(estimate.baseline_losses, baselines, rtol=tolerance)
    by_hand = SETTINGS.nbeta * (traces - baselines)[:, SETTINGS.num_burn_in :].mean()
    assert estimate.llc == pytest.approx(by_hand, rel=100 * tolerance)


def test_hand_written_gradients_give_the_same_trace_as_autograd():
    parameters, data = small_transformer()
    vector = torch.cat([tensor.reshape(-1) for tensor in parameters.values()])
    slow = estimate_llc(transformer_loss, parameters, data, SETTINGS)
    fast = estimate_llc_of_vector(LossAndGradient(SMALL), vector, data, SETTINGS)
    np.testing.assert_allclose(fast.losses, slow.losses, rtol=1e-5)
    np.testing.assert_allclose(fast.excess, slow.excess, atol=SETTINGS.nbeta * 1e-5)


@pytest.mark.parametrize("data_mode", ["fixed", "fresh"])
def test_chains_side_by_side_are_those_one_after_another(data_mode):
    parameters, data = small_transformer()
    settings = replace(SETTINGS, data_mode=data_mode)
    if data_mode == "fresh":
        whole, size = data, settings.batch_size
        data = lambda chain, draw: tuple(t[(draw + chain) % 48 :][:size] for t in whole)  # noqa: E731
    alone = estimate_llc(transformer_loss, parameters, data, settings, step=3)
    together = estimate_llc(transformer_loss, parameters, data, settings, step=3, together=True)
    np.testing.assert_allclose(together.losses, alone.losses, rtol=1e-5)
    np.testing.assert_allclose(together.baseline_losses, alone.baseline_losses, rtol=1e-5)
    np.testing.assert_allclose(together.acceptances, alone.acceptances, atol=1e-3)
    np.testing.assert_allclose(together.distances, alone.distances, rtol=1e-4)
    assert together.centred_llc == pytest.approx(alone.centred_llc, abs=SETTINGS.nbeta * 1e-4)


# Against closed forms


def test_quadratic_has_its_exact_value_at_finite_steps():
    """L = ½ Σ h_i w_i², summed over independent copies; every number is exact (ours)."""
    h, copies = np.array([0.0, 0.5, 5.0, 40.0]), 1000
    settings = LLCSettings(0.01, 4.0, 3.0, 2, num_draws=60, num_burn_in=5, batch_size=1)
    curvature = torch.from_numpy(h)

    def loss(parameters, _):
        return (0.5 * curvature * parameters["w"].square()).sum()[None]

    start = {"w": torch.zeros(copies, 4, dtype=torch.float64)}
    estimate = estimate_llc(loss, start, ONE_SAMPLE, settings)

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
        settings = LLCSettings(0.02 / nbeta, nbeta, pull * nbeta, 2, 600, 300, 1)
        estimate = estimate_llc(
            lambda parameters, _: (h / 2 * (parameters["w"] - 0.5).square()).sum()[None],
            start,
            ONE_SAMPLE,
            settings,
        )
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
    settings = LLCSettings(0.05, 2.0, 2.0, 4, num_draws=60, num_burn_in=80, batch_size=1)
    start = {"w": torch.zeros(copies, dtype=torch.float64)}
    estimate = estimate_llc(
        lambda parameters, _: (h / 2 * parameters["w"].square()).sum()[None],
        start,
        ONE_SAMPLE,
        settings,
    )
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
        settings = LLCSettings(step_size, nbeta, gamma, 2, num_draws, num_burn_in, 1)
        start = torch.zeros(2 * copies, dtype=torch.float64)
        estimate = estimate_llc_of_vector(value_and_gradient, start, ONE_SAMPLE, settings)
        return estimate.llc / copies, estimate.monte_carlo_error / copies

    (coarse, coarse_error), (fine, fine_error) = llc(2e-3, 500, 1000), llc(1e-3, 1000, 2000)
    extrapolated = 2 * fine - coarse  # to step size 0: the bias is linear in it
    expected, error = quadrature(a, b, nbeta, gamma), math.hypot(2 * fine_error, coarse_error)
    assert error < 0.04 * expected
    assert abs(extrapolated - expected) < 3 * error


def test_regular_model_has_the_posterior_mean_of_linear_regression():
    """Σ nβ h/(2(nβ h + γ)), towards d/2; minibatch noise inflates it (ours)."""
    parameters, data, h = regression()
    settings = replace(SETTINGS, step_size=2e-4, gamma=1.0, batch_size=64, num_draws=4000)
    settings = replace(settings, num_burn_in=500, num_chains=4)
    estimate = estimate_llc(squared_error, parameters, data, settings)
    expected = (settings.nbeta * h / 2 / (settings.nbeta * h + settings.gamma)).sum()
    assert expected == pytest.approx(2.5, rel=0.02)
    pooled = np.sqrt(np.square([trace.std() for trace in estimate.excess]).mean())
    assert estimate.standard_error < pooled / 5
    assert estimate.llc == pytest.approx(expected, abs=4 * estimate.standard_error + 0.03)


# Invariances


def test_scaling_the_loss_and_nbeta_leaves_the_trace_unchanged():
    parameters, data, _ = regression()
    estimate = estimate_llc(squared_error, parameters, data, SETTINGS)
    scaled = estimate_llc(
        lambda *arguments: 4 * squared_error(*arguments),
        parameters,
        data,
        replace(SETTINGS, nbeta=SETTINGS.nbeta / 4),
    )
    assert np.array_equal(scaled.excess, estimate.excess)


def test_chains_do_not_depend_on_how_many_there_are():
    parameters, data, _ = regression()
    few = estimate_llc(squared_error, parameters, data, replace(SETTINGS, num_chains=2))
    many = estimate_llc(squared_error, parameters, data, replace(SETTINGS, num_chains=5))
    assert np.array_equal(many.losses[:2], few.losses)
    assert np.array_equal(many.baseline_losses[:2], few.baseline_losses)


def test_same_seed_same_draws_and_other_seeds_or_steps_others():
    parameters, data, _ = regression()

    def run(seed, step):
        settings = replace(SETTINGS, seed=seed)
        return estimate_llc(squared_error, parameters, data, settings, step=step).losses

    first = run(seed=0, step=10)
    assert np.array_equal(run(seed=0, step=10), first)
    assert not np.isclose(run(seed=1, step=10), first).any()
    assert not np.isclose(run(seed=0, step=11), first).any()
    assert not np.isclose(first[0], first[1]).any()


def test_paired_baseline_has_the_same_mean_and_a_smaller_variance():
    parameters, data, _ = regression()
    seeds = range(40)
    both = {}
    for baseline in ("paired", "dataset"):
        scales = {"step_size": 1e-4, "nbeta": 500.0, "gamma": 100.0}
        settings = replace(SETTINGS, baseline=baseline, num_chains=1, num_draws=100, **scales)
        both[baseline] = np.array(
            [
                estimate_llc(squared_error, parameters, data, replace(settings, seed=s)).llc
                for s in seeds
            ]
        )
    difference = both["dataset"] - both["paired"]
    assert abs(difference.mean()) < 3 * difference.std(ddof=1) / math.sqrt(len(seeds))
    assert both["dataset"].var() > 10 * both["paired"].var()


def test_fresh_samples_and_a_fixed_dataset_of_the_same_distribution_agree():
    """The posterior mean of linear regression on N(0, I): Σ nβ h/(2(nβ h + γ)) with h = 2."""
    weight = {"weight": torch.ones(5, 1, dtype=torch.float64)}

    def draw_batch(chain: int, draw: int) -> tuple[torch.Tensor, torch.Tensor]:
        stream = generator(0, "fresh", chain, draw)
        xs = torch.randn(64, 5, generator=stream, dtype=torch.float64)
        return xs, xs.sum(dim=1) + torch.randn(64, generator=stream, dtype=torch.float64)

    settings = replace(SETTINGS, step_size=4e-4, batch_size=64, data_mode="fresh", num_chains=4)
    settings = replace(settings, num_draws=1500, num_burn_in=300)
    estimate = estimate_llc(squared_error, weight, draw_batch, settings)
    expected = 5 * settings.nbeta * 2 / 2 / (settings.nbeta * 2 + settings.gamma)
    assert estimate.monte_carlo_error < 0.12
    assert estimate.llc == pytest.approx(expected, abs=4 * estimate.monte_carlo_error)
    assert estimate.initial_loss == pytest.approx(1.0, abs=0.02)  # the noise variance
    by_hand = [squared_error(weight, *draw_batch(2, draw)).mean().item() for draw in range(5)]
    np.testing.assert_allclose(estimate.baseline_losses[2, :5], by_hand, rtol=1e-12)


def test_descent_is_what_a_point_that_is_no_minimum_has_to_lose():
    """nβ (L(w*) - L(mean of draws)); added to λ̂ it gives that of the pulled minimum."""
    h, copies, nbeta, gamma = 2.0, 2000, 20.0, 60.0
    start = {"w": torch.zeros(copies, dtype=torch.float64)}  # the minimum of the loss is at 0.5
    settings = LLCSettings(1e-3, nbeta, gamma, 2, 600, 300, 1)
    estimate = estimate_llc(
        lambda parameters, _: (h / 2 * (parameters["w"] - 0.5).square()).sum()[None],
        start,
        ONE_SAMPLE,
        settings,
    )
    pulled = 0.5 * nbeta * h / (nbeta * h + gamma)
    expected = nbeta * h / 2 * (0.5**2 - (0.5 - pulled) ** 2)
    assert estimate.descent / copies == pytest.approx(expected, rel=0.02)


# What goes wrong


def test_a_chain_that_diverges_stops_and_the_others_go_on():
    parameters, data, _ = regression()
    sound = estimate_llc(squared_error, parameters, data, SETTINGS)
    calls, per_chain = iter(range(10**6)), SETTINGS.num_burn_in + SETTINGS.num_draws
    baseline_calls = math.ceil(len(data[0]) / SETTINGS.batch_size)
    probes = per_chain // PROBE_EVERY
    broken_call = baseline_calls + per_chain + probes + 20 + 20 // PROBE_EVERY  # draw 20, chain 1

    def sometimes_broken(*arguments):
        scale = math.nan if next(calls) == broken_call else 1.0
        return scale * squared_error(*arguments)

    estimate = estimate_llc(sometimes_broken, parameters, data, SETTINGS)
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
    settings = replace(SETTINGS, step_size=10.0, num_draws=400)
    estimate = estimate_llc(squared_error, parameters, data, settings)
    assert estimate.diverged.all() and math.isnan(estimate.llc)
    table = summary_table(estimate, {})
    assert (table["flags"] == "DIVERGED").all() and table["llc"].isna().all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"step_size": 0.0}, "step_size: expected a number > 0, found 0.0"),
        ({"step_size": "1e-3"}, "step_size: expected a number > 0, found '1e-3'"),
        ({"nbeta": -1.0}, "nbeta: expected a number > 0, found -1.0"),
        ({"nbeta": math.nan}, "nbeta: expected a number > 0, found nan"),
        ({"gamma": -0.5}, "gamma: expected a number >= 0, found -0.5"),
        ({"num_chains": 0}, "num_chains: expected a whole number >= 1, found 0"),
        ({"num_draws": 0}, "num_draws: expected a whole number >= 1, found 0"),
        ({"num_draws": 2.5}, "num_draws: expected a whole number >= 1, found 2.5"),
        ({"num_burn_in": -1}, "num_burn_in: expected a whole number >= 0, found -1"),
        ({"batch_size": True}, "batch_size: expected a whole number >= 1, found True"),
        ({"data_mode": "stream"}, "data_mode: expected fixed or fresh, found 'stream'"),
        ({"seed": -1}, "seed: expected a whole number >= 0, found -1"),
        ({"baseline": "pared"}, "baseline: expected paired or dataset, found 'pared'"),
    ],
)
def test_unusable_settings_get_one_line(change, message):
    with pytest.raises(InputError) as error:
        replace(SETTINGS, **change)
    assert str(error.value) == message


def test_unusable_inputs_get_one_line():
    parameters, data, _ = regression(num_samples=20)

    def message(parameters=parameters, data=data, loss=squared_error, settings=SETTINGS):
        with pytest.raises(InputError) as error:
            estimate_llc(loss, parameters, data, settings)
        return str(error.value)

    broken = {"weight": parameters["weight"].clone()}
    broken["weight"][1] = math.nan
    assert message(broken) == "parameters: expected finite numbers, found 1 of 5 not"
    too_large = replace(SETTINGS, batch_size=21)
    assert message(settings=too_large) == (
        "batch_size: expected at most the samples of the dataset, found 21 of 20"
    )
    assert message(data=(data[0], data[1][:-1])) == (
        "data: expected tensors of one length, found lengths [19, 20]"
    )
    assert message(data=lambda chain, draw: data) == (
        "data: expected tensors in data_mode fixed, found a function"
    )
    assert message(settings=replace(SETTINGS, data_mode="fresh")) == (
        "data: expected a function in data_mode fresh, found tensors"
    )
    assert message(loss=lambda *arguments: squared_error(*arguments).mean()).startswith(
        "loss: expected one value for each of 20 samples"
    )
    assert message(loss=lambda *arguments: squared_error(*arguments) * math.inf).startswith(
        "loss: expected finite values"
    )


# Flags and tables


def estimate_with(excess: np.ndarray, trivial_loss: float | None = 10.0) -> LLCEstimate:
    """An estimate whose paired traces are as given, with nβ = 1 and L(w*) = 2."""
    chains, draws = excess.shape
    settings = replace(SETTINGS, nbeta=1.0, num_chains=chains, num_draws=draws, num_burn_in=0)
    return LLCEstimate(
        settings=settings,
        losses=2 + excess,
        baseline_losses=np.full(excess.shape, 2.0),
        initial_loss=2.0,
        centre_losses=np.full(1 + chains, 2.0),
        trivial_loss=trivial_loss,
        acceptances=np.ones(chains),
        distances=np.ones(chains),
        diverged=~np.isfinite(excess).all(axis=1),
    )


def test_flags_say_what_is_wrong():
    noise = 0.01 * numpy_generator(0, "flags").standard_normal((4, 500))
    assert flags(estimate_with(0.2 + noise)) == [[]] * 4
    assert flags(estimate_with(-0.2 + noise)) == [["NEGATIVE"]] * 4
    assert flags(estimate_with(0.5 + noise)) == [["NOT_LOCAL"]] * 4  # 0.5 of the range 8
    assert flags(estimate_with(0.5 + noise, trivial_loss=None)) == [[]] * 4
    apart = flags(estimate_with(0.2 + noise + 0.01 * np.arange(4)[:, None]))
    assert apart == [["RHAT", "ESS"]] * 4  # chains that disagree are worth few draws
    drifting = flags(estimate_with(0.2 + noise + np.linspace(0, 0.003, 500)))
    assert drifting == [["NOT_EQUILIBRATED"]] * 4
    assert flags(estimate_with(0.2 + noise[:, :12])) == [["ESS"]] * 4
    assert flags(estimate_with(np.vstack([0.5 + noise[:1], 0.2 + noise])))[0][0] == "NOT_LOCAL"


def test_tables_have_the_columns_of_their_schemas():
    parameters, data, _ = regression()
    estimate = estimate_llc(squared_error, parameters, data, SETTINGS, trivial_loss=6.0)
    keys = {"variant": "baseline", "num_tasks": math.inf, "seed": 0, "step": 100}
    summary, draws = summary_table(estimate, keys), draw_table(estimate, keys)
    assert set(summary.columns) == {column.name for column in tables.schemas()["llc"].columns}
    assert set(draws.columns) == {column.name for column in tables.schemas()["llc_trace"].columns}
    assert len(draws) == 3 * 50 and len(summary) == 3
    kept = draws[draws["draw"] >= SETTINGS.num_burn_in]
    from_draws = kept.groupby("chain").apply(
        lambda chain: SETTINGS.nbeta * (chain["loss"] - chain["baseline_loss"]).mean()
    )
    np.testing.assert_allclose(summary["llc"], from_draws, rtol=1e-12)
    np.testing.assert_allclose(
        summary["llc"], (summary["first_half_llc"] + summary["second_half_llc"]) / 2, rtol=1e-12
    )


@pytest.mark.parametrize(
    ("wanted", "indices"),
    [
        (["final"], [3]),
        ([0, 90], [0, 2]),
        (["final", 10_000], [3]),
        ([140, "final", 9], [0, 2, 3]),
        ([0.09, 0.5, "final"], [2, 3]),
    ],
)
def test_checkpoints_are_chosen_by_nearest_step(wanted, indices):
    assert choose_checkpoints([0, 20, 100, 1000], wanted) == indices


# The command


@pytest.fixture
def checkpoints(tmp_path: Path) -> Path:
    """A run of the small transformer at steps 0, 9 and 20; the last has a NaN."""
    metadata = {"variant": "baseline", "num_tasks": "4", "seed": 1, "settings": COMMAND_SETTINGS}
    vectors = {step: initial_parameters(SMALL, seed=step) for step in (0, 9, 20)}
    vectors[20][3] = math.nan
    writer = CheckpointWriter(tmp_path / "partial", list(vectors), len(vectors[0]), metadata)
    for step, vector in vectors.items():
        writer.write(step, vector)
    writer.finish(tmp_path / "checkpoints.safetensors")
    return tmp_path / "checkpoints.safetensors"


def run_command(checkpoints: Path, monkeypatch, changes: dict | None = None) -> None:
    settings = COMMAND_SETTINGS | {"llc": COMMAND_SETTINGS["llc"] | (changes or {})}
    flags = {"--variant": "baseline", "--num-tasks": "4", "--seed": "1", "--device": "cpu"}
    flags |= {"--settings": json.dumps(settings), "--checkpoints": str(checkpoints)}
    flags |= {"--llc": str(checkpoints.with_name("llc"))}
    flags |= {"--state-dir": str(checkpoints.with_name("state"))}
    flags |= {"--llc-trace": str(checkpoints.with_name("llc_trace"))}
    monkeypatch.setattr("sys.argv", ["llc", *(text for pair in flags.items() for text in pair)])
    command.run(llc.main)


def test_the_command_writes_both_tables(checkpoints: Path, monkeypatch, capsys):
    run_command(checkpoints, monkeypatch)
    summary = tables.read_table(checkpoints.with_name("llc"), "llc")
    draws = tables.read_table(checkpoints.with_name("llc_trace"), "llc_trace")
    assert summary[["step", "chain"]].to_numpy().tolist() == [[0, 0], [0, 1], [9, 0], [9, 1]]
    assert (summary["seed"] == 1).all() and (summary["num_tasks"] == 4).all()
    assert summary["llc"].notna().all() and summary["loss_rise_fraction"].notna().all()
    assert len(draws) == 2 * 2 * 12
    assert "llc baseline M=4 seed=1  draw 48/48 (100%)" in capsys.readouterr().err


def test_a_killed_command_goes_on_after_the_checkpoints_it_finished(
    checkpoints: Path, monkeypatch, capsys
):
    run_command(checkpoints, monkeypatch)
    paths = {name: checkpoints.with_name(name) for name in ("llc", "llc_trace")}
    whole = {name: tables.read_table(path, name) for name, path in paths.items()}
    estimated: list[int] = []

    def killed_after(number: int):
        def estimate(*args, step: int, **options):
            if len(estimated) == number:
                raise KeyboardInterrupt
            estimated.append(step)
            return estimate_llc_of_vector(*args, step=step, **options)

        return estimate

    monkeypatch.setattr(llc, "estimate_llc_of_vector", killed_after(1))
    with pytest.raises(SystemExit):
        run_command(checkpoints, monkeypatch)
    (kept,) = checkpoints.parent.glob("state/*/llc_0.parquet")
    monkeypatch.setattr(llc, "estimate_llc_of_vector", killed_after(9))
    run_command(checkpoints, monkeypatch, {"num_draws": 8, "checkpoints": [9]})
    assert estimated == [0, 9]  # another setting's state is not gone on with
    assert not kept.exists()  # a job that ends well leaves none
    estimated.clear()
    for number in (1, 9):
        monkeypatch.setattr(llc, "estimate_llc_of_vector", killed_after(number))
        with contextlib.suppress(SystemExit):
            run_command(checkpoints, monkeypatch)
    assert estimated == [0, 9]
    said = capsys.readouterr().err
    assert "resuming after 1 checkpoints" in said and "draw 48/48 (100%)" in said
    for name, path in paths.items():
        assert tables.read_table(path, name).equals(whole[name])


def test_a_damaged_state_is_estimated_again(checkpoints: Path, monkeypatch, capsys):
    write_table = tables.write_table

    def write_and_damage(path, name, *args):
        write_table(path, name, *args)
        if name == "llc" and Path(path).name != "llc":
            Path(path).write_bytes(Path(path).read_bytes()[:-9])
            raise KeyboardInterrupt

    monkeypatch.setattr(llc.tables, "write_table", write_and_damage)
    with pytest.raises(SystemExit):
        run_command(checkpoints, monkeypatch)
    monkeypatch.undo()
    run_command(checkpoints, monkeypatch)
    assert "found a file that is truncated or not Parquet" in capsys.readouterr().err
    assert len(tables.read_table(checkpoints.with_name("llc"), "llc")) == 4


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"checkpoints": ["final"]}, ", step 20: parameters: expected finite numbers, found 1 of "),
        ({"batch_size": 33}, ", step 0: batch_size: expected at most the samples of the dataset"),
    ],
)
def test_the_command_says_in_one_line_what_is_wrong(
    changes: dict, message: str, checkpoints: Path, monkeypatch, capsys
):
    with pytest.raises(SystemExit) as stopped:
        run_command(checkpoints, monkeypatch, changes)
    said = capsys.readouterr().err
    assert stopped.value.code == 1 and said.count("\n") == 1
    assert said.startswith(f"error: {checkpoints}{message}")
    assert not checkpoints.with_name("llc").exists()
