"""Wandering tasks: a stationary walk that is a function of seed, rates and step."""

import math

import pytest
import torch

from transience.problem.drift import Drift, Walk, drifted, last_move, wander
from transience.problem.tasks import task_sequence, task_set


def test_tasks_stay_standard_normal_and_fade_at_the_rate():
    start = task_sequence(0, 20_000, 2)
    later = drifted(start, 0, [Drift(0, 10, 0.05)], 10)
    error = 1 / math.sqrt(start.numel())
    assert later.mean().abs() < 4 * error
    assert (later.var() - 1).abs() < 4 * math.sqrt(2) * error
    assert ((start * later).mean() - math.exp(-0.5)).abs() < 5 * error


def test_at_rate_1_or_0():
    start = task_sequence(0, 5, 3)
    assert torch.equal(wander(start, 0, 3, 0.0), start)
    kept = wander(start, 0, 3, 1.0) - wander(torch.zeros_like(start), 0, 3, 1.0)
    torch.testing.assert_close(kept, math.exp(-1) * start)


@pytest.mark.parametrize("step", [0, 3, 4, 7, 12])
def test_where_they_stand_is_what_step_by_step_they_come_to(step):
    drifts = Drift(3, 5, 0.2), Drift(7, 9, 0.01)
    tasks = task_set(1, 4.0, 2)
    for at in range(step):
        for drift in drifts:
            if drift.begin <= at < drift.end:
                tasks = wander(tasks, 1, at, drift.rate)
    assert torch.equal(drifted(task_set(1, 4.0, 2), 1, drifts, step), tasks)


def test_sets_of_more_tasks_begin_with_those_of_fewer():
    few, many = (drifted(task_set(1, m, 3), 1, [Drift(0, 4, 0.3)], 9) for m in (2.0, 6.0))
    assert torch.equal(few, many[:2])


@pytest.mark.parametrize("steps", [[0, 3, 4, 8, 8, 30], [8, 4, 0, 9]])
def test_a_walk_stands_where_it_stands_however_it_is_asked(steps):
    drifts, start = (Drift(3, 5, 0.2), Drift(7, 9, 0.01)), task_set(1, 4.0, 2)
    walk = Walk(start, 1, drifts)
    for step in steps:
        found = walk.at(step)
        assert torch.equal(found, drifted(start, 1, drifts, step))
        found.zero_()  # a copy


def test_the_last_move_is_that_of_the_last_step_that_moved_tasks():
    drifts = Drift(3, 5, 0.2), Drift(7, 9, 0.01)
    found = [last_move(drifts, step) for step in range(11)]
    assert found == [0, 0, 0, 0, 4, 5, 5, 5, 8, 9, 9]
    assert last_move([], 10) == 0
