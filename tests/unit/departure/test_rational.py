"""The rational model: its log odds cross 0 where it says, and what is at its ends."""

import math

import numpy as np
import pytest
from scipy.optimize import brentq

from transience.departure.rational import (
    BITS_PER_NUMBER,
    PROGRAM_BITS,
    RIDGE_BITS,
    description_length,
    gamma_of,
    log_crossing,
    log_odds,
)

NUMBERS = [(0.7, 0.4, 9.0), (0.1, 0.9, 5.0), (0.95, 0.2, 11.0)]  # alpha, beta, log of the unit


@pytest.mark.parametrize(("alpha", "beta", "log_unit"), NUMBERS)
@pytest.mark.parametrize("m", [1, 8, 1000])
def test_the_log_odds_are_zero_at_the_crossing(alpha: float, beta: float, log_unit: float, m: int):
    """Against a root found by bisection of the equation as Wurgaft et al. write it."""
    gain, bits = 20.0, float(description_length(m, 4))
    gamma = float(gamma_of(alpha, log_unit))
    constants = {"alpha": alpha, "beta": beta, "gamma": gamma}
    found = log_crossing(gain, bits, RIDGE_BITS, alpha=alpha, beta=beta, log_unit=log_unit)

    def odds(log_n: float) -> float:
        evidence = gamma * math.exp(log_n) ** (1 - alpha) * gain
        return evidence - math.log(2) * (bits**beta - RIDGE_BITS**beta)

    assert found == pytest.approx(brentq(odds, -300, 300), abs=1e-6)
    for factor, sign in ((0.9, -1), (1.1, 1)):
        n = factor * math.exp(found)
        assert np.sign(log_odds(n, gain, bits, RIDGE_BITS, **constants)) == sign
        assert log_odds(n, gain, bits, RIDGE_BITS, **constants) == pytest.approx(odds(math.log(n)))


def test_a_description_is_a_program_and_the_numbers_of_all_tasks():
    assert description_length(np.array([1.0, 8.0]), 4).tolist() == [
        PROGRAM_BITS + 4 * BITS_PER_NUMBER, PROGRAM_BITS + 32 * BITS_PER_NUMBER,
    ]  # fmt: skip
    assert PROGRAM_BITS + BITS_PER_NUMBER == RIDGE_BITS


def test_a_larger_gain_or_a_shorter_description_is_an_earlier_departure():
    at = {"alpha": 0.5, "beta": 0.5, "log_unit": 9.0}
    middle = log_crossing(10.0, 6000.0, 4000.0, **at)
    assert log_crossing(20.0, 6000.0, 4000.0, **at) == pytest.approx(middle - 2 * math.log(2))
    assert log_crossing(10.0, 5000.0, 4000.0, **at) < middle


def test_without_a_trade_off_one_of_both_is_preferred_at_every_n():
    gain = np.array([10.0, 0.0, -1.0, 0.0, math.nan, 10.0])
    bits = np.array([3000.0, 6000.0, 6000.0, 3000.0, 6000.0, math.nan])
    found = log_crossing(gain, bits, 4000.0, alpha=0.5, beta=0.5, log_unit=9.0)
    np.testing.assert_array_equal(
        found, [-math.inf, math.inf, math.inf, math.inf, math.nan, math.nan]
    )


def test_the_unit_is_where_a_nat_counts_as_one():
    gamma = gamma_of(0.6, math.log(5000))
    assert gamma * 5000 ** (1 - 0.6) == pytest.approx(1)
