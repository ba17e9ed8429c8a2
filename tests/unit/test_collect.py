"""Collecting: one table of the sweep, and metadata of all its runs."""

import math
from pathlib import Path

import pandas as pd
import pytest

from transience import collect
from transience.command.entry import ends_in_one_line
from transience.errors import InputError
from transience.files import tables

METADATA = {
    "experiment": "test",
    "settings": {"task": {"task_dimension": 4}},
    "code": "abc",
}


def write_run(
    folder: Path, num_tasks: float, seed: int, variant: str = "baseline", **changes
) -> Path:
    path = folder / f"{variant}_M{num_tasks:g}_seed{seed}.parquet"
    frame = pd.DataFrame({"step": [50, 0], "batch_loss": [1.5, 2.5], "seconds": [0.1, 0.0]})
    keys = {"variant": variant, "num_tasks": num_tasks, "seed": seed}
    frame = frame.assign(learning_rate=0.01, gradient_norm=3.0, sequences=8.0, **keys)
    metadata = METADATA | keys | {"num_tasks": f"{num_tasks:g}"} | changes
    tables.write_table(path, "training", frame, metadata)
    return path


def test_runs_are_joined_and_their_metadata_merged(tmp_path: Path):
    runs = [write_run(tmp_path, m, s) for m in (math.inf, 8) for s in (1, 0)]
    frame, metadata = collect.collect(runs, "training")
    assert len(frame) == 8
    assert metadata["seed"] == [1, 0]
    assert metadata["num_tasks"] == ["inf", "8"]
    assert metadata["settings"] == METADATA["settings"]
    assert metadata["code"] == "abc"


def test_variants_are_joined(tmp_path: Path):
    wide = write_run(tmp_path, 8, 0, "wide", settings={"model": {"width": 128}})
    joined, metadata = collect.collect([write_run(tmp_path, 1, 0), wide], "training")
    assert joined["variant"].nunique() == 2
    assert metadata["variant"] == ["baseline", "wide"]


def test_runs_of_another_making_are_refused(tmp_path: Path):
    runs = [write_run(tmp_path, 1, 0), write_run(tmp_path, 8, 0, code="xyz")]
    with pytest.raises(InputError, match="expected the same code"):
        collect.collect(runs, "training")


def test_the_same_run_twice_is_refused(tmp_path: Path):
    run = write_run(tmp_path, 1, 0)
    frame, metadata = collect.collect([run, run], "training")
    with pytest.raises(InputError, match="found a second one"):
        tables.write_table(tmp_path / "joined", "training", frame, metadata)


def test_the_command(tmp_path: Path, monkeypatch):
    runs = [write_run(tmp_path, m, 0) for m in (1, 8)]
    flags = ["--settings", '{"experiment": "test"}', "--table", "training", "--inputs"]
    flags += [*map(str, runs), "--output", str(tmp_path / "joined")]
    monkeypatch.setattr("sys.argv", ["collect", *flags])
    ends_in_one_line(collect.main)
    joined = tables.read_table(tmp_path / "joined", "training")
    assert joined["num_tasks"].tolist() == [1, 1, 8, 8] and joined["step"].tolist() == [0, 50] * 2
    assert tables.read_metadata(tmp_path / "joined")["num_tasks"] == ["1", "8"]
