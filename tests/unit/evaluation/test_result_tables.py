"""What was measured, in the rows of its tables."""

import math

import numpy as np
import pytest
import torch
from small import TASK, small_run

from transience.evaluation.evaluate import (
    DISTRIBUTIONS,
    MEASURES,
    EvaluationSet,
    evaluate,
    evaluation_sets,
)
from transience.evaluation.result_tables import evaluation_table, predictors_table, probe_table
from transience.evaluation.settings import EvaluationSettings, ProbeSettings
from transience.files import tables

D, K = TASK["task_dimension"], TASK["num_examples"]


def sets_of(num_tasks: float = 4.0, seed: int = 1) -> dict[str, EvaluationSet]:
    sizes = EvaluationSettings(num_sequences=20), ProbeSettings(num_sequences=7)
    return evaluation_sets(small_run(num_tasks, seed), *sizes)


def predict_ideally(name: str, sets: dict[str, EvaluationSet]):
    """A model that is an ideal predictor."""
    distinct = list(dict.fromkeys(sets.values()))
    return lambda vector, xs, ys: torch.cat([getattr(one, name) for one in distinct])


@pytest.mark.parametrize("num_tasks", [1.0, 4.0, math.inf])
@pytest.mark.parametrize("name", ["dmmse", "ridge"])
def test_an_ideal_model_has_the_loss_of_its_predictor_and_no_distance_to_it(
    tmp_path, name, num_tasks
):
    sets, run = sets_of(num_tasks), small_run(num_tasks).keys
    measures, _ = evaluate([torch.zeros(1)], sets, predict_ideally(name, sets))
    frames = {
        "evaluation": evaluation_table([0], measures, run),
        "predictors": predictors_table(sets, run),
    }
    for table, frame in frames.items():
        tables.write_table(tmp_path / table, table, frame, {})
        frames[table] = tables.read_table(tmp_path / table, table)
    found, ideal = frames["evaluation"], frames["predictors"]
    assert len(found) == 3 * (K + 1) and len(ideal) == 3 * 3 * (K + 1)
    assert (found[f"distance_to_{name}"] == 0).all()
    joined = found.merge(ideal[ideal["predictor"] == name], on=["distribution", "position"])
    np.testing.assert_allclose(joined["loss_x"], joined["loss_y"])


def test_rows_belong_to_their_step_distribution_and_position():
    measures = np.arange(2 * 3 * 3 * K, dtype=float).reshape(2, 3, 3, K)
    frame = evaluation_table([0, 50], measures, small_run().keys)
    for c, step in enumerate((0, 50)):
        for d, name in enumerate(DISTRIBUTIONS):
            rows = frame[(frame["step"] == step) & (frame["distribution"] == name)]
            mean = rows[rows["position"].isna()]
            for m, measure in enumerate(MEASURES):
                by_position = rows.dropna(subset="position").sort_values("position")[measure]
                np.testing.assert_array_equal(by_position, measures[c, d, m])
                assert mean[measure].tolist() == [measures[c, d, m].mean()]


def test_the_zero_predictor_has_the_loss_of_the_labels():
    sets = sets_of()
    frame = predictors_table(sets, small_run().keys)
    frame = frame[(frame["predictor"] == "zero") & (frame["distribution"] == "root")]
    mean = frame[frame["position"].isna()]["loss"].item()
    assert mean == pytest.approx(sets["root"].ys.square().mean().item(), rel=1e-6)


def test_the_probe_table_ends_with_the_ideal_predictors(tmp_path):
    sets = sets_of()
    frame = probe_table([0, 9], np.ones((2, 7 * K), np.float32), sets["probe"], small_run().keys)
    tables.write_table(tmp_path / "probe", "probe", frame, {})
    read = tables.read_table(tmp_path / "probe", "probe").set_index("predictor")
    for name in ("dmmse", "ridge"):
        expected = getattr(sets["probe"], name).flatten()
        np.testing.assert_array_equal(read.at[name, "predictions"], expected)
    assert read["step"].dropna().tolist() == [0, 9]
