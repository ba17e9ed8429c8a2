"""Diagnostics of paired traces, from ArviZ, on traces with known answers."""

import math

import numpy as np
import pytest

from transience.complexity.diagnostics import (
    effective_sample_size,
    halves_apart,
    monte_carlo_error,
    split_rhat,
)
from transience.problem.randomness import numpy_generator


def autoregressive(correlation: float, shape: tuple[int, ...], *stream: str) -> np.ndarray:
    """Traces x_t = correlation · x_(t-1) + noise, stationary with variance 1."""
    noise = numpy_generator(0, *stream).standard_normal(shape)
    trace = np.empty(shape)
    trace[..., 0] = noise[..., 0]
    for t in range(1, shape[-1]):
        innovation = math.sqrt(1 - correlation**2) * noise[..., t]
        trace[..., t] = correlation * trace[..., t - 1] + innovation
    return trace


@pytest.mark.parametrize("correlation", [0.0, 0.5, 0.9])
def test_effective_sample_size_of_an_autoregressive_trace(correlation):
    traces = autoregressive(correlation, (10, 4, 5_000), "ar", str(correlation))
    expected = 20_000 * (1 - correlation) / (1 + correlation)
    assert np.mean([effective_sample_size(chains) for chains in traces]) == pytest.approx(
        expected, rel=0.15
    )


def test_monte_carlo_error_is_the_spread_of_means_over_reruns():
    traces = autoregressive(0.9, (100, 4, 1_000), "error")
    reported = np.mean([monte_carlo_error(chains) for chains in traces])
    assert reported == pytest.approx(traces.mean(axis=(1, 2)).std(ddof=1), rel=0.25)


def test_error_sees_slow_chains_under_minibatch_noise():
    slow = 2 * autoregressive(0.98, (100, 4, 800), "slow")  # integrated time 99 draws
    noise = math.sqrt(40) * numpy_generator(0, "fast").standard_normal(slow.shape)
    reported = np.mean([monte_carlo_error(chains) for chains in slow + noise])
    exact = math.sqrt((40 + 4 * 99) / 3200)
    assert 0.6 * exact < reported < 1.2 * exact


def test_split_rhat_sees_disagreement_between_and_within_chains():
    agreeing = autoregressive(0.0, (4, 2_000), "rhat")
    assert split_rhat(agreeing) == pytest.approx(1.0, abs=0.005)
    assert split_rhat(agreeing + np.arange(4)[:, None]) > 1.4
    assert split_rhat(agreeing + np.linspace(0, 3, 2_000)) > 1.2  # the same drift in every chain


def test_halves_apart_are_counted_in_their_errors():
    noise = numpy_generator(0, "halves").standard_normal((4, 2_000))
    drift = 0.5 * (np.arange(2_000) >= 1_000)
    error = math.sqrt(2 / 4_000)  # of the difference of two halves of 4000 draws
    assert abs(halves_apart(noise)) < 3
    assert halves_apart(noise + drift) - halves_apart(noise) == pytest.approx(0.5 / error, rel=0.1)
    assert halves_apart(noise - drift) < -10


@pytest.mark.parametrize("traces", [np.zeros((0, 10)), np.zeros((2, 3)), np.ones((2, 10))])
def test_nothing_to_compare_is_missing(traces):
    for diagnostic in (split_rhat, effective_sample_size, monte_carlo_error, halves_apart):
        assert math.isnan(diagnostic(traces))
