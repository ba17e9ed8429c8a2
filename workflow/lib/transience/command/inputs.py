"""What a command is given: files of its experiment, with numbers in them that can be numbers.

Only what reading a file does not find by itself: see `files.tables` and `files.checkpoints` for
files that are missing, cut off or of another schema. Nothing here changes a number.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from transience.errors import InputError

PNG = (b"\x89PNG\r\n", b"IEND\xaeB`\x82")  # how a figure begins and ends
OF_THE_LLC = ("llc", "llc_trace", "llc_curve")  # may have no rows, but only where the LLC is off


def check(path: Path, experiment: str) -> None:
    """InputError if a file is there, and not what a command of an experiment can work with."""
    kinds: dict[str, Callable[[Path], Iterator[tuple[str, str]]]] = {
        ".parquet": _table_problems,
        ".safetensors": _checkpoint_problems,
        ".json": _configuration_problems,
        ".png": _figure_problems,
    }
    if path.suffix not in kinds or not (path.is_file() or path.suffix == ".json"):
        return
    for expected, found in kinds[path.suffix](path):
        raise InputError(f"{path}: expected {expected}, found {found}")
    found = _described(path).get("experiment", experiment)
    if found != experiment:
        raise InputError(
            f"{path}: expected a file of experiment {experiment}, found one of {found}; "
            "move it away and run the sweep again"
        )


def _described(path: Path) -> dict[str, Any]:
    """What a file says of itself; empty where that can't be read."""
    try:
        if path.suffix == ".parquet":
            from transience.files.tables import read_metadata

            return read_metadata(path)
        if path.suffix == ".safetensors":  # only here: it takes torch, which takes seconds
            from transience.files.checkpoints import CheckpointReader

            return CheckpointReader(path).metadata
        return json.loads(path.read_bytes()) if path.suffix == ".json" else {}
    except InputError:  # told by who reads it
        return {}


def _table_problems(path: Path) -> Iterator[tuple[str, str]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    from transience.files.tables import METADATA_KEY, schemas

    try:
        with pq.ParquetFile(path) as file:
            metadata = (file.schema_arrow.metadata or {}).get(METADATA_KEY.encode())
            if metadata is None:
                return
            described = _json(metadata)
            if not isinstance(described, dict) or described.get("table") not in schemas():
                yield "a table of this project", "metadata that name none"
                return
            yield from _number_problems(file, described["table"])
            yield from _row_problems(file, described)
    except (pa.ArrowException, OSError):  # told by who reads it
        return


def _json(text: bytes) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None


def _number_problems(file: Any, name: str) -> Iterator[tuple[str, str]]:
    """Not a number where the schema wants one: Parquet does not call that a null."""
    import pyarrow as pa
    import pyarrow.compute as pc

    from transience.files.tables import LIST, schemas

    types = {field.name: field.type for field in file.schema_arrow}
    wanted = [
        column.name
        for column in schemas()[name].columns
        if (column.dtype == "float64" and types.get(column.name) == pa.float64())
        or (column.dtype == LIST and pa.types.is_fixed_size_list(types.get(column.name, pa.null())))
        if not column.nullable
    ]
    for batch in file.iter_batches(batch_size=4096, columns=wanted):
        for column in wanted:
            values = batch.column(column)
            flat = values.flatten() if pa.types.is_fixed_size_list(values.type) else values
            if count := pc.sum(pc.is_nan(flat)).as_py():
                yield f"numbers in column '{column}'", f"{count} that are none (nan)"
                return


def _row_problems(file: Any, metadata: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Rows of other runs than the metadata name; or not of all, in a table that must have rows."""
    from transience.files.metadata import values_of
    from transience.files.tables import RUN_KEYS
    from transience.problem.diversity import format_num_tasks

    if not file.metadata.num_rows and metadata["table"] in OF_THE_LLC and not _is_off(metadata):
        yield "rows", "none"
    keys = [key for key in RUN_KEYS if key in file.schema_arrow.names and key in metadata]
    if not keys or not file.metadata.num_rows:
        return
    table = file.read(columns=keys)
    for key in keys:
        values = table[key].unique().to_pylist()
        if key == "num_tasks" and not all(isinstance(value, float) for value in values):
            return  # another type, told by who reads it
        found = {format_num_tasks(v) if key == "num_tasks" else str(v) for v in values}
        wanted = {str(value) for value in values_of(metadata[key])}
        if found - wanted or (wanted - found and not may_lack_runs(metadata["table"])):
            yield f"rows of {key} {_listed(wanted)}", f"those of {_listed(found)}"
            return


def may_lack_runs(name: str) -> bool:
    """Whether a table may have rows of some runs only, such as of those that left ridge."""
    from transience.files.tables import schemas

    return schemas()[name].may_be_empty and name not in OF_THE_LLC


def _is_off(metadata: dict[str, Any]) -> bool:
    """Whether a table of the LLC was made with no checkpoint to estimate it at."""
    settings = metadata.get("settings")
    section = settings.get("llc") if isinstance(settings, dict) else None
    return isinstance(section, dict) and section.get("checkpoints") == []


def _listed(values: set[str]) -> str:
    return ", ".join(sorted(values))


def _checkpoint_problems(path: Path) -> Iterator[tuple[str, str]]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(str(path), framework="numpy") as file:
            shapes = {name: file.get_slice(name).get_shape() for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError):  # told by who reads it
        return
    if not {"steps", "parameters"} <= shapes.keys():
        return
    steps, parameters = shapes["steps"], shapes["parameters"]
    if len(steps) != 1 or len(parameters) != 2 or steps[0] != parameters[0]:
        found = f"shapes {steps} and {parameters}"
        yield "a row of parameters for each step, [C] and [C, P]", found


def _configuration_problems(path: Path) -> Iterator[tuple[str, str]]:
    if not path.is_file():
        yield "the configuration of the results", "no such file"
        return
    described = _json(path.read_bytes())
    if not isinstance(described, dict) or not {"experiment", "variants"} <= described.keys():
        yield "the configuration of the results", "something else, or damage"


def _figure_problems(path: Path) -> Iterator[tuple[str, str]]:
    content, (start, end) = path.read_bytes(), PNG
    if not (content.startswith(start) and content.endswith(end)):
        yield "a figure (PNG)", "one that is cut off, or something else"
