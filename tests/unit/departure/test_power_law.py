"""Exponents and intervals, against scipy's line and by how often they hold the truth."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from transience.departure.power_law import fit, interval


def rows(seeds: int = 1, error: float = 0.0, spread: float = 1.0, rng=None) -> pd.DataFrame:
    """24 · a^1.5 · b^-0.3 at factors one at a time, ``spread`` times as high in each next seed."""
    factors = [(1.0, 1.0), *((a, 1.0) for a in (0.25, 0.5, 2.0)), *((1.0, b) for b in (0.5, 4.0))]
    made = pd.DataFrame(
        [(seed, a, b) for seed in range(seeds) for a, b in factors], columns=["seed", "a", "b"]
    )
    value = 24.0 * made["a"] ** 1.5 * made["b"] ** -0.3 * spread ** made["seed"]
    noise = rng.standard_normal(len(made)) if rng is not None else 0.0
    logs = {name: np.log(made[name]) for name in ("a", "b")}
    return made.assign(value=value * np.exp(error * noise), **logs)


def test_exponents_are_found():
    law = fit(rows(seeds=2, spread=4.0))
    assert law.exponent("a")[0] == pytest.approx(1.5)
    assert law.exponent("b")[0] == pytest.approx(-0.3)
    assert law.constant == pytest.approx(48.0)
    value, variance = law.at({"a": math.log(3.0)})
    assert value == pytest.approx(math.log(48.0 * 3.0**1.5))
    assert variance == pytest.approx(0.0, abs=1e-20)


def test_intervals_of_one_factor_are_those_of_a_line():
    made = rows(error=0.1, rng=np.random.default_rng(0)).query("b == 0").drop(columns="b")
    line = stats.linregress(made["a"], np.log(made["value"]))
    half = stats.t.ppf(0.975, 2) * line.stderr
    expected = (line.slope, line.slope - half, line.slope + half)
    assert fit(made).exponent("a") == pytest.approx(expected)


def test_intervals_hold_the_truth_as_often_as_they_say():
    """Of 300 sweeps with errors of 10 %: exponents, and one more run of the same seeds."""
    rng, inside, ahead = np.random.default_rng(1), [], []
    for _ in range(300):
        law = fit(rows(seeds=2, error=0.1, spread=1.5, rng=rng))
        for factor, truth in (("a", 1.5), ("b", -0.3)):
            _, low, high = law.exponent(factor)
            inside.append(low <= truth <= high)
        value, variance = law.at({"a": math.log(8.0)})
        _, low, high = interval(value, math.sqrt(variance), law.freedom)
        truth = math.log(24.0 * math.sqrt(1.5) * 8.0**1.5) + 0.1 * rng.standard_normal()
        ahead.append(low <= truth <= high)
    assert np.mean(inside) == pytest.approx(0.95, abs=0.03)
    assert np.mean(ahead) == pytest.approx(0.95, abs=0.03)


def test_what_does_not_vary_within_a_seed_is_left_out():
    made = rows(seeds=2)
    constant = made.assign(c=0.7 * made["seed"])
    assert fit(constant).factors == ["a", "b"]


def test_factors_that_cannot_be_told_apart_have_no_law():
    made = rows()
    assert fit(made.assign(again=2 * made["a"])) is None
    assert fit(made[["seed", "value"]]) is None
    assert fit(made.iloc[:0]) is None
    assert fit(made.iloc[:1]) is None


def test_as_many_numbers_as_points_have_no_interval():
    law = fit(rows().query("b == 0 and a in [0, @two]", local_dict={"two": math.log(2.0)}))
    value, low, high = law.exponent("a")
    assert value == pytest.approx(1.5)
    assert math.isnan(low) and math.isnan(high) and math.isnan(law.at({})[1])


def test_a_steep_law_has_a_constant_all_the_same():
    """Of two neighbouring M, whose constant is the quantity at M = 1."""
    logs = [math.log(512), math.log(513)]
    law = fit(pd.DataFrame({"seed": [0, 0], "value": [200.0, 100.0], "num_tasks": logs}))
    assert law.constant == pytest.approx(1e300)
