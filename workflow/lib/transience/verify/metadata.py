"""Does the metadata of files say what config.json, their place and their neighbours say?"""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from transience import command
from transience.configuration import variant_settings
from transience.tasks import format_num_tasks
from transience.verify.files import CHECKPOINTS, OF_RUNS, Config, File, Run

RUN_KEYS = ("variant", "num_tasks", "seed")
FIELDS = ("experiment", *RUN_KEYS, "settings", "code", "versions", "device", "threads", "created")
ORIGIN = ("code", "commit", "versions", "device", "threads", "created")
JOBS = {  # files that one command writes, by that which names them
    CHECKPOINTS: "training",
    **dict.fromkeys(("predictors", "probe"), "evaluation"),
    "llc_trace": "llc",
    "llc_curvature": "llc_calibration",
}


def metadata_lines(file: File, config: Config, runs: Sequence[Run]) -> Iterator[str]:
    """Does the metadata tell everything, and what config.json and the file's place tell?"""
    absent = [key for key in FIELDS if key not in file.metadata]
    if absent:
        yield (
            f"{file.path}: expected metadata {', '.join(FIELDS)}, found no {', '.join(absent)}; "
            f"{file.remedy}"
        )
        return
    expected = dict(zip(RUN_KEYS, zip(*runs, strict=True), strict=True))
    for key, values in (expected | {"experiment": [config["experiment"]]}).items():
        wanted, found = texts(values), texts(_values(file.metadata[key]))
        if wanted != found:
            yield (
                f"{file.path}: expected metadata {key} {', '.join(wanted)}, "
                f"found {', '.join(found)}; {file.remedy}"
            )
    variants = dict.fromkeys(run[0] for run in runs) if file.name in (*OF_RUNS, CHECKPOINTS) else ()
    settings = [variant_settings(config, variant) for variant in variants] or [config]
    yield from settings_lines(file, settings)


def settings_lines(file: File, settings: Sequence[Config]) -> Iterator[str]:
    """Are the settings in the metadata those of config.json, for some variant?"""
    for found in _values(file.metadata["settings"]):
        expected = [{key: one.get(key) for key in found} for one in settings]
        if found not in expected:
            key, wanted, value = _first_difference(expected[0], found)
            yield (
                f"{file.path}: expected settings {key} {json.dumps(wanted)}, as config.json has "
                f"it, found {json.dumps(value)}; {file.remedy}"
            )


def row_lines(file: File, runs: Sequence[Run]) -> Iterator[str]:
    """Are the rows of a table those of its runs, no more and no fewer?"""
    keys = [key for key in RUN_KEYS if key in file.content]
    if not keys:
        return
    indices = [RUN_KEYS.index(key) for key in keys]
    expected = {" ".join(str(run[index]) for index in indices) for run in runs}
    distinct = file.content[keys].drop_duplicates()
    if "num_tasks" in keys:
        distinct = distinct.assign(num_tasks=distinct["num_tasks"].map(format_num_tasks))
    found = {" ".join(map(str, row)) for row in distinct.itertuples(index=False)}
    missing = expected - found if file.name != "llc_ordering" else set()  # pairs: no largest M
    parts = [f"no {row}" for row in sorted(missing)]
    parts += [f"also {row}" for row in sorted(found - expected)]
    if parts:
        yield (
            f"{file.path}: expected rows of every {', '.join(keys)} of its runs, "
            f"found {'; '.join(parts)}; {file.remedy}"
        )


def code_lines(files: Sequence[File]) -> Iterator[str]:
    """Files of the same kind in all runs that were made by other code than most."""
    of_runs = [file for file in files if file.path.parent.name != "tables"]
    for job in dict.fromkeys(JOBS.get(file.name, file.name) for file in of_runs):
        group = [file for file in of_runs if JOBS.get(file.name, file.name) == job]
        digests = Counter(str(file.metadata.get("code")) for file in group)
        usual = digests.most_common(1)[0][0]
        for file in group:
            if file.metadata.get("code") != usual:
                yield (
                    f"{file.path}: expected code {usual}, as in {digests[usual]} of {len(group)} "
                    f"such files, found {file.metadata.get('code')}; {file.remedy}"
                )


def origin_lines(sweep: Iterable[File], files: Sequence[File]) -> Iterator[str]:
    """Collected tables whose origin is not that of the tables of runs."""
    for file in sweep:
        sources = [one for one in files if one.name == file.name and one.path != file.path]
        differing = [
            key
            for key in ORIGIN
            if not set(texts(all_values(sources, key))) <= set(texts(all_values([file], key)))
        ]
        if differing:
            yield (
                f"{file.path}: expected the {', '.join(differing)} of the {len(sources)} tables "
                f"of runs, found others; {file.remedy}"
            )


def mixture_lines(folder: Path, files: Sequence[File]) -> Iterator[str]:
    """Library versions and devices of which there are several."""
    for name in ("python", *command.LIBRARIES):
        numbers = texts(one[name] for one in all_values(files, "versions") if name in one)
        if len(numbers) > 1:
            yield f"{folder}: several versions of {name}: {', '.join(numbers)}"
    devices = texts(all_values(files, "device"))
    if len(devices) > 1:
        yield f"{folder}: several devices: {', '.join(devices)}"


def all_values(files: Iterable[File], key: str) -> list[Any]:
    """Values of an entry in the metadata of all files."""
    return [value for file in files for value in _values(file.metadata.get(key))]


def _values(value: Any) -> list[Any]:
    """Distinct values of an entry of merged metadata: a list where runs differ."""
    return value if isinstance(value, list) else [] if value is None else [value]


def texts(values: Iterable[Any]) -> list[str]:
    """Distinct values as sorted texts."""
    return sorted({value if isinstance(value, str) else json.dumps(value) for value in values})


def _first_difference(expected: Any, found: Any, key: str = "") -> tuple[str, Any, Any]:
    if isinstance(expected, dict) and isinstance(found, dict):
        name = next(name for name in {**expected, **found} if expected.get(name) != found.get(name))
        return _first_difference(expected.get(name), found.get(name), f"{key}.{name}".strip("."))
    return key, expected, found
