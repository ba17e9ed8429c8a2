"""The table `front`: its grid, its ends, its shape, and that no other predictor is below it."""

import math

import numpy as np
import pytest
from small import small_run

from transience.evaluation.evaluate import evaluation_sets
from transience.evaluation.front import fresh_fractions, front_table
from transience.evaluation.result_tables import predictors_table
from transience.evaluation.settings import EvaluationSettings, ProbeSettings
from transience.files import tables


def sets_of(run, num_sequences: int = 20):
    sizes = EvaluationSettings(num_sequences=num_sequences), ProbeSettings(num_sequences=7)
    return evaluation_sets(run, *sizes)


def front_of(num_tasks: float, num_sequences: int = 20):
    """Losses by ε (27,), of the sets `training` and `gaussian`, and those of dMMSE_M and ridge."""
    run = small_run(num_tasks)
    sets = sets_of(run, num_sequences)
    front = front_table(sets, run)
    front = front.pivot(index="fresh_fraction", columns="distribution", values="loss")
    ideal = predictors_table(sets, run.keys)
    ideal = ideal[ideal["position"].isna()]
    return front, ideal.pivot(index="predictor", columns="distribution", values="loss")


def test_the_grid_is_symmetric_and_has_both_ends():
    grid = fresh_fractions()
    assert len(grid) == 27 and (np.diff(grid) > 0).all()
    assert grid[[0, 13, -1]].tolist() == [0.0, 0.5, 1.0]
    np.testing.assert_allclose(grid[[1, -2]], [1e-6, 1 - 1e-6], rtol=1e-9)
    np.testing.assert_allclose(grid + grid[::-1], 1.0)


@pytest.mark.parametrize("num_tasks", [1.0, 4.0, math.inf])
def test_the_ends_are_the_ideal_predictors(num_tasks):
    front, ideal = front_of(num_tasks)
    for fraction, name in ((0.0, "dmmse"), (1.0, "ridge")):
        for distribution in ("training", "gaussian"):
            expected = ideal.at[name, distribution]
            assert front.at[fraction, distribution] == pytest.approx(expected, rel=1e-12)


def test_for_infinite_m_all_rows_are_those_of_ridge():
    front, ideal = front_of(math.inf)
    np.testing.assert_allclose(front, ideal.at["ridge", "gaussian"], rtol=1e-12)


def test_the_more_new_tasks_the_lower_the_loss_on_them_and_the_higher_that_on_the_set():
    front, _ = front_of(4.0, 20_000)
    assert (front["training"].diff().dropna() > -1e-3).all()
    assert (front["gaussian"].diff().dropna() < 1e-3).all()
    slopes = front["gaussian"].diff() / front["training"].diff()
    well_apart = front["training"].diff() > 0.003
    assert (slopes[well_apart].diff().dropna() > 0).all()  # convex


def test_a_table_of_the_schema(tmp_path):
    run = small_run()
    frame = front_table(sets_of(run), run)
    tables.write_table(tmp_path / "front", "front", frame, {})
    read = tables.read_table(tmp_path / "front", "front")
    assert len(read) == 2 * 27 and set(read["distribution"]) == {"training", "gaussian"}
