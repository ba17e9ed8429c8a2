"""Tables as Parquet files that keep to workflow/schemas/tables.yaml.

The schemas are data: names, dtypes, keys, units and meaning of all columns stand in that file,
and `transience.files.dictionary` prints results/README.md from it. Every table carries its
provenance as JSON metadata.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from transience.errors import InputError
from transience.files.atomic import replacing

SCHEMAS = Path(__file__).parents[3] / "schemas" / "tables.yaml"
METADATA_KEY = "transience"  # of the JSON in the metadata of every file
RUN_KEYS = ["variant", "num_tasks", "seed"]  # columns that name a run, in every table of runs
LIST = "list<float32>"
ARROW_TYPES = {
    "int64": pa.int64(),
    "float64": pa.float64(),
    "string": pa.string(),
    "bool": pa.bool_(),
}


@dataclass(frozen=True)
class Column:
    """One column of a table, as tables.yaml describes it."""

    name: str
    dtype: str
    unit: str
    meaning: str
    key: bool = False
    nullable: bool = False


@dataclass(frozen=True)
class Schema:
    """One table: its columns in order, and whether runs, the sweep or both have it."""

    name: str
    meaning: str
    files: list[str]
    columns: tuple[Column, ...]
    sorted: bool = True  # rows by their keys, or in the order in which they come
    may_be_empty: bool = False  # whether it may have no rows

    @property
    def keys(self) -> list[str]:
        """Names of the columns that identify a row."""
        return [column.name for column in self.columns if column.key]


@cache
def schemas() -> dict[str, Schema]:
    """All schemas by the name of their table."""
    described = yaml.safe_load(SCHEMAS.read_text(encoding="utf-8"))
    return {
        name: Schema(name=name, **text | {"columns": tuple(Column(**c) for c in text["columns"])})
        for name, text in described.items()
    }


# Files


def write_table(
    path: str | Path, table_name: str, frame: pd.DataFrame, metadata: Mapping[str, Any]
) -> None:
    """Check a table, sort it by its keys (unless its schema says otherwise), write it atomically.

    InputError names the table and column that break the schema.
    """
    schema = schemas()[table_name]
    what = f"table {table_name}"
    _check_names(what, schema, list(frame.columns))
    if schema.sorted:
        frame = frame.sort_values(schema.keys, kind="stable", ignore_index=True)
    arrays = [_to_arrow(what, column, frame[column.name]) for column in schema.columns]
    table = pa.table(arrays, names=[column.name for column in schema.columns])
    _check_rows(what, schema, table)
    text = json.dumps({"table": table_name, **metadata}, sort_keys=True, allow_nan=False)
    table = table.replace_schema_metadata({METADATA_KEY.encode(): text.encode()})
    with replacing(path) as temporary:
        pq.write_table(table, temporary, compression="zstd")


def read_table(path: str | Path, table_name: str) -> pd.DataFrame:
    """Read and check a table: nullable integers as Int64, a list as a row's numpy array.

    InputError names the file, what was expected and what was found.
    """
    schema = schemas()[table_name]
    table = _read(path, f"a table '{table_name}'")
    found = _metadata(path, table.schema)["table"]
    if found != table_name:
        raise InputError(f"{path}: expected a table '{table_name}', found a table '{found}'")
    _check_names(str(path), schema, table.column_names)
    for column in schema.columns:
        _check_type(str(path), column, table.schema.field(column.name).type)
    _check_rows(str(path), schema, table)
    return pd.DataFrame({c.name: _to_pandas(c, table[c.name]) for c in schema.columns}, copy=False)


def read_metadata(path: str | Path) -> dict[str, Any]:
    """Provenance of a table: see `command.provenance`, and `table`, its name."""
    return _metadata(path, _read(path, "a table", only_schema=True))


def _read(path: str | Path, expected: str, only_schema: bool = False) -> Any:
    if not Path(path).is_file():
        raise InputError(f"{path}: expected {expected}, found no such file")
    try:
        return pq.read_schema(path) if only_schema else pq.ParquetFile(path).read()
    except PermissionError:
        raise
    except (pa.ArrowException, OSError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(
            f"{path}: expected {expected}, found a file that is truncated or not Parquet ({reason})"
        ) from None


def _metadata(path: str | Path, schema: pa.Schema) -> dict[str, Any]:
    text = (schema.metadata or {}).get(METADATA_KEY.encode())
    if text is None:
        raise InputError(f"{path}: expected a table of this project, found a foreign Parquet file")
    return json.loads(text)


# Columns


def _to_arrow(what: str, column: Column, values: pd.Series) -> pa.Array:
    try:
        if column.dtype != LIST:
            return pa.Array.from_pandas(values, type=ARROW_TYPES[column.dtype], safe=True)
        stacked = np.stack([np.asarray(row, dtype=np.float32) for row in values])  # rows length
        return pa.FixedSizeListArray.from_arrays(pa.array(stacked.ravel()), stacked.shape[1])
    except (pa.ArrowException, ValueError, TypeError) as error:
        found = f"{values.dtype} ({str(error).splitlines()[0]})"
        raise InputError(
            f"{what}: column '{column.name}': expected {column.dtype}, found {found}"
        ) from None


def _to_pandas(column: Column, values: pa.ChunkedArray) -> pd.Series:
    if column.dtype == "int64" and column.nullable:
        return values.to_pandas(types_mapper={pa.int64(): pd.Int64Dtype()}.get)
    return values.to_pandas()


def _check_names(what: str, schema: Schema, found: list[str]) -> None:
    expected = [column.name for column in schema.columns]
    problems = [f"no column '{name}'" for name in expected if name not in found]
    problems += [f"unknown column '{name}'" for name in found if name not in expected]
    if problems:
        raise InputError(f"{what}: expected columns {', '.join(expected)}; {', '.join(problems)}")


def _check_type(what: str, column: Column, found: pa.DataType) -> None:
    if column.dtype == LIST:
        fits = pa.types.is_fixed_size_list(found) and found.value_type == pa.float32()
    else:
        fits = found == ARROW_TYPES[column.dtype]
    if not fits:
        raise InputError(f"{what}: column '{column.name}': expected {column.dtype}, found {found}")


def _check_rows(what: str, schema: Schema, table: pa.Table) -> None:
    if table.num_rows == 0 and not schema.may_be_empty:
        raise InputError(f"{what}: expected rows, found none")
    for column in schema.columns:
        empty = table[column.name].null_count
        if empty and not column.nullable:
            raise InputError(f"{what}: column '{column.name}': expected no nulls, found {empty}")
    keys = table.select(schema.keys).to_pandas()
    repeated = keys.duplicated()
    if repeated.any():
        row = ", ".join(f"{key}={value}" for key, value in keys[repeated].iloc[0].items())
        raise InputError(f"{what}: expected one row for each key, found a second one for {row}")
