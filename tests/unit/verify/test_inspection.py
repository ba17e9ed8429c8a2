"""Checking goes on after damage, and is content with what may be missing or left over."""

import shutil

import pandas as pd

from transience.files import tables
from transience.verify.inspection import verify

RUN = "runs/baseline/M4_seed0"


def test_checking_goes_on_after_damage(results):
    for path in ("tables/llc.parquet", "runs/baseline/Minf_seed0/llc.parquet"):
        (results.folder / path).write_bytes(b"")
    results.relabel(f"{RUN}/evaluation.parquet", seed=1)
    assert [line.partition(": expected ")[0] for line in results.problems()] == [
        "small/tables/llc.parquet",
        f"small/{RUN}/evaluation.parquet",
        "small/runs/baseline/Minf_seed0/llc.parquet",
    ]


def test_what_a_smaller_configuration_leaves_behind_is_a_note(results):
    others = [results.folder / f"runs/{run}" for run in ("baseline/M2_seed0", "wider/M4_seed0")]
    for other in others:
        shutil.copytree(results.folder / RUN, other)
    found = verify(results.folder)
    assert not found.problems
    assert found.notes == [f"{other}: not in config.json, unchecked" for other in others]


def test_results_without_runs_are_checked_as_far_as_they_go(results):
    shutil.rmtree(results.folder / "runs")
    found = verify(results.folder)
    assert not found.problems
    assert found.notes == ["small/runs: no such folder; tables are checked without their runs"]


def test_what_runs_had_of_an_llc_that_was_turned_off_is_a_note(results):
    """It stays, for when it is turned on again; the sweep's tables of it are empty."""
    results.edit_config("llc", checkpoints=[])
    metadata = tables.read_metadata(results.folder / "tables/llc.parquet")
    settings = {name: part for name, part in metadata["settings"].items() if name != "llc"}
    results.relabel("tables/llc.parquet", settings=settings)
    assert any(line.startswith("small/tables/llc.parquet: ") for line in results.problems())
    results.rewrite("tables/llc.parquet", lambda frame: frame.iloc[:0])
    found, of_the_llc = verify(results.folder), ("llc", "llc_trace", "llc_curve")
    for path in results.folder.rglob("runs/*/*/*.parquet"):
        note = f"{path}: from before the LLC was turned off, unchecked"
        assert (
            (note in found.notes) == (path.stem in of_the_llc) == (str(path) not in found.problems)
        )
    assert "small/tables/llc.parquet" not in found.problems


def test_tables_made_on_demand_are_checked_where_they_are(results):
    """As `make calibrate` would write it, then with the setting of another."""
    path = results.folder / RUN / "llc_curvature.parquet"
    row = {column.name: 1 for column in tables.schemas()["llc_curvature"].columns}
    frame = pd.DataFrame([row | {"variant": "baseline", "num_tasks": 4.0, "seed": 0}])
    metadata = tables.read_metadata(path.with_name("llc.parquet")) | {"table": path.stem}
    tables.write_table(path, path.stem, frame, metadata)
    assert not results.problems()
    results.relabel(f"{RUN}/{path.name}", settings={"llc_calibration": {"num_sequences": 7}})
    assert results.problems() == [
        f"{path}: expected settings llc_calibration.num_sequences 512, as config.json has it, "
        "found 7; delete it and run make calibrate"
    ]
