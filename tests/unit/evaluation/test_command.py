"""The evaluation command: four tables, or one line that says what is wrong."""

import json
from pathlib import Path

import pytest
from small import FLAGS, MODEL, TASK, small_run, write_checkpoints

from transience.command.entry import ends_in_one_line
from transience.evaluation.__main__ import main
from transience.files import tables

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
    ends_in_one_line(main)


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
