"""Evaluation: the test sets, the measures on them, and the tables made of these."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from transience import command, evaluation, predictors, tables
from transience.checkpoints import CheckpointWriter
from transience.gradients import LossAndGradient
from transience.tasks import sample_sequences, task_set
from transience.transformer import (
    Architecture,
    initial_parameters,
    num_parameters,
    predict,
    unflatten,
)

D, K = 3, 5
SETTINGS = {
    "task": {"task_dimension": D, "num_examples": K, "noise_variance": 0.125},
    "model": {
        "width": 8,
        "num_layers": 2,
        "num_heads": 2,
        "mlp_width": 8,
        "output_projection": False,
        "doubled_residual": False,
    },
    "evaluation": {"num_sequences": 20},
    "probe": {"num_sequences": 7},
}
RUN = {"variant": "baseline", "num_tasks": 4.0, "seed": 1}


def sets_of(num_tasks: float = 4.0, seed: int = 1) -> dict[str, evaluation.EvaluationSet]:
    return evaluation.evaluation_sets(SETTINGS, num_tasks=num_tasks, seed=seed)


# Test sets


def test_all_task_diversities_see_the_same_inputs_and_noise():
    few, many = sets_of(2.0), sets_of(64.0)
    for name in few:
        assert few[name].xs.equal(many[name].xs)
    for name in ("gaussian", "root", "probe"):
        assert few[name].ys.equal(many[name].ys)
    assert not few["training"].ys.equal(many["training"].ys)
    assert not few["gaussian"].dmmse.equal(many["gaussian"].dmmse)


def test_the_root_set_and_the_probe_have_the_root_task():
    sets, root = sets_of(), task_set(1, 1, D)[0]
    for name in ("root", "probe"):
        noise = sets[name].ys - sets[name].xs @ root
        assert 0.05 < noise.var() < 0.25
    assert not sets["root"].xs[:7].equal(sets["probe"].xs)


def test_equal_distributions_share_one_set():
    infinite, one = sets_of(math.inf), sets_of(1.0)
    assert infinite["training"] is infinite["gaussian"]
    assert one["training"] is one["root"]
    assert infinite["gaussian"].ys.equal(one["gaussian"].ys)


def test_ideal_predictions_are_those_of_the_runs_own_task_set():
    sets = sets_of()
    for one in sets.values():
        expected = predictors.dmmse(one.xs, one.ys, task_set(1, 4, D), noise_variance=0.125)
        assert one.dmmse.equal(expected)
        assert one.ridge.equal(predictors.ridge(one.xs, one.ys, noise_variance=0.125))


def test_evaluation_never_sees_a_training_batch():
    batches = [
        sample_sequences(1, *stream, tasks=None, num_sequences=20, **SETTINGS["task"])[0]
        for stream in (("training", 0), ("training", 1), ("training",))
    ]
    seen = [one.xs for one in sets_of().values()]
    assert not any(batch[:7].equal(xs[:7]) for batch in batches for xs in seen)


# Measures


def test_measures_are_mean_squared_differences():
    one = sets_of()["training"]
    predictions = torch.randn(20, K, generator=torch.Generator().manual_seed(0))
    found = one.measure(predictions)
    for row, target in enumerate((one.ys, one.dmmse, one.ridge)):
        for k in range(K):
            squares = [(predictions[b, k] - target[b, k]).item() ** 2 for b in range(20)]
            assert found[row, k].item() == pytest.approx(sum(squares) / 20, rel=1e-5)


def test_every_checkpoint_is_measured_on_every_set():
    architecture = Architecture.from_settings(SETTINGS)
    checkpoints = [initial_parameters(architecture, seed) for seed in range(3)]
    sets = sets_of()
    found, probe = evaluation.evaluate(checkpoints, sets, LossAndGradient(architecture).predict)
    assert found.shape == (3, 3, 3, K) and probe.shape == (3, 7 * K)
    for c, vector in enumerate(checkpoints):
        parameters = unflatten(vector, architecture)
        for d, name in enumerate(evaluation.DISTRIBUTIONS):
            one = sets[name]
            expected = one.measure(predict(parameters, one.xs, one.ys, architecture))
            np.testing.assert_allclose(found[c, d], expected, rtol=1e-4, atol=1e-6)
        expected = predict(parameters, sets["probe"].xs, sets["probe"].ys, architecture)
        np.testing.assert_allclose(probe[c], expected.flatten(), rtol=1e-4, atol=1e-5)


# Tables


def predict_ideally(name: str, sets: dict[str, evaluation.EvaluationSet]):
    """A model that is an ideal predictor."""
    distinct = list(dict.fromkeys(sets.values()))
    return lambda vector, xs, ys: torch.cat([getattr(one, name) for one in distinct])


@pytest.mark.parametrize("num_tasks", [1.0, 4.0, math.inf])
@pytest.mark.parametrize("name", ["dmmse", "ridge"])
def test_an_ideal_model_has_the_loss_of_its_predictor_and_no_distance_to_it(
    tmp_path, name, num_tasks
):
    sets, run = sets_of(num_tasks), RUN | {"num_tasks": num_tasks}
    measures, _ = evaluation.evaluate([torch.zeros(1)], sets, predict_ideally(name, sets))
    frames = {
        "evaluation": evaluation.evaluation_table([0], measures, run),
        "predictors": evaluation.predictors_table(sets, run),
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
    frame = evaluation.evaluation_table([0, 50], measures, RUN)
    for c, step in enumerate((0, 50)):
        for d, name in enumerate(evaluation.DISTRIBUTIONS):
            rows = frame[(frame["step"] == step) & (frame["distribution"] == name)]
            mean = rows[rows["position"].isna()]
            for m, measure in enumerate(evaluation.MEASURES):
                by_position = rows.dropna(subset="position").sort_values("position")[measure]
                np.testing.assert_array_equal(by_position, measures[c, d, m])
                assert mean[measure].tolist() == [measures[c, d, m].mean()]


def test_the_zero_predictor_has_the_loss_of_the_labels():
    sets = sets_of()
    frame = evaluation.predictors_table(sets, RUN)
    frame = frame[(frame["predictor"] == "zero") & (frame["distribution"] == "root")]
    mean = frame[frame["position"].isna()]["loss"].item()
    assert mean == pytest.approx(sets["root"].ys.square().mean().item(), rel=1e-6)


def test_the_probe_table_ends_with_the_ideal_predictors(tmp_path):
    sets = sets_of()
    frame = evaluation.probe_table([0, 9], np.ones((2, 7 * K), np.float32), sets["probe"], RUN)
    tables.write_table(tmp_path / "probe", "probe", frame, {})
    read = tables.read_table(tmp_path / "probe", "probe").set_index("predictor")
    for name in ("dmmse", "ridge"):
        expected = getattr(sets["probe"], name).flatten()
        np.testing.assert_array_equal(read.at[name, "predictions"], expected)
    assert read["step"].dropna().tolist() == [0, 9]


# The command


@pytest.fixture
def checkpoints(tmp_path: Path) -> Path:
    """A run of two checkpoints at steps 0 and 9."""
    architecture = Architecture.from_settings(SETTINGS)
    metadata = RUN | {"num_tasks": "4", "settings": SETTINGS}
    partial, path = tmp_path / "partial", tmp_path / "checkpoints.safetensors"
    writer = CheckpointWriter(partial, [0, 9], num_parameters(architecture), metadata)
    for step in (0, 9):
        writer.write(step, initial_parameters(architecture, step))
    writer.finish(path)
    return path


def run_command(checkpoints: Path, monkeypatch, settings: dict = SETTINGS) -> None:
    flags = {"--variant": "baseline", "--num-tasks": "4", "--seed": "1"}
    flags |= {"--settings": json.dumps(settings), "--device": "cpu"}
    flags |= {"--checkpoints": str(checkpoints)}
    flags |= {
        f"--{t}": str(checkpoints.with_name(t)) for t in ("evaluation", "predictors", "probe")
    }
    monkeypatch.setattr(
        "sys.argv", ["evaluation", *(text for pair in flags.items() for text in pair)]
    )
    command.run(evaluation.main)


def test_the_command_writes_its_three_tables(checkpoints: Path, monkeypatch, capsys):
    run_command(checkpoints, monkeypatch)
    read = {t: tables.read_table(checkpoints.with_name(t), t) for t in ("evaluation", "predictors")}
    assert read["evaluation"]["step"].unique().tolist() == [0, 9]
    assert len(read["predictors"]) == 3 * 3 * (K + 1)
    assert len(tables.read_table(checkpoints.with_name("probe"), "probe")) == 2 + 2
    metadata = tables.read_metadata(checkpoints.with_name("evaluation"))
    assert metadata["num_tasks"] == "4" and metadata["settings"] == SETTINGS
    assert "evaluate baseline M=4 seed=1  checkpoint 2/2 (100%)" in capsys.readouterr().err


@pytest.mark.parametrize("damage", ["truncated", "other model"])
def test_the_command_refuses_damaged_or_foreign_checkpoints(
    damage: str, checkpoints: Path, monkeypatch, capsys
):
    settings = SETTINGS
    if damage == "truncated":
        checkpoints.write_bytes(checkpoints.read_bytes()[:-100])
    else:
        settings = SETTINGS | {"model": SETTINGS["model"] | {"width": 16}}
    with pytest.raises(SystemExit) as stopped:
        run_command(checkpoints, monkeypatch, settings)
    said = capsys.readouterr().err
    assert stopped.value.code == 1 and said.count("\n") == 1
    assert said.startswith(f"error: {checkpoints}: expected")
    assert not checkpoints.with_name("evaluation").exists()
