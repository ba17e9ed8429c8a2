"""The fit of a law to bounds: against integrals, least squares and a grid of all its numbers."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm, t

from transience.departure.censored import LEAST, LOG_DEVIATION, MOST, Fit, Law, fit, log_probability

WIDE = (5.0, 100.0)
CONSTANT = Law(lambda numbers, columns: numbers, (), (WIDE,))
LINE = Law(
    lambda numbers, columns: numbers[:, :1] + numbers[:, 1:] * columns["x"], ("x",), (WIDE, WIDE)
)


def runs(number: int, seed: int = 0) -> pd.DataFrame:
    return pd.DataFrame({"x": np.random.default_rng(seed).uniform(0, 3, number)})


@pytest.mark.parametrize(
    ("low", "high"), [(1.0, 2.0), (-math.inf, 0.5), (3.0, math.inf), (-math.inf, math.inf)]
)
def test_probabilities_are_those_of_the_distribution(low: float, high: float):
    expected = norm.cdf(high, 1.5, 0.7) - norm.cdf(low, 1.5, 0.7)
    found = log_probability(np.array([[low], [high]]), np.array([[1.5]]), np.array([[0.7]]))
    assert math.exp(found.item()) == pytest.approx(expected, rel=1e-9)


def test_probabilities_far_out_keep_their_digits():
    for low, high in ((30.0, 31.0), (-31.0, -30.0)):
        bounds = np.array([[low], [high]])
        found = log_probability(bounds, np.zeros((1, 1)), np.ones((1, 1))).item()
        assert found == pytest.approx(norm.logcdf(-30) + math.log1p(-math.exp(-30.5)), rel=1e-9)


def test_known_departures_give_least_squares():
    made = runs(200)
    log_n = 4 + 2 * made["x"].to_numpy() + 0.3 * np.random.default_rng(1).standard_normal(200)
    found = fit(LINE, made, np.stack([log_n - 0.005, log_n + 0.005]))
    slope, start = np.polyfit(made["x"], log_n, 1)
    residual = np.std(log_n - start - slope * made["x"])
    np.testing.assert_allclose(found.best[:2], [start, slope], atol=1e-3)
    assert math.exp(found.best[2]) == pytest.approx(residual, rel=0.01)
    # what is unknown of the slope: its standard error
    error = residual / math.sqrt(200) / made["x"].std(ddof=0)
    assert found.draws[:, 1].std() == pytest.approx(error, rel=0.1)


def test_numbers_that_make_up_for_each_other_are_as_unknown_as_they_are():
    """Start and slope of a line, seen far from where it starts: a narrow valley."""
    made = runs(60) + 30
    log_n = 4 + 0.3 * made["x"].to_numpy() + 0.05 * np.random.default_rng(1).standard_normal(60)
    found = fit(LINE, made, np.stack([log_n - 0.001, log_n + 0.001]))
    (slope, start), covariance = np.polyfit(made["x"], log_n, 1, cov="unscaled")
    residual = np.std(log_n - start - slope * made["x"])
    np.testing.assert_allclose(found.best[:2], [start, slope], rtol=0.02)
    expected = residual * np.sqrt(np.diag(covariance))[::-1]
    np.testing.assert_allclose(found.draws[:, :2].std(axis=0), expected, rtol=0.1)


def test_what_is_cut_off_counts_with_all_that_lies_beyond():
    """Half of a known distribution is cut off, on either side: its mean and width are found."""
    log_n = 8 + 0.5 * np.random.default_rng(2).standard_normal(800)
    high_cut = np.where(log_n > 8, [[8.0], [math.inf]], [log_n - 0.01, log_n + 0.01])
    low_cut = np.where(log_n < 8, [[-math.inf], [8.0]], [log_n - 0.01, log_n + 0.01])
    for bounds in (high_cut, low_cut):
        found = fit(CONSTANT, runs(800), bounds)
        assert found.best[0] == pytest.approx(8, abs=0.06)
        assert math.exp(found.best[1]) == pytest.approx(0.5, rel=0.1)


def test_predictions_are_those_of_a_grid_of_all_numbers():
    """Few runs, one cut off: posterior and prediction by brute force."""
    bounds = np.array([[6.0, 6.5, 7.5, 8.0, 7.0], [6.2, 6.6, 7.6, math.inf, 7.1]])
    found = fit(CONSTANT, runs(5), bounds)
    axes = np.meshgrid(np.arange(2, 14, 0.05), np.arange(-5, 4, 0.05))
    means, logs = (each.ravel() for each in axes)
    weights = norm.logpdf(means, *WIDE) + norm.logpdf(logs, *LOG_DEVIATION)
    ends = ((end[:, None] - means) / np.exp(logs) for end in bounds)
    low, high = (norm.cdf(each) for each in ends)
    weights = np.exp(weights + np.log(high - low + 1e-300).sum(axis=0))
    weights /= weights.sum()
    at = (6.0, 7.0, 8.0, 9.0)
    below = [(weights * norm.cdf(n, means, np.exp(logs))).sum() for n in at]
    mine = [
        math.exp(found.log_probability(runs(1), np.array([[-math.inf], [n]])).item()) for n in at
    ]
    np.testing.assert_allclose(mine, below, atol=0.025)
    low, middle = found.quantiles(runs(1), [0.025, 0.5])[:, 0]
    probability = [(weights * norm.cdf(n, means, np.exp(logs))).sum() for n in (low, middle)]
    np.testing.assert_allclose(probability, [0.025, 0.5], atol=0.03)


def test_intervals_are_as_wide_as_those_of_least_squares():
    """Student's t with what is unknown of the line and of the error, for twelve runs."""
    ratios = []
    for seed in range(8):
        made, new = runs(12, seed), runs(10, 100 + seed)
        x, at = made["x"].to_numpy(), new["x"].to_numpy()
        log_n = 4 + 2 * x + 0.3 * np.random.default_rng(seed).standard_normal(12)
        found = fit(LINE, made, np.stack([log_n - 0.01, log_n + 0.01]))
        low, high = found.quantiles(new, [0.025, 0.975])
        slope, start = np.polyfit(x, log_n, 1)
        error = math.sqrt(np.square(log_n - start - slope * x).sum() / 10)
        spread = np.square(at - x.mean()) / np.square(x - x.mean()).sum()
        half = t.ppf(0.975, 10) * error * np.sqrt(1 + 1 / 12 + spread)
        np.testing.assert_allclose((low + high) / 2, start + slope * at, atol=0.15)
        ratios.append((high - low).mean() / (2 * half).mean())
    assert np.mean(ratios) == pytest.approx(1, abs=0.1)


def test_predictions_beyond_bounds_count_as_there():
    found = Fit(CONSTANT, np.array([80.0, -1.0]), np.array([[-4.0, -1.0]]))
    assert found.predict(runs(2)).tolist() == [MOST, MOST]
    assert found.quantiles(runs(1), [0.5]).item() == pytest.approx(LEAST, abs=1.5)


def test_nothing_but_cut_off_runs_leaves_the_prior_and_no_failure():
    found = fit(CONSTANT, runs(3), np.array([[9.0] * 3, [math.inf] * 3]))
    assert found.best[0] > 8.5 and np.isfinite(found.draws).all()


def test_a_fit_from_nearby_is_the_same():
    made = runs(30)
    log_n = 4 + 2 * made["x"].to_numpy()
    bounds = np.stack([log_n - 0.2, log_n + 0.2])
    once = fit(LINE, made, bounds)
    np.testing.assert_allclose(fit(LINE, made, bounds, once).best, once.best, atol=5e-3)
    assert once.numbers(made).keys() == {"sigma"}
    value, low, high = once.numbers(made)["sigma"]
    assert low < value < high
