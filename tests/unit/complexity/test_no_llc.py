"""The tables of an LLC that is off: no rows, and the runs of another table."""

import json
from pathlib import Path

import pytest
from made_up import FEW, made_up_sweep

from transience.command.entry import ends_in_one_line
from transience.command.inputs import check
from transience.complexity import no_llc
from transience.files import tables

OFF = {"experiment": "test", "llc": {"checkpoints": []}}
RUNS = {"variant": "baseline", "num_tasks": ["1", "8", "inf"], "seed": [0, 1]}


def run_command(folder: Path, monkeypatch: pytest.MonkeyPatch, settings: dict) -> None:
    words = ["no_llc", "--settings", json.dumps(settings)]
    for name in ("indicators", "llc", "llc_trace", "llc_curve"):
        words += [f"--{name.replace('_', '-')}", str(folder / f"{name}.parquet")]
    monkeypatch.setattr("sys.argv", words)
    ends_in_one_line(no_llc.main)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    frame = made_up_sweep(FEW, 2)["indicators"]
    tables.write_table(tmp_path / "indicators.parquet", "indicators", frame, RUNS)
    return tmp_path


def test_the_tables_have_no_rows_and_the_runs_of_the_sweep(folder, monkeypatch):
    run_command(folder, monkeypatch, OFF)
    for name in ("llc", "llc_trace", "llc_curve"):
        path = folder / f"{name}.parquet"
        assert tables.read_table(path, name).empty
        found = tables.read_metadata(path)
        assert {key: found[key] for key in RUNS} == RUNS
        check(path, "test")


def test_an_llc_that_is_on_is_refused(folder, monkeypatch, capsys):
    with pytest.raises(SystemExit):
        run_command(folder, monkeypatch, OFF | {"llc": {"checkpoints": ["final"]}})
    assert "llc.checkpoints: " in capsys.readouterr().err
