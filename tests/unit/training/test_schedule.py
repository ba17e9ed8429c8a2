"""At which steps weights are kept, and how many steps these are."""

import pytest

from transience.training.schedule import num_checkpoints, schedule


def test_schedule_of_the_paper_has_2203_checkpoints():
    steps = schedule(150_000, linear_every=100, logarithmic_count=1000)
    assert len(steps) == 2203
    assert steps[0] == 0 and steps[-1] == 150_000 and 1 in steps and 2 in steps


def test_schedule_is_the_union_of_linear_and_logarithmic():
    assert schedule(10, linear_every=4, logarithmic_count=3) == [0, 1, 3, 4, 8, 10]
    assert schedule(7, linear_every=100, logarithmic_count=1) == [0, 1, 7]


@pytest.mark.parametrize(
    "settings", [(150000, 100, 1000), (1000, 50, 4), (10000, 500, 60), (999, 1000, 2), (7, 3, 50)]
)
def test_checkpoints_are_counted_as_training_saves_them(settings: tuple[int, int, int]) -> None:
    num_steps, linear_every, logarithmic_count = settings
    steps = schedule(num_steps, linear_every=linear_every, logarithmic_count=logarithmic_count)
    assert num_checkpoints(*settings) == len(steps)


def test_the_schedule_has_no_rounding_errors() -> None:
    """In floats 1000^(1/3) is a little less than 10."""
    assert schedule(1000, linear_every=500, logarithmic_count=4) == [0, 1, 10, 100, 500, 1000]
    assert num_checkpoints(1000, 500, 4) == 6
