"""What a run has used by a step."""

import math

import pandas as pd
import pytest

from transience.departure.course import Course


def course() -> Course:
    """Warm-up over 10 steps to a rate of 1, batches of 8, then of 4 from step 20 on."""
    rows = [(1, 0.1, 8, 1), (10, 1.0, 80, 10), (20, 1.0, 160, 20), (40, 1.0, 240, 60)]
    columns = ["step", "learning_rate", "sequences", "seconds"]
    return Course.of(pd.DataFrame(rows, columns=columns).sample(frac=1, random_state=0))


@pytest.mark.parametrize(("step", "expected"), [(0, 0), (1, 8), (15, 120), (30, 200), (40, 240)])
def test_sequences(step, expected):
    assert course().at(step, "sequences") == pytest.approx(expected)


def test_rate_time_is_the_area_under_the_rate():
    area = 0.1 + 9 * 0.55
    assert course().at(10, "rate_time") == pytest.approx(area)
    assert course().at(25, "rate_time") == pytest.approx(area + 15)


def test_never_stays_never():
    assert course().at(math.inf, "sequences") == math.inf
    assert math.isnan(course().at(math.nan, "seconds"))
