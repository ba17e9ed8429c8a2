"""Where phases lie, what the rate is in them, and what is kept."""

import math

import pytest
from small import TRAINING

from transience.training.phases import Segment, kept_steps, learning_rate, segments
from transience.training.settings import (
    BranchSettings,
    CheckpointSettings,
    PhaseSettings,
    TrainingSettings,
)

SETTINGS = TrainingSettings(**TRAINING)
CHECKPOINTS = CheckpointSettings(linear_every=20, logarithmic_count=2)


def phase(**changes) -> PhaseSettings:
    return PhaseSettings(**changes)


def test_segments_cover_a_training_with_plain_ones_between():
    fresh, last = phase(begin=10, end=20, fresh_fraction=0.1), phase(begin=0.75)
    found = segments([fresh, last], 0, 40)
    assert [(one.begin, one.end) for one in found] == [(0, 10), (10, 20), (20, 30), (30, 40)]
    assert [one.phase for one in found] == [phase(), fresh, phase(), last]
    assert segments([], 0, 40) == [Segment(0, 40)]


def test_a_phase_lasts_to_the_next():
    found = segments([phase(num_tasks=2), phase(begin=0.25, num_tasks=4)], 0, 40)
    assert [(one.begin, one.end, one.phase.num_tasks) for one in found] == [(0, 10, 2), (10, 40, 4)]


def test_in_a_branch_steps_count_from_its_start():
    found = segments([phase(begin=0.5, end=15)], 100, 120)
    assert [(one.begin, one.end) for one in found] == [(100, 110), (110, 115), (115, 120)]


def test_what_lies_behind_the_end_is_cut_off():
    found = segments([phase(begin=5, end=30), phase(begin=30)], 0, 10)
    assert [(one.begin, min(one.end, 10)) for one in found] == [(0, 5), (5, 10)]


def rates(phases: list[PhaseSettings], steps: list[int], stop: int = 40) -> list[float]:
    settings = SETTINGS.model_copy(update={"learning_rate": 8.0, "warmup_steps": 4})
    parts = segments(phases, 0, stop)
    part_of = {step: one for one in parts for step in range(one.begin, one.end)}
    return [learning_rate(step, settings, part_of[step]) for step in steps]


def test_a_rate_is_led_to_a_factor_along_a_line():
    cooled = [phase(begin=20, learning_rate_factor=0.0, learning_rate_course="linear")]
    assert rates(cooled, [0, 3, 19, 20, 30, 39]) == pytest.approx([2, 8, 8, 8, 4, 0.4])


def test_or_half_a_cosine():
    whole = [phase(learning_rate_factor=0.5, learning_rate_course="cosine")]
    expected = [8 * (0.5 + 0.25 * (1 + math.cos(math.pi * step / 40))) for step in (10, 20, 39)]
    assert rates(whole, [10, 20, 39]) == pytest.approx(expected)


def test_from_where_the_phase_just_before_ended():
    first = phase(begin=10, end=20, learning_rate_factor=0.5)
    linear = {"learning_rate_factor": 0.0, "learning_rate_course": "linear"}
    assert rates([first, phase(begin=20, end=30, **linear)], [10, 20, 25, 30]) == [4, 4, 2, 8]
    assert rates([first, phase(begin=25, end=30, **linear)], [20, 25]) == [8, 8]


# What is kept


def kept(states=(), start=0, before=(), **training) -> tuple[list[int], list[int]]:
    checkpoints = CHECKPOINTS.model_copy(update={"states": list(states)})
    settings = SETTINGS.model_copy(update=training)
    return kept_steps(settings, checkpoints, start=start, before=before)


def test_a_checkpoint_is_taken_where_a_phase_begins_and_a_state_is_kept():
    steps, states = kept([0.25, 33], phases=[phase(begin=15, end=18)])
    assert steps == [0, 1, 10, 15, 18, 20, 33, 40]
    assert states == [10, 33]


def test_all_states():
    assert kept(["all"]) == ([0, 1, 20, 40],) * 2


def test_a_branch_has_its_parents_checkpoints_before_it_begins():
    steps, states = kept(["all"], start=25, before=[0, 3, 20])
    assert steps == [0, 3, 20, 25, 40]
    assert states == [25, 40]


def test_a_branch_may_be_short_or_go_on_for_longer():
    short = {"branch": BranchSettings(variant="a", step=25, num_steps=5)}
    assert kept(start=25, **short)[0] == [25, 30]
    assert kept(start=25, num_steps=20)[0] == [25]
    assert kept(start=25, branch=BranchSettings(variant="a", num_steps=40))[0] == [25, 40, 60, 65]
