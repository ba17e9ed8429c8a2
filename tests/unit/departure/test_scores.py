"""Means over runs, and what a law is ahead of the power law, by hand."""

import math

import numpy as np
import pandas as pd
import pytest

from transience.departure.censored import Fit, Law
from transience.departure.scores import bootstrapped_mean, numbers_text, scores_table

RUNS = [(8.0, 0, "left"), (8.0, 1, "left"), (64.0, 0, "stays")]
WORDS = {("baseline", name): name for name in ("power_law", "constant")}


def predictions(probabilities: dict[str, list[float]]) -> pd.DataFrame:
    rows = [
        {
            "variant": "baseline", "num_tasks": m, "seed": seed, "held_out": "seed",
            "predictor": name, "outcome": outcome, "error": 0.1 * (1 + seed),
            "log_probability": value, "covered": seed == 0,
        }
        for name, values in probabilities.items()
        for (m, seed, outcome), value in zip(RUNS, values, strict=False)
    ]  # fmt: skip
    return pd.DataFrame(rows)


def test_scores_are_means_over_runs():
    made = predictions({"power_law": [-1.0, -2.0, -3.0], "constant": [-3.0, -3.0, -3.0]})
    found = scores_table(made, WORDS).set_index(["predictor", "scope"])
    every, left = found.loc[("constant", "all")], found.loc[("constant", "left")]
    assert (every["num_runs"], left["num_runs"]) == (3, 2)
    assert every["error"] == pytest.approx(0.4 / 3)
    assert (every["coverage"], left["coverage"]) == pytest.approx((2 / 3, 1 / 2))
    assert (every["advantage"], left["advantage"]) == pytest.approx((-1.0, -1.5))
    assert every["error_low"] <= every["error"] <= every["error_high"]
    assert (found.loc["power_law", ["advantage", "advantage_low", "advantage_high"]] == 0).all(
        axis=None
    )
    assert every["numbers"] == "constant"


def test_the_advantage_is_that_of_runs_which_both_predict():
    found = scores_table(predictions({"power_law": [-1.0], "constant": [-3.0, -9.0]}), WORDS)
    found = found[found["scope"] == "all"].set_index("predictor")
    assert found.at["constant", "advantage"] == -2
    assert found.at["constant", "log_probability"] == -6
    alone = scores_table(predictions({"constant": [-3.0, -9.0]}), WORDS)
    assert alone["advantage"].isna().all() and alone["advantage_low"].isna().all()


def test_intervals_are_those_of_the_mean():
    values = np.random.default_rng(0).standard_normal(400)
    low, high = bootstrapped_mean(values)
    width = 2 * 1.96 * values.std() / math.sqrt(400)
    assert high - low == pytest.approx(width, rel=0.1)
    assert all(map(math.isnan, bootstrapped_mean(values[:0])))


def test_numbers_are_told_with_their_intervals():
    law = Law(
        lambda numbers, columns: numbers,
        (),
        ((0.0, 1.0),),
        lambda n, columns: {"c": np.exp(n[:, 0])},
    )
    draws = np.stack([np.linspace(-1, 1, 101), np.zeros(101)], axis=1)
    text = numbers_text(Fit(law, np.array([0.0, 0.0]), draws), pd.DataFrame())
    assert text == "c=1 (0.39 to 2.6), sigma=1 (1 to 1)"
