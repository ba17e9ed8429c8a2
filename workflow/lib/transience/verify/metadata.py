"""Do metadata and rows of files say what config.json, their place and their neighbours say?"""

import json
from collections.abc import Iterator, Sequence
from typing import Any

import pandas as pd

from transience.command.inputs import may_lack_runs
from transience.errors import InputError
from transience.files.metadata import Metadata, check_runs, merge_metadata, values_of
from transience.files.tables import RUN_KEYS, schemas
from transience.planning.configuration import sweep_family, variant_settings
from transience.problem.diversity import format_num_tasks
from transience.run import Run
from transience.verify.files import CHECKPOINTS, OF_RUNS, Config, File, in_order

NEEDED = [key for key in Metadata.__annotations__ if key != "commit"]


def metadata_problems(file: File, config: Config, runs: Sequence[Run]) -> Iterator[str]:
    """Does the metadata tell everything, and what config.json and the file's place tell?"""
    if absent := [key for key in NEEDED if key not in file.metadata]:
        yield file.problem(f"metadata {', '.join(NEEDED)}", f"no {', '.join(absent)}")
        return
    place = [run.keys | {"num_tasks": format_num_tasks(run.num_tasks)} for run in runs]
    for key, value in merge_metadata([{"experiment": config["experiment"]}, *place]).items():
        wanted, found = _texts(value), _texts(file.metadata[key])
        if wanted != found:
            yield file.problem(f"metadata {key} {', '.join(wanted)}", ", ".join(found))
    of_runs = file.name in (CHECKPOINTS, *OF_RUNS)
    variants = dict.fromkeys(run.variant for run in runs) if of_runs else ()
    settings = [variant_settings(config, variant) for variant in variants] or [config]
    settings = [one | {"family": sweep_family(config)} for one in settings]  # what claims read
    for found in values_of(file.metadata["settings"]):
        differences = [_first_difference(one, found) for one in settings]
        if all(differences):
            key, wanted, value = map(json.dumps, differences[0])
            yield file.problem(f"settings {key[1:-1]} {wanted}, as config.json has it", value)


def row_problems(file: File, runs: Sequence[Run]) -> Iterator[str]:
    """Are the rows of a table those of its runs, no more and no fewer?"""
    columns = [column.name for column in schemas()[file.name].columns]
    keys = [key for key in RUN_KEYS if key in columns]
    if not keys:
        return
    expected = {tuple(run.keys[key] for key in keys) for run in runs}
    found = set(file.table()[keys].drop_duplicates().itertuples(index=False, name=None))
    missing = set() if may_lack_runs(file.name) else expected - found
    parts = [f"no {_in_words(row)}" for row in sorted(missing)]
    parts += [f"also {_in_words(row)}" for row in sorted(found - expected)]
    if parts:
        yield file.problem(f"rows of every {', '.join(keys)} of its runs", "; ".join(parts))


def collected_problems(table: File, of_runs: Sequence[File]) -> Iterator[str]:
    """Do the tables of all runs belong together, and is this what they give together?"""
    try:
        metadata = merge_metadata(check_runs([str(file.path) for file in of_runs]))
    except InputError as error:
        yield str(error)
        return
    differing = [
        key for key, value in metadata.items() if _texts(value) != _texts(table.metadata.get(key))
    ]
    if differing:
        yield table.problem(f"the {', '.join(differing)} of the tables of runs", "others")
    rows = pd.concat([file.table() for file in of_runs])
    if not in_order(rows, table.name).equals(table.table()):
        yield table.problem("the rows of the tables of runs", "others")


def _texts(entry: Any) -> list[str]:
    """Distinct values of an entry as sorted texts."""
    values = values_of(entry)
    return sorted({value if isinstance(value, str) else json.dumps(value) for value in values})


def _in_words(row: tuple) -> str:
    return " ".join(format_num_tasks(v) if isinstance(v, float) else str(v) for v in row)


def _first_difference(expected: Any, found: Any, key: str = "") -> tuple[str, Any, Any] | None:
    """Where settings differ, in what was found of them; a command may read a part of a section."""
    if not (isinstance(expected, dict) and isinstance(found, dict)):
        return None if expected == found else (key, expected, found)
    parts = (
        _first_difference(expected.get(name), value, f"{key}.{name}".strip("."))
        for name, value in found.items()
    )
    return next(filter(None, parts), None)
