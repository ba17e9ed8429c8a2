"""Phases in numbers, on made-up courses and on those of the reference sweep."""

import math
from array import array

import numpy as np
import pytest
from made_up_lines import log_of

from transience.training.state import LOG_COLUMNS
from transience.watch.course import Course
from transience.watch.phases import (
    MOST_BANDS,
    PHASES,
    at_steps,
    bands,
    has_risen,
    phases_of_loop,
    phases_of_run,
    since,
    trailing_mean,
)

STEPS = np.arange(10.0, 2001, 10)


def course(**columns):
    found = Course(values={name: array("d", np.asarray(v, float)) for name, v in columns.items()})
    found.values["step"] = array("d", STEPS[: len(next(iter(columns.values())))])
    return found


def made_up(num_tasks, **changes):
    values = np.array(log_of(num_tasks, STEPS)).T
    return course(**dict(zip(LOG_COLUMNS, values, strict=True)) | changes)


def in_order(phases):
    return [PHASES[phase] for phase, _, _ in bands(phases, STEPS[: len(phases)])]


def told(one, num_tasks, rises=None):
    return phases_of_run(one, num_tasks, np.zeros(len(one), bool) if rises is None else rises)


def test_a_run_goes_through_all_phases():
    assert in_order(told(made_up(8.0), 8.0)) == [*PHASES]


def test_an_infinite_one_stays_general():
    found = told(made_up(math.inf), math.inf, np.ones(len(STEPS), bool))
    assert in_order(found) == ["learning", "general"]


def test_a_loss_on_new_tasks_that_has_risen_is_leaving_alone():
    steady = made_up(math.inf)
    steady.values["projection"] = array("d", 0.1 + 0 * STEPS)
    rises = STEPS >= 1500
    found = told(steady, 8.0, rises)
    assert in_order(found) == ["learning", "general", "leaving"]
    assert since(found, STEPS) == 1500


def test_a_model_that_goes_straight_to_dmmse_was_never_general():
    learnt = 3 / (1 + (STEPS / 60) ** 2)
    straight = course(
        batch_loss=0.1 + learnt, ridge_loss=0.9 + 0 * STEPS, dmmse_loss=0.1 + 0 * STEPS,
        projection=1 - learnt / 4,
    )  # fmt: skip
    assert in_order(told(straight, 1.0)) == ["learning", "specialised"]


def test_an_untrained_model_is_not_near_whatever_its_projection():
    flat = course(batch_loss=4 + 0 * STEPS, ridge_loss=0.9 + 0 * STEPS,
                  dmmse_loss=0.1 + 0 * STEPS, projection=0.9 + 0 * STEPS)  # fmt: skip
    assert in_order(told(flat, 4.0)) == ["learning"]


def test_noise_about_ridge_is_no_leaving():
    noise = np.random.default_rng(0).normal(size=len(STEPS))
    near = course(
        batch_loss=np.where(STEPS == 10, 4.0, 0.9 + 0.05 * noise), ridge_loss=0.9 + 0 * STEPS,
        dmmse_loss=0.4 + 0 * STEPS, projection=0.1 + 0 * STEPS,
    )  # fmt: skip
    found = told(near, 64.0)
    assert (found == 2).mean() < 0.02 and (found == 1).mean() > 0.8


def test_without_signals_there_is_no_phase():
    nothing = course(batch_loss=STEPS)
    assert (told(nothing, 8.0) == -1).all()
    assert len(told(course(batch_loss=[]), 8.0)) == 0


def test_a_rise_is_of_a_tenth_after_a_fall_of_a_tenth():
    losses = np.array([4.0, 3.7, 4.1, 3.0, 3.2, 3.31, 2.0, 2.21])
    assert has_risen(losses).tolist() == [False] * 5 + [True, False, True]
    assert has_risen(np.zeros(0)).tolist() == []


def test_values_between_checkpoints_are_those_of_the_last():
    known = np.array([0, 20, 30])
    found = at_steps(np.array([10, 20, 25, 99]), known, np.array([True, False, True]))
    assert found.tolist() == [True, False, False, True]
    assert at_steps(np.array([5]), known[1:], np.array([True, True])).tolist() == [False]
    assert at_steps(np.array([5]), known[:0], np.zeros(0)).tolist() == [False]


def test_a_mean_leaves_out_what_is_missing():
    values = np.array([1.0, math.nan, 3.0, 5.0])
    np.testing.assert_array_equal(trailing_mean(values, 2), [1, 1, 3, 4])
    np.testing.assert_array_equal(trailing_mean(values, 10), [1, 1, 2, 3])
    assert np.isnan(trailing_mean(np.array([math.nan]), 3)).all()


def test_stretches_of_one_phase():
    phases = np.array([0, 0, 1, 1, 3])
    assert bands(phases, STEPS) == [(0, 10, 30), (1, 30, 50), (3, 50, 2000)]
    assert since(phases, STEPS) == 50 and since(np.zeros(3), STEPS) == 10
    assert bands(np.zeros(0, int), STEPS) == [] and since(np.zeros(0), STEPS) is None
    assert len(bands(np.arange(len(STEPS)) % 2, STEPS)) == MOST_BANDS


# Anyone's training


def loop(trained, held_out):
    found = phases_of_loop(np.array(trained, float), np.array(held_out, float))
    return in_order(found)


def test_one_that_memorises_first_and_then_understands():
    trained = [4.0] * 5 + [0.1] * 30
    held_out = [4.0] * 5 + [5.0] * 10 + [0.2] * 20
    assert loop(trained, held_out) == ["learning", "specialised", "general"]


def test_one_that_is_general_for_a_while():
    trained = np.linspace(4, 0, 40)
    held_out = [4.0] * 5 + [0.2] * 10 + [0.9] * 10 + [3.0] * 15
    words = loop(trained, held_out)
    assert words[:3] == ["learning", "general", "leaving"] and words[-1] == "specialised"


def test_a_loss_that_cannot_be_told_has_no_phase():
    found = phases_of_loop(np.full(3, 1.0), np.full(3, math.nan))
    assert found.tolist() == [-1, -1, -1]
    assert len(phases_of_loop(np.zeros(0), np.zeros(0))) == 0


@pytest.mark.parametrize("small", [1e-6, 1e-4])
def test_noise_of_a_loss_that_is_nearly_nothing_is_no_leaving(small):
    noise = small * (1 + np.random.default_rng(0).random(50))
    assert loop([4.0, 1.0, *noise], [4.0, 1.0, *noise])[-1] == "general"


def test_losses_that_are_missing_for_a_while_change_no_later_phase():
    trained = np.linspace(1.0, 0.1, 30)
    held_out = np.concatenate([np.geomspace(1.0, 0.1, 15), np.full(15, 0.4)])
    expected = phases_of_loop(trained, held_out)
    gone = held_out.copy()
    gone[8:12] = np.nan
    found = phases_of_loop(trained, gone)
    assert (found[18:] == expected[18:]).all() and (found[10:12] == -1).all()
    late = phases_of_loop(np.append(np.nan, trained), np.append(np.nan, held_out))
    assert late[0] == -1 and (late[4:] == expected[3:]).all()
    assert (phases_of_loop(trained, np.full(30, np.nan)) == -1).all()
