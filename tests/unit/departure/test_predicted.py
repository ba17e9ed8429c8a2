"""Predicted departures: the crossover against closed forms and a slow reference."""

import math

import numpy as np
import pytest
from scipy.optimize import brentq

from transience.departure.predicted import crossover, llc_difference_needed, prediction


@pytest.mark.parametrize("ratio", [1 / math.e - 1e-6, 0.3, 1e-2, 1e-5, 1e-9])
def test_the_crossover_solves_its_equation_and_is_the_larger_root(ratio: float):
    n = float(crossover(-2.0 * ratio, 2.0))
    assert math.log(n) / n == pytest.approx(ratio, rel=1e-9)
    assert n >= math.e
    slow = brentq(lambda x: math.log(x) / x - ratio, math.e, 1e14, rtol=1e-12)
    assert n == pytest.approx(slow, rel=1e-6)


def test_known_crossovers():
    assert float(crossover(-1 / math.e, 1.0)) == pytest.approx(math.e, rel=1e-6)
    assert float(crossover(-math.log(4) / 4, 1.0)) == pytest.approx(4)  # not 2, the other root
    assert float(crossover(-math.log(1e5), 1e5)) == pytest.approx(1e5)


@pytest.mark.parametrize(("delta_loss", "delta_llc"), [(-1e-3, 5.0), (-0.2, 1.0), (-1.0, 400.0)])
def test_ridge_has_less_free_energy_before_the_crossover_and_more_after(delta_loss, delta_llc):
    n = float(crossover(delta_loss, delta_llc))
    gap = [m * delta_loss + delta_llc * math.log(m) for m in (0.99 * n, 1.01 * n)]
    assert gap[0] > 0 > gap[1]


@pytest.mark.parametrize(
    ("delta_loss", "delta_llc", "expected", "word"),
    [
        (-1.0, 2.0, 0.0, "dmmse_at_once"),
        (-1.0, 0.0, 0.0, "no_trade_off"),
        (-1.0, -3.0, 0.0, "no_trade_off"),
        (0.0, 3.0, math.inf, "ridge_stays"),
        (0.1, -3.0, math.inf, "ridge_stays"),
        (-1.0, math.nan, math.nan, "missing"),
        (math.nan, 1.0, math.nan, "missing"),
    ],
)
def test_cases_without_a_crossover_have_a_name(delta_loss, delta_llc, expected, word):
    np.testing.assert_equal(float(crossover(delta_loss, delta_llc)), expected)
    assert prediction(8.0, delta_loss, delta_llc) == word
    assert prediction(math.inf, delta_loss, delta_llc) == "reference"


def test_where_there_is_no_root_the_loss_outweighs_the_complexity_at_every_n():
    n = np.geomspace(1, 1e6, 1000)
    assert (-1.0 * n + 2.0 * np.log(n) < 0).all()
    assert prediction(8.0, -1.0, 2.0) == "dmmse_at_once"


def test_the_crossover_grows_with_the_cost_and_keeps_to_their_ratio():
    costs = np.linspace(-5, 500, 2000)
    found = crossover(np.full(2000, -1.0), costs)
    assert (np.diff(found) >= 0).all()
    np.testing.assert_allclose(crossover(-3.0 * np.ones(2000), 3 * costs), found)


def test_the_needed_difference_puts_the_crossover_there():
    loss, n = np.array([-20.0, -0.5]), np.array([3e5, 40.0])
    np.testing.assert_allclose(crossover(loss, llc_difference_needed(loss, n)), n)
    assert np.isnan(llc_difference_needed(loss, np.array([math.inf, 2.0]))).all()
