"""What each law makes of its numbers, by hand."""

import math

import numpy as np
import pandas as pd
import pytest

from transience.departure.laws import LAWS, with_features
from transience.departure.rational import RIDGE_BITS, log_odds

RUNS = pd.DataFrame(
    {
        "num_tasks": [2.0, 8.0, 14.0], "delta_loss": [-30.0, -20.0, -10.0],
        "run_llc": [-1.0, 60.0, math.nan], "reference_llc": [50.0, 50.0, 50.0],
        "predicted_samples": [0.0, 5000.0, math.nan],
    }
)  # fmt: skip
FEATURES = with_features(RUNS, 4)


def predicted(name: str, numbers: list[float]) -> list[float]:
    law = LAWS[name]
    found = law.predict(np.array([numbers]), law.columns(FEATURES))
    return np.exp(np.broadcast_to(found, (1, 3))[0]).tolist()


def reported(name: str, numbers: list[float]) -> dict[str, float]:
    law = LAWS[name]
    told = law.report(np.array([numbers]), law.columns(FEATURES))
    return {key: value.item() for key, value in told.items()}


def test_m_alone():
    """Numbers are log n at the median M, 8, and a slope."""
    power = [math.log(6400), 2.0]
    assert predicted("power_law", power) == pytest.approx([400, 6400, 19600])
    assert reported("power_law", power) == pytest.approx({"c": 100, "a": 2})
    rate = [math.log(100) + 2.0, 2.0]  # the mean M is 8
    rates = [100 * math.exp(2 * m / 8) for m in (2, 8, 14)]
    assert predicted("exponential", rate) == pytest.approx(rates)
    assert reported("exponential", rate) == pytest.approx({"c": 100, "a": 2})
    assert predicted("constant", [math.log(100)]) == pytest.approx([100] * 3)
    assert reported("constant", [math.log(100)]) == pytest.approx({"c": 100})


def test_equation_8_is_taken_as_it_is():
    assert predicted("equation_8", [])[:2] == pytest.approx([0, 5000])
    assert LAWS["equation_8"].priors == ()


@pytest.mark.parametrize(
    ("name", "dmmse", "ridge"),
    [
        ("rational_description_length", 4096 + 32 * 4 * 8, RIDGE_BITS),
        ("rational_mean_gap", 4096 + 32 * 4 * 8, RIDGE_BITS),
        ("rational_llc", 60.0, 50.0),
        ("rational_llc_of_dmmse", 60.0, 0.0),
    ],
)
def test_the_rational_laws_have_even_odds_where_they_say(name: str, dmmse: float, ridge: float):
    numbers = [0.4, -0.3, 9.0]
    n = predicted(name, numbers)[1]
    constants = reported(name, numbers)
    assert constants.keys() == {"alpha", "beta", "gamma"}
    if name == "rational_description_length":  # the run of M = 8 has the median of all
        assert n == pytest.approx(math.exp(9.0))
    assert log_odds(n, 20.0, dmmse, ridge, **constants) == pytest.approx(0, abs=1e-8)


def test_the_mean_gap_is_that_of_the_seeds_of_an_m():
    seeds = with_features(RUNS.assign(num_tasks=[2.0, 8.0, 8.0]), 4)
    assert seeds["mean_gain"].tolist() == [30, 15, 15]


def test_an_llc_below_zero_is_no_complexity_and_a_missing_one_stays_missing():
    assert predicted("rational_llc", [0, 0, 9])[0] == 0
    assert math.isnan(predicted("rational_llc", [0, 0, 9])[2])
    assert FEATURES["cost"].tolist()[:2] == [0, 60]


def test_no_law_has_more_than_three_numbers():
    assert max(len(law.priors) for law in LAWS.values()) == 3
