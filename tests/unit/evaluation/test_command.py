"""The evaluation command: four tables, or one line that says what is wrong."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from small import DRIFT, FLAGS, MODEL, TASK, small_run, write_checkpoints

from transience.command.entry import ends_in_one_line
from transience.evaluation import __main__ as command
from transience.evaluation.evaluate import evaluate, evaluation_sets
from transience.evaluation.front import front_table
from transience.evaluation.result_tables import evaluation_table, predictors_table, probe_table
from transience.evaluation.settings import EvaluationSettings, ProbeSettings
from transience.files import tables
from transience.model.loss_and_gradient import LossAndGradient
from transience.model.transformer import initial_parameters
from transience.problem.drift import Drift

SETTINGS = {
    "experiment": "test",
    "task": TASK,
    "model": MODEL,
    "evaluation": {"num_sequences": 20},
    "probe": {"num_sequences": 7},
}
K = TASK["num_examples"]


@pytest.fixture
def checkpoints(tmp_path: Path) -> Path:
    """A run of two checkpoints at steps 0 and 9."""
    write_checkpoints(tmp_path / "checkpoints.safetensors", small_run(), [0, 9])
    return tmp_path / "checkpoints.safetensors"


def run_command(checkpoints: Path, monkeypatch, settings: dict = SETTINGS) -> None:
    flags = [*FLAGS, "--settings", json.dumps(settings), "--checkpoints", str(checkpoints)]
    for table in ("evaluation", "predictors", "front", "probe"):
        flags += [f"--{table}", str(checkpoints.with_name(table))]
    monkeypatch.setattr("sys.argv", ["evaluation", *flags])
    ends_in_one_line(command.main)


def test_the_command_writes_its_tables(checkpoints: Path, monkeypatch, capsys):
    run_command(checkpoints, monkeypatch)
    read = {t: tables.read_table(checkpoints.with_name(t), t) for t in ("evaluation", "predictors")}
    assert read["evaluation"]["step"].unique().tolist() == [0, 9]
    assert len(read["predictors"]) == 3 * 3 * (K + 1)
    assert len(tables.read_table(checkpoints.with_name("front"), "front")) == 2 * 27
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
        settings = SETTINGS | {"model": MODEL | {"width": 16}}
    with pytest.raises(SystemExit) as stopped:
        run_command(checkpoints, monkeypatch, settings)
    said = capsys.readouterr().err
    assert stopped.value.code == 1 and said.count("\n") == 1
    assert said.startswith(f"error: {checkpoints}: expected")
    assert not checkpoints.with_name("evaluation").exists()


TABLES = ("evaluation", "predictors", "front", "probe")


def tables_of(folder: Path, monkeypatch, **metadata) -> dict[str, pd.DataFrame]:
    """What the command writes of a run at steps 0, 3, 5 and 9."""
    folder.mkdir()
    path = folder / "checkpoints.safetensors"
    write_checkpoints(path, small_run(), [0, 3, 5, 9], **metadata)
    run_command(path, monkeypatch)
    return {name: tables.read_table(path.with_name(name), name) for name in TABLES}


def assert_same(name: str, found: pd.DataFrame, expected: pd.DataFrame) -> None:
    """Rows of a table, in whatever order."""
    keys, columns = tables.schemas()[name].keys, [c.name for c in tables.schemas()[name].columns]
    both = [one.sort_values(keys, ignore_index=True)[columns] for one in (found, expected)]
    pd.testing.assert_frame_equal(*both, check_dtype=False, rtol=1e-12)


def test_where_tasks_wander_each_checkpoint_is_held_against_them_as_they_then_were(
    tmp_path: Path, monkeypatch
):
    """The ideal predictors are those of the last."""
    run = replace(small_run(), drift=tuple(Drift(*one) for one in DRIFT))
    found = tables_of(tmp_path / "drifting", monkeypatch, drift=DRIFT)
    sizes = EvaluationSettings(num_sequences=20), ProbeSettings(num_sequences=7)
    predict, probes = LossAndGradient(run.architecture).predict, []
    for step in (0, 3, 5, 9):
        sets = evaluation_sets(run.at(step), *sizes)
        measures, predictions = evaluate(
            [initial_parameters(run.architecture, step)], sets, predict
        )
        expected = evaluation_table([step], measures, run.keys)
        assert_same("evaluation", found["evaluation"].query(f"step == {step}"), expected)
        probes += [*predictions]
    assert_same("predictors", found["predictors"], predictors_table(sets, run.keys))
    assert_same("front", found["front"], front_table(sets, run.at(9)))
    expected = probe_table([0, 3, 5, 9], probes, sets["probe"], run.keys)
    np.testing.assert_array_equal(
        np.stack(found["probe"]["predictions"].iloc[:-2]), np.stack(probes), strict=True
    )
    ideal = [frame.set_index("predictor")["predictions"] for frame in (found["probe"], expected)]
    for name in ("dmmse", "ridge"):
        np.testing.assert_array_equal(*(one[name] for one in ideal))


def test_where_tasks_wander_the_rest_is_as_it_would_be_without(tmp_path: Path, monkeypatch):
    drifting = tables_of(tmp_path / "drifting", monkeypatch, drift=DRIFT)
    still = tables_of(tmp_path / "still", monkeypatch)

    def rows(of: dict, name: str, where: str, columns: list[str]) -> np.ndarray:
        frame = of[name].query(where).sort_values(tables.schemas()[name].keys)
        return np.stack(frame[columns].to_numpy().tolist())

    for name, where, columns, same in (
        ("evaluation", "distribution != 'training'", ["loss", "distance_to_ridge"], True),
        ("evaluation", "distribution != 'training' and step > 2", ["distance_to_dmmse"], False),
        ("evaluation", "distribution == 'training' and step > 2", ["loss"], False),
        ("evaluation", "step == 0", ["loss", "distance_to_ridge", "distance_to_dmmse"], True),
        ("predictors", "predictor == 'ridge' and distribution == 'gaussian'", ["loss"], True),
        ("predictors", "predictor == 'dmmse'", ["loss"], False),
        ("probe", "predictor != 'dmmse'", ["predictions"], True),
        ("probe", "predictor == 'dmmse'", ["predictions"], False),
    ):
        equal = rows(drifting, name, where, columns) == rows(still, name, where, columns)
        assert equal.all() if same else not equal.all(), (name, where)


def test_without_drift_the_test_sets_are_made_once(checkpoints: Path, monkeypatch):
    made = []
    monkeypatch.setattr(
        command, "evaluation_sets", lambda *given: made.append(given) or evaluation_sets(*given)
    )
    run_command(checkpoints, monkeypatch)
    assert len(made) == 1
