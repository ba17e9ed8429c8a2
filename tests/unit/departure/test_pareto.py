"""Distance from a front: one with a known formula, and one of real predictors."""

import numpy as np
import pandas as pd
import pytest
from small import small_run

from transience.departure.pareto import above_front, regrets
from transience.evaluation.evaluate import evaluation_sets
from transience.evaluation.front import fresh_fractions, front_table
from transience.evaluation.settings import EvaluationSettings, ProbeSettings

GRID = fresh_fractions()


def parabolic(grid: np.ndarray = GRID) -> pd.DataFrame:
    """Losses of predictors 1 + 4 ε² and 2 + 4 (1-ε)², as of a point between two, 2 apart."""
    losses = {"training": 1 + 4 * grid**2, "gaussian": 2 + 4 * (1 - grid) ** 2}
    frames = [
        pd.DataFrame({"fresh_fraction": grid, "distribution": name, "loss": loss})
        for name, loss in losses.items()
    ]
    return pd.concat(frames).sample(frac=1, random_state=0)  # in no order


def test_regrets_are_those_against_the_best_on_each_distribution():
    on_own_tasks, on_new = regrets(parabolic(), np.array([1.0, 5.0, 2.5]), np.array([6.0, 2.0, 3]))
    assert on_own_tasks.tolist() == [0.0, 4.0, 1.5] and on_new.tolist() == [4.0, 0.0, 1.0]


def test_points_of_the_front_are_not_above_it():
    found = above_front(parabolic(), 1 + 4 * GRID**2, 2 + 4 * (1 - GRID) ** 2)
    np.testing.assert_allclose(found, 0, atol=1e-12)


@pytest.mark.parametrize("x", [0.0, 0.2, 0.5, 0.9, 1.0])
@pytest.mark.parametrize("height", [0.01, 0.3, 2.0])
def test_it_is_what_both_losses_have_in_excess_at_once(x, height):
    front = parabolic(np.linspace(0, 1, 2001))
    losses = np.array([[1 + 4 * x**2 + height], [2 + 4 * (1 - x) ** 2 + height]])
    assert above_front(front, *losses) == pytest.approx([height], rel=1e-9)


def test_it_is_no_more_than_either_regret_and_not_their_sum():
    losses = np.random.default_rng(0).uniform([1, 2], [9, 9], (100, 2)).T
    found, both = above_front(parabolic(), *losses), np.stack(regrets(parabolic(), *losses))
    assert (found <= both.min(axis=0) + 1e-12).all()
    assert above_front(parabolic(), np.array([1.0]), np.array([50.0])) == pytest.approx([0.0])


def test_a_coarse_grid_makes_it_a_little_too_large():
    x = np.linspace(0, 1, 101)
    found = above_front(parabolic(), 1 + 4 * x**2, 2 + 4 * (1 - x) ** 2)
    assert (found > -1e-12).all() and found.max() < 0.1


def test_what_can_be_had_is_not_below_it():
    """Averages of the ideal predictors, and a worse one."""
    run = small_run()
    sizes = EvaluationSettings(num_sequences=20_000), ProbeSettings(num_sequences=1)
    sets = evaluation_sets(run, *sizes)
    front, losses = front_table(sets, run), []
    for part in (0.0, 0.5, 1.0, 1.5):
        ones = [sets[name] for name in ("training", "gaussian")]
        each = [(part * one.ridge + (1 - part) * one.dmmse - one.ys) for one in ones]
        losses.append([one.double().square().mean().item() for one in each])
    found = above_front(front, *np.array(losses).T)
    np.testing.assert_allclose(found[[0, 2]], 0, atol=1e-6)
    assert found[1] > 0.01 and found[3] > 0.1
