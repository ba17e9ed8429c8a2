"""Metadata: which files belong together, and what several of them say as one."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from transience.errors import InputError
from transience.files.metadata import check_runs, merge_metadata, of_runs, values_of
from transience.files.tables import METADATA_KEY

METADATA = {
    "experiment": "test",
    "variant": "baseline",
    "num_tasks": "inf",
    "seed": 0,
    "settings": {"task": {"task_dimension": 4}},
    "code": "abc",
}


def write_run(folder: Path, num_tasks: str, seed: int, **changes) -> Path:
    """A file of which only the metadata matters."""
    metadata = METADATA | {"num_tasks": num_tasks, "seed": seed} | changes
    path = folder / f"{metadata['variant']}_M{num_tasks}_seed{seed}.parquet"
    table = pa.table({"step": [0]}).replace_schema_metadata({METADATA_KEY: json.dumps(metadata)})
    pq.write_table(table, path)
    return path


def test_runs_that_belong_together(tmp_path: Path):
    runs = [write_run(tmp_path, m, s) for m in ("inf", "8") for s in (1, 0)]
    found = check_runs(runs)
    assert [(one["num_tasks"], one["seed"]) for one in found] == [
        ("inf", 1), ("inf", 0), ("8", 1), ("8", 0)
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"code": "xyz"}, 'expected the same code as .*M1_seed0.* \\("abc"\\), found "xyz"'),
        ({"experiment": "other"}, "expected the same experiment"),
        (
            {"settings": {"task": {"task_dimension": 5}}},
            'expected the same settings .*"task_dimension": 4.*found .*"task_dimension": 5',
        ),
    ],
)
def test_runs_of_another_making_are_refused(tmp_path: Path, changes: dict, message: str):
    runs = [write_run(tmp_path, "1", 0), write_run(tmp_path, "8", 0, **changes)]
    with pytest.raises(InputError, match=message) as raised:
        check_runs(runs)
    assert str(raised.value).startswith(str(runs[1]))


def test_another_variant_may_have_other_settings_and_other_runs(tmp_path: Path):
    wide = {"variant": "wide", "settings": {"model": {"width": 128}}}
    runs = [write_run(tmp_path, "1", 0), write_run(tmp_path, "8", 0, **wide)]
    assert [one["variant"] for one in check_runs(runs)] == ["baseline", "wide"]


def test_a_missing_run_is_named(tmp_path: Path):
    runs = [write_run(tmp_path, *run) for run in (("1", 0), ("1", 1), ("8", 0))]
    with pytest.raises(InputError, match="found no run with num_tasks 8 and seed 1"):
        check_runs(runs)


def test_a_file_that_is_of_no_run_is_named(tmp_path: Path):
    path = tmp_path / "a.parquet"
    pq.write_table(
        pa.table({"x": [0]}).replace_schema_metadata({METADATA_KEY: '{"seed": 0}'}), path
    )
    with pytest.raises(InputError, match=r"a\.parquet: expected the table of a run, found no"):
        check_runs([path])


def test_merged_entries_are_one_value_or_the_distinct_ones_in_order():
    each = [
        METADATA | {"num_tasks": "8", "seed": 1, "commit": "c"},
        METADATA | {"num_tasks": ["1", "8"], "seed": 0},
    ]
    merged = merge_metadata(each)
    assert merged == METADATA | {"num_tasks": ["8", "1"], "seed": [1, 0], "commit": "c"}
    assert merge_metadata([merged, *each]) == merged
    assert of_runs(each) == {"variant": "baseline", "num_tasks": ["8", "1"], "seed": [1, 0]}


def test_values_of_an_entry():
    assert values_of(None) == [] and values_of(0) == [0] and values_of(["8", "inf"]) == ["8", "inf"]
