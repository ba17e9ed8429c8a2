"""Tables: what is written comes back, and what breaks the schema or the file is named."""

import math
import os
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from transience.errors import InputError
from transience.files import tables

METADATA = {
    "experiment": "test",
    "variant": "baseline",
    "num_tasks": "inf",
    "seed": 0,
    "settings": {"task": {"task_dimension": 4}},
    "code": "abc",
}


def training_frame(num_tasks: float = math.inf, seed: int = 0) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "variant": "baseline",
            "num_tasks": num_tasks,
            "seed": seed,
            "step": [50, 0],
            "batch_loss": [1.5, 2.5],
            "learning_rate": 0.01,
            "gradient_norm": 3.0,
            "seconds": [0.1, 0.0],
            "sequences": [16.0, 0.0],
        }
    )


def probe_frame(length: int = 6) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "variant": "baseline",
            "num_tasks": 8.0,
            "seed": 0,
            "step": pd.array([None, 0, 10], dtype="Int64"),
            "predictor": ["ridge", None, None],
            "predictions": list(np.arange(3 * length, dtype=np.float32).reshape(3, length)),
        }
    )


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "table.parquet"


# What is written comes back


def test_round_trip_sorts_by_key_and_keeps_infinity(path: Path):
    tables.write_table(path, "training", training_frame(), METADATA)
    read = tables.read_table(path, "training")
    expected = training_frame().iloc[[1, 0]].reset_index(drop=True)
    pd.testing.assert_frame_equal(read, expected)
    assert np.isposinf(read["num_tasks"]).all()
    assert pd.read_parquet(path)["step"].tolist() == [0, 50]


def test_metadata_comes_back_with_the_name_of_the_table(path: Path):
    tables.write_table(path, "training", training_frame(), METADATA)
    assert tables.read_metadata(path) == METADATA | {"table": "training"}


def test_probe_keeps_predictions_as_fixed_size_lists_and_null_steps(path: Path):
    tables.write_table(path, "probe", probe_frame(), {})
    assert pq.read_schema(path).field("predictions").type == pa.list_(pa.float32(), 6)
    read = tables.read_table(path, "probe")
    assert read["step"].tolist() == [0, 10, pd.NA]
    assert read["predictor"].tolist()[-1] == "ridge"
    np.testing.assert_array_equal(read["predictions"].iloc[2], np.arange(6, dtype=np.float32))
    assert read["predictions"].iloc[0].dtype == np.float32


def test_the_file_is_the_same_for_any_order_of_rows(tmp_path: Path):
    frame = training_frame()
    tables.write_table(tmp_path / "a", "training", frame, METADATA)
    tables.write_table(tmp_path / "b", "training", frame.iloc[::-1], METADATA)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_not_a_number_is_allowed_where_the_schema_says_so(path: Path):
    trace = training_frame()[["variant", "num_tasks", "seed", "step"]].assign(
        chain=0, draw=0, loss=[math.nan, 1.0], baseline_loss=1.0
    )
    tables.write_table(path, "llc_trace", trace, {})
    assert tables.read_table(path, "llc_trace")["loss"].isna().tolist() == [False, True]


# What breaks the schema is named, and leaves the previous file


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: f.drop(columns="seconds"), "no column 'seconds'"),
        (lambda f: f.assign(speed=1.0), "unknown column 'speed'"),
        (lambda f: f.assign(step=[0.5, 1.0]), "column 'step': expected int64, found float64"),
        (lambda f: f.assign(variant=1), "column 'variant': expected string, found int64"),
        (lambda f: f.assign(batch_loss="low"), "column 'batch_loss': expected float64"),
        (
            lambda f: f.assign(batch_loss=[1.0, math.nan]),
            "'batch_loss': expected no nulls, found 1",
        ),
        (
            lambda f: f.assign(step=5),
            "expected one row for each key, found a second one for .*step=5",
        ),
        (lambda f: f.iloc[:0], "expected rows, found none"),
    ],
)
def test_a_wrong_frame_is_refused(path: Path, change, message: str):
    tables.write_table(path, "training", training_frame(), METADATA)
    before = path.read_bytes()
    with pytest.raises(InputError, match=message) as raised:
        tables.write_table(path, "training", change(training_frame()), METADATA)
    assert "table training" in str(raised.value) and "\n" not in str(raised.value)
    assert path.read_bytes() == before
    assert os.listdir(path.parent) == [path.name]


def test_predictions_of_unequal_length_are_refused(path: Path):
    frame = probe_frame()
    frame.at[1, "predictions"] = np.zeros(5, dtype=np.float32)
    with pytest.raises(InputError, match="column 'predictions': expected list<float32>"):
        tables.write_table(path, "probe", frame, {})


def test_a_full_disk_leaves_the_previous_file_and_no_rubbish(path: Path, monkeypatch):
    tables.write_table(path, "training", training_frame(), METADATA)
    before = path.read_bytes()

    def full(table, target, **options):
        Path(target).write_bytes(b"half of a table")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tables.pq, "write_table", full)
    with pytest.raises(OSError, match="No space left"):
        tables.write_table(path, "training", training_frame(), METADATA)
    assert path.read_bytes() == before
    assert os.listdir(path.parent) == [path.name]


# A damaged or foreign file is named


def damage_nothing_there(path: Path) -> None:
    path.unlink()


def damage_truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])


def damage_data(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[:4] + b"\xff" * 200 + content[204:])


def damage_empty(path: Path) -> None:
    path.write_bytes(b"")


def damage_foreign(path: Path) -> None:
    training_frame().to_parquet(path)


def damage_other_table(path: Path) -> None:
    tables.write_table(path, "probe", probe_frame(), {})


def damage_dtype(path: Path) -> None:
    table = pq.read_table(path)
    pq.write_table(table.set_column(3, "step", table["step"].cast(pa.int32())), path)


def damage_column(path: Path) -> None:
    pq.write_table(pq.read_table(path).drop_columns("seconds"), path)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (damage_nothing_there, "expected a table 'training', found no such file"),
        (damage_truncated, "expected a table 'training', found a file that is truncated"),
        (damage_data, "expected a table 'training', found a file that is truncated"),
        (damage_empty, "expected a table 'training', found a file that is truncated"),
        (damage_foreign, "expected a table of this project, found a foreign Parquet file"),
        (damage_other_table, "expected a table 'training', found a table 'probe'"),
        (damage_dtype, "column 'step': expected int64, found int32"),
        (damage_column, "no column 'seconds'"),
    ],
)
def test_a_damaged_file_is_refused_in_one_line(path: Path, damage, message: str):
    tables.write_table(path, "training", training_frame(), METADATA)
    damage(path)
    with pytest.raises(InputError, match=message) as raised:
        tables.read_table(path, "training")
    assert str(path) in str(raised.value) and "\n" not in str(raised.value)


# The schemas themselves


@pytest.mark.parametrize("schema", tables.schemas().values(), ids=lambda schema: schema.name)
def test_every_schema_is_whole(schema: tables.Schema):
    names = [column.name for column in schema.columns]
    assert len(set(names)) == len(names)
    assert schema.keys == names[: len(schema.keys)] and schema.keys
    assert set(schema.files) <= {"runs", "tables", "branches"} and schema.files
    for column in schema.columns:
        assert column.dtype in [*tables.ARROW_TYPES, tables.LIST]
        assert re.match(r".+\.$", column.meaning), column.name
