"""Observed departures: between which checkpoints, or cut off, where the answer is known."""

import math

import numpy as np
import pandas as pd
import pytest

from transience.departure.observed import OUTCOMES, departure, departures, relative_distance, t_crit
from transience.files.tables import schemas

STEPS = np.array([0, 1, 10, 100, 200, 300, 400])
CLOSE = np.array([4.0, 4.0, 2.0, 0.9, 0.5, 0.5, 0.5])


@pytest.mark.parametrize(
    ("relative", "to_ridge", "expected"),
    [
        ([0.5, 0.5, 0.5, 0.6, 0.7, 0.4, 0.2], CLOSE, ("left", 200, 300)),
        ([0.5, 0.5, 0.5, 0.6, 0.4, 0.6, 0.4], CLOSE, ("left", 100, 400)),  # hovers
        ([0.5, 0.4, 0.4, 0.6, 0.7, 0.4, 0.2], CLOSE, ("left", 200, 300)),  # early noise is none
        ([0.5, 0.5, 0.5, 0.6, 0.7, 0.7, 0.7], CLOSE, ("stays", 400, math.inf)),
        ([0.5, 0.5, 0.5, 0.6, 0.4, 0.4, 0.5], CLOSE, ("stays", 100, math.inf)),  # just came back
        ([0.5, 0.5, 0.4, 0.3, 0.2, 0.1, 0.0], CLOSE, ("passed_by", 0, 10)),
        ([0.4, 0.4, 0.4, 0.3, 0.2, 0.1, 0.0], CLOSE, ("passed_by", 0, 0)),
        ([0.5, 0.5, 0.5, 0.6, 0.7, 0.4, 0.2], 4 + 0 * CLOSE, ("passed_by", 0, 300)),
        ([0.5, 0.5, 0.5, 0.6, 0.7, 0.7, 0.7], 4 + 0 * CLOSE, ("neither", 0, math.inf)),
    ],
)
def test_a_departure_lies_between_two_checkpoints_or_is_cut_off(relative, to_ridge, expected):
    assert departure(STEPS, np.array(relative), to_ridge) == expected


def test_the_dictionary_of_tables_has_the_same_words():
    (column,) = [one for one in schemas()["free_energy"].columns if one.name == "outcome"]
    said = "; ".join(f"`{outcome}`: {meaning}" for outcome, meaning in OUTCOMES.items())
    assert column.meaning.startswith(f"{said}.")


def test_more_checkpoints_narrow_the_departure_and_do_not_move_it():
    for number in (20, 80, 320):
        steps = np.linspace(0, 1000, number)
        relative = 0.5 + 0.3 * np.cos(steps / 1000 * np.pi)  # halfway at step 500
        outcome, low, high = departure(steps, relative, np.where(steps < 100, 4.0, 0.5))
        assert outcome == "left"
        assert low <= 500 <= high <= low + 1001 / (number - 1)


def test_an_untrained_model_that_is_far_from_both_is_not_near_ridge():
    noise = np.array([0.51, 0.51, 0.5, 0.51, 0.5, 0.51, 0.5])
    assert departure(STEPS, noise, 4 + 0 * CLOSE)[0] == "neither"


def test_t_crit_is_the_first_step_of_the_least_loss():
    assert t_crit(STEPS, np.array([4.0, 3.0, 2.0, 1.5, 1.5, 1.6, 2.0])) == 100


def test_relative_distance_is_missing_where_both_predictors_are_reached():
    frame = pd.DataFrame({"distance_to_dmmse": [1.0, 0.0, 0.0], "distance_to_ridge": [3.0, 2.0, 0]})
    np.testing.assert_array_equal(relative_distance(frame), [0.25, 0.0, math.nan])


def test_departures_are_those_on_the_training_distribution_of_each_finite_m():
    relative = np.array([0.5, 0.5, 0.5, 0.6, 0.7, 0.4, 0.2])
    right = pd.DataFrame(
        {
            "step": STEPS, "distribution": "training", "position": None,
            "distance_to_dmmse": CLOSE * relative / (1 - relative), "distance_to_ridge": CLOSE,
        }
    )  # fmt: skip
    decoys = (right.assign(position=0), right.assign(distribution="gaussian"))
    decoys = (one.assign(distance_to_ridge=0.1) for one in decoys)
    run = pd.concat([right, *decoys]).sample(frac=1, random_state=0)
    both = [run.assign(variant="baseline", num_tasks=m, seed=0) for m in (8.0, math.inf)]
    found = departures(pd.concat(both)).set_index("num_tasks")[["outcome", "low", "high"]]
    assert found.loc[8.0].tolist() == ["left", 200, 300]
    assert found.loc[math.inf, "outcome"] == "reference"
    assert found.loc[math.inf, ["low", "high"]].isna().all()
