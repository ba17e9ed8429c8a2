"""The sampler on its own: the step, the chain, and the diagnostics on traces with known answers."""

import math

import numpy as np
import pytest
import torch

from transience.randomness import generator, numpy_generator
from transience.sgld import (
    effective_sample_size,
    monte_carlo_error,
    sample_chain,
    sgld_step,
    split_rhat,
)

SCALES = {"step_size": 0.02, "nbeta": 5.0, "gamma": 2.0}


def autoregressive(correlation: float, shape: tuple[int, ...], *stream: str) -> np.ndarray:
    """Traces x_t = correlation · x_(t-1) + noise, stationary with variance 1."""
    noise = numpy_generator(0, *stream).standard_normal(shape)
    trace = np.empty(shape)
    trace[..., 0] = noise[..., 0]
    for t in range(1, shape[-1]):
        innovation = math.sqrt(1 - correlation**2) * noise[..., t]
        trace[..., t] = correlation * trace[..., t - 1] + innovation
    return trace


def test_step_is_the_stated_update():
    w, anchor = torch.tensor([1.0, -2.0]), torch.tensor([0.5, 0.0])
    gradient, noise = torch.tensor([3.0, 4.0]), torch.tensor([1.0, -1.0])
    moved = sgld_step(w, gradient, anchor, noise, **SCALES)
    # 1 - 0.01 (5·3 + 2·0.5) + √0.02 and -2 - 0.01 (5·4 - 2·2) - √0.02
    expected = torch.tensor([1 - 0.16 + math.sqrt(0.02), -2 - 0.16 - math.sqrt(0.02)])
    torch.testing.assert_close(moved, expected)


def test_step_leaves_its_arguments_alone():
    tensors = [torch.ones(3) * i for i in range(4)]
    sgld_step(*tensors, **SCALES)
    assert all(torch.equal(tensor, torch.ones(3) * i) for i, tensor in enumerate(tensors))


def test_chain_has_the_quadratics_stationary_variance_at_this_step_size():
    h, n = 3.0, 20_000
    a = SCALES["nbeta"] * h + SCALES["gamma"]
    # one parameter per independent copy; the loss is the sum over the copies
    chain = sample_chain(
        lambda w: ((0.5 * h * w.square()).sum()[None], h * w),
        torch.zeros(n, dtype=torch.float64),
        [()] * 100,
        generator(0, "test noise"),
        **SCALES,
    )
    variance = 1 / (a * (1 - SCALES["step_size"] * a / 4))  # exact for the discretised dynamics
    assert chain.position.var().item() == pytest.approx(variance, rel=4 * math.sqrt(2 / n))
    assert chain.losses[0] == 0.0  # draw 0 is the anchor
    assert len(chain.losses) == 100 and not chain.diverged


def test_chain_stops_at_a_gradient_that_is_not_finite():
    def value_and_gradient(w, bad):
        return torch.zeros(1), torch.where(bad, math.nan, w)

    batches = [(torch.tensor(draw == 3),) for draw in range(6)]
    chain = sample_chain(
        value_and_gradient, torch.zeros(2), batches, generator(0, "test noise"), **SCALES
    )
    assert chain.diverged and len(chain.losses) == 3
    assert torch.isfinite(chain.position).all()


@pytest.mark.parametrize("correlation", [0.0, 0.5, 0.9, 0.97])
def test_effective_sample_size_of_an_autoregressive_trace(correlation):
    traces = autoregressive(correlation, (40, 20_000), "ar", str(correlation))
    expected = 20_000 * (1 - correlation) / (1 + correlation)
    found = np.mean([effective_sample_size(trace) for trace in traces])
    assert 0.75 * expected < found <= 1.02 * expected  # cautious: the smaller of two estimates


def test_effective_sample_size_sees_slow_chains_under_minibatch_noise():
    slow = 2 * autoregressive(0.98, (400, 800), "slow")  # integrated time 99 draws
    noise = math.sqrt(40) * numpy_generator(0, "fast").standard_normal(slow.shape)
    reported = np.mean([monte_carlo_error(trace) for trace in slow + noise])
    exact = math.sqrt((40 + 4 * 99) / 800)
    assert 0.65 * exact < reported < 1.1 * exact


def test_effective_sample_size_is_at_most_the_length():
    alternating = np.tile([1.0, -1.0], 50)
    assert effective_sample_size(alternating) == 100
    assert effective_sample_size(alternating[:5]) == 5
    assert effective_sample_size(np.ones(7)) == 7


def test_monte_carlo_error_is_the_spread_of_means_over_reruns():
    traces = autoregressive(0.9, (400, 2_000), "error")
    reported = np.mean([monte_carlo_error(trace) for trace in traces])
    assert reported == pytest.approx(traces.mean(axis=1).std(ddof=1), rel=0.15)


def test_split_rhat_sees_disagreement_between_and_within_chains():
    agreeing = autoregressive(0.0, (4, 2_000), "rhat")
    assert split_rhat(agreeing) == pytest.approx(1.0, abs=0.003)
    assert split_rhat(agreeing + np.arange(4)[:, None]) > 1.4
    assert split_rhat(agreeing + np.linspace(0, 3, 2_000)) > 1.2  # the same drift in every chain
    # halves 0, 1 of one chain with variance 1/3 each: between 1/2, R² = 3/4 + (1/2)/(1/3)
    by_hand = np.array([[0.5, -0.5, 0.5, -0.5, 1.5, 0.5, 1.5, 0.5]])
    assert split_rhat(by_hand) == pytest.approx(math.sqrt(3 / 4 + 3 / 2))


def test_split_rhat_without_anything_to_compare_is_missing():
    assert math.isnan(split_rhat(np.zeros((0, 10))))
    assert math.isnan(split_rhat(np.zeros((2, 3))))
    assert math.isnan(split_rhat(np.ones((2, 10))))
