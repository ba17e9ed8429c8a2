"""Metadata and rows agree with config.json, with their place and with each other."""

import shutil

import pytest

RUN = "runs/baseline/M4_seed0"
AGAIN = "delete it and run the sweep again"


def test_every_entry_of_the_metadata_is_needed(results):
    entries = ("seed", "settings", "code", "versions", "device", "threads")
    names = ("training", "evaluation", "predictors", "probe", "llc", "llc_trace")
    for name, key in zip(names, entries, strict=True):
        results.relabel(f"{RUN}/{name}.parquet", **{key: None})
    found = {line.partition(", found ")[2] for line in results.problems()}
    assert found == {f"no {key}; {AGAIN}" for key in entries}


@pytest.mark.parametrize(
    ("path", "changes", "message"),
    [
        (f"{RUN}/llc.parquet", {"seed": 1}, "metadata seed 0, found 1"),
        (f"{RUN}/llc.parquet", {"num_tasks": "1"}, "metadata num_tasks 4, found 1"),
        (f"{RUN}/llc.parquet", {"variant": "wide"}, "metadata variant baseline, found wide"),
        (f"{RUN}/llc.parquet", {"experiment": "mine"}, "metadata experiment small, found mine"),
        ("tables/llc.parquet", {"seed": 1}, "metadata seed 0, 1, found 1"),
        ("tables/llc.parquet", {"code": "1"}, "the code of the tables of runs, found others"),
    ],
)
def test_metadata_and_place_agree(results, path, changes, message):
    results.relabel(path, **changes)
    assert results.problems() == [f"small/{path}: expected {message}; {AGAIN}"]


@pytest.mark.parametrize("file", ["evaluation.parquet", "checkpoints.safetensors"])
def test_a_file_of_another_seed_is_one_line(results, file):
    shutil.copy(results.folder / "runs/baseline/M4_seed1" / file, results.folder / RUN)
    assert results.problems() == [f"small/{RUN}/{file}: expected metadata seed 0, found 1; {AGAIN}"]


def test_rows_and_place_agree(results):
    results.rewrite(f"{RUN}/llc.parquet", lambda frame: frame.assign(seed=1))
    results.rewrite("tables/llc.parquet", lambda frame: frame[frame["num_tasks"] != 4])
    rows = "expected rows of every variant, num_tasks, seed of its runs"
    assert results.problems() == [
        f"small/tables/llc.parquet: {rows}, found no baseline 4 0; no baseline 4 1; {AGAIN}",
        f"small/{RUN}/llc.parquet: {rows}, found no baseline 4 0; also baseline 4 1; {AGAIN}",
    ]


def test_another_configuration_is_named_by_its_key(results):
    results.relabel(f"{RUN}/training.parquet", settings={"llc": {"gamma": 2000.0}})  # a part
    results.edit_config("llc", nbeta=50.0)
    message = f"expected settings llc.nbeta 50.0, as config.json has it, found 1000.0; {AGAIN}"
    lines = results.problems()
    assert f"small/{RUN}/llc.parquet: {message}" in lines
    assert f"small/{RUN}/training.parquet: {message}" not in lines


def test_settings_are_those_of_the_variant(results):
    """Tables of runs have them; those computed from the whole sweep have the configuration's."""
    results.edit_config("variants", baseline={"training": {"learning_rate": 4.0e-3}})
    results.edit_config("training", learning_rate=1.0)
    wrong = "expected settings training.learning_rate 1.0, as config.json has it, found 0.004"
    lines = results.problems()
    assert f"small/tables/free_energy.parquet: {wrong}; {AGAIN}" in lines
    assert not any("/runs/" in line or "tables/llc.parquet" in line for line in lines)


def test_mixed_code_is_named(results):
    results.relabel(f"{RUN}/llc.parquet", code="1")
    (line,) = results.problems()
    assert f'expected the same code as small/{RUN}/llc.parquet ("1"), found "0"; ' in line


def test_collected_rows_are_those_of_the_runs(results):
    path = "tables/llc_trace.parquet"
    results.rewrite(path, lambda frame: frame.assign(loss=frame["loss"] * (frame.index != 0)))
    rows = "expected the rows of the tables of runs, found others"
    assert results.problems() == [f"small/{path}: {rows}; {AGAIN}"]
