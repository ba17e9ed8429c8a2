"""Detectors: a textbook CUSUM on numbers by hand, and what each number is."""

import math
from typing import get_args

import pytest

from transience.training.detectors import DETECTORS, Alarm
from transience.training.settings import StopSettings

WARM = {"learning_rate": 1.0, "batch_loss": 1.0, "ridge_loss": 1.0}


def warmed_up(name, threshold=math.inf):
    """An alarm after a first row, in which the rate has risen, and which does not count."""
    alarm = Alarm(name, threshold)
    assert not alarm.see(WARM) and alarm.sum == 0
    return alarm


def sums(name, rows):
    alarm, found = warmed_up(name), []
    for row in rows:
        assert not alarm.see(WARM | row)  # without a threshold there is none
        found.append(alarm.sum)
    return found


def test_settings_name_every_detector():
    assert {*get_args(StopSettings.model_fields["detector"].annotation)} == {"", *DETECTORS}


def test_sums_are_of_what_is_above_the_slack_and_never_negative():
    projections = [0.1, 0.5, 0.4, math.nan, -2.0, 0.6]
    found = sums("projection", [{"projection": one} for one in projections])
    assert found == pytest.approx([0.0, 0.2, 0.3, 0.3, 0.0, 0.3])


def test_the_alarm_is_at_the_first_sum_above_the_threshold():
    alarm = warmed_up("projection", 0.5)
    assert [alarm.see(WARM | {"projection": 0.5}) for _ in range(4)] == [False, False, True, True]


def test_below_ridge_is_the_part_by_which_a_model_beats_it():
    rows = [{"batch_loss": b, "ridge_loss": 2.0} for b in (3.0, 1.5, 1.0)]
    assert sums("below_ridge", rows) == pytest.approx([0.0, 0.25, 0.75])


@pytest.mark.parametrize(
    ("name", "row"),
    [
        ("small_gradient", lambda value: {"gradient_norm": value}),
        ("calm_gradient", lambda value: {"gradient_variance": 2 * value, "batch_loss": 2.0}),
    ],
)
def test_falls_are_from_the_largest_so_far(name, row):
    slack = DETECTORS[name].slack
    found = sums(name, [row(value) for value in (1.0, 16.0, math.nan, 0.0, 1.0, 32.0, 0.5)])
    first, second = math.log(16) - slack, math.log(64) - slack
    assert found == pytest.approx([0, 0, 0, 0, first, max(0, first - slack),
                                   max(0, first - slack) + second])  # fmt: skip
