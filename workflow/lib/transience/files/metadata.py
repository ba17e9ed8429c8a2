"""What the metadata of a file says, and whether files of several runs belong together."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypedDict

from transience.errors import InputError
from transience.files.tables import RUN_KEYS, read_metadata


class Metadata(TypedDict, total=False):
    """What every file carries, written by `command.provenance` (tables also their name).

    A table of several runs has a list where they differ. Trainings also say where they left another
    one (`branch`), when their tasks wander (`drift`), and what alarm ended them (`stopped`).
    """

    experiment: str
    variant: str
    num_tasks: str  # as in paths: JSON has no infinity
    seed: int
    settings: dict[str, Any]  # all of the configuration that it depends on
    code: str  # digest of the code that made it
    commit: str  # only in a git checkout
    versions: dict[str, str]
    device: str
    threads: int
    created: str  # ISO 8601, UTC


def check_runs(paths: Sequence[str | Path]) -> list[dict[str, Any]]:
    """Return the metadata of tables that belong together.

    InputError if the runs come from different experiments, code or settings (of a variant), or
    are not every combination of the num_tasks and seeds of their variant.
    """
    each = [read_metadata(path) for path in paths]
    for path, found in zip(paths, each, strict=True):
        missing = {*RUN_KEYS, "settings", "code"} - set(found)
        if missing:
            raise InputError(f"{path}: expected the table of a run, found no {sorted(missing)}")
    _check_agreement("experiment", paths, [("", found.get("experiment")) for found in each])
    _check_agreement("code", paths, [("", found["code"]) for found in each])
    _check_agreement("settings", paths, [(found["variant"], found["settings"]) for found in each])
    _check_complete([(found["variant"], found["num_tasks"], found["seed"]) for found in each])
    return each


def merge_metadata(each: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """One entry a key: the value that all agree on, or the list of distinct values."""
    merged = {}
    for key in sorted({key for one in each for key in one}):
        values: list[Any] = []
        for one in each:
            for value in values_of(one.get(key)):
                if value not in values:
                    values.append(value)
        merged[key] = values[0] if len(values) == 1 else values
    return merged


def values_of(entry: Any) -> list[Any]:
    """Distinct values of a merged entry: a list where the runs differ."""
    return entry if isinstance(entry, list) else [] if entry is None else [entry]


def of_runs(each: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Which runs files with this metadata have together: the entries `RUN_KEYS`, merged."""
    merged = merge_metadata(each)
    return {key: merged[key] for key in RUN_KEYS}


def _check_agreement(
    key: str, paths: Sequence[str | Path], values: Sequence[tuple[str, Any]]
) -> None:
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
                f"expected every seed for every num_tasks of variant '{variant}', found "
                f"no run with num_tasks {missing[0][0]} and seed {missing[0][1]}"
            )
