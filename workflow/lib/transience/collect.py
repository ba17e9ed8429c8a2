"""Collect the tables of runs into one table of the sweep.

Run as `python -m transience.collect --table evaluation --inputs RUN... --output SWEEP`.
"""

import json
from collections.abc import Sequence
from typing import Any

import pandas as pd

from transience import command
from transience.errors import InputError
from transience.tables import read_metadata, read_table, schemas, write_table


def collect(paths: Sequence[str], table_name: str) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Concatenate the tables of runs, and merge their metadata; see `check_runs` for errors."""
    metadata = check_runs(paths)
    frame = pd.concat([read_table(path, table_name) for path in paths], ignore_index=True)
    return frame, merge_metadata(metadata)


def check_runs(paths: Sequence[str]) -> list[dict[str, Any]]:
    """Return the metadata of tables that belong together.

    InputError if the runs come from different experiments, code or settings (of a variant), or
    are not every combination of the num_tasks and seeds of their variant.
    """
    each = [read_metadata(path) for path in paths]
    for path, found in zip(paths, each, strict=True):
        missing = {"variant", "num_tasks", "seed", "settings", "code"} - set(found)
        if missing:
            raise InputError(f"{path}: expected the table of a run, found no {sorted(missing)}")
    _check_agreement("experiment", paths, [("", found.get("experiment")) for found in each])
    _check_agreement("code", paths, [("", found["code"]) for found in each])
    _check_agreement("settings", paths, [(found["variant"], found["settings"]) for found in each])
    _check_complete([(found["variant"], found["num_tasks"], found["seed"]) for found in each])
    return each


def merge_metadata(each: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """One entry a key: the value that all agree on, or the list of distinct values."""
    merged = {}
    for key in sorted({key for one in each for key in one}):
        values: list[Any] = []
        for one in each:
            if key in one and one[key] not in values:
                values.append(one[key])
        merged[key] = values[0] if len(values) == 1 else values
    return merged


def _check_agreement(key: str, paths: Sequence[str], values: Sequence[tuple[str, Any]]) -> None:
    """Check that the (group, value) of files have one value a group."""
    first: dict[str, tuple[str, Any]] = {}
    for path, (group, value) in zip(paths, values, strict=True):
        other, expected = first.setdefault(group, (path, value))
        if value != expected:
            raise InputError(
                f"{path}: expected the same {key} as {other} ({_shorten(expected, value)}), "
                f"found {_shorten(value, expected)}; run the older of the two again"
            )


def _shorten(value: Any, other: Any) -> str:
    """Value as text; of settings, the sections in which they differ from the other."""
    if isinstance(value, dict) and isinstance(other, dict):
        value = {key: one for key, one in value.items() if other.get(key) != one}
    return json.dumps(value, sort_keys=True)[:200]


def _check_complete(runs: list[tuple[str, str, int]]) -> None:
    for variant in dict.fromkeys(run[0] for run in runs):
        num_tasks = dict.fromkeys(run[1] for run in runs if run[0] == variant)
        seeds = dict.fromkeys(run[2] for run in runs if run[0] == variant)
        missing = [(m, s) for m in num_tasks for s in seeds if (variant, m, s) not in runs]
        if missing:
            raise InputError(
                f"--inputs: expected every seed for every num_tasks of variant '{variant}', found "
                f"no run with num_tasks {missing[0][0]} and seed {missing[0][1]}"
            )


def main() -> None:
    """Read the flags, collect, write."""
    flags = command.parser("Collect the tables of runs into one table of the sweep.")
    flags.add_argument("--table", choices=[n for n, s in schemas().items() if "runs" in s.files])
    flags.add_argument("--inputs", nargs="+", required=True, metavar="RUN_TABLE")
    flags.add_argument("--output", required=True)
    args = flags.parse_args()
    frame, metadata = collect(args.inputs, args.table)
    write_table(args.output, args.table, frame, metadata)


if __name__ == "__main__":
    command.run(main)
