"""The files of finished results: which should be there, and are they whole.

Opening a file executes no code that it may contain: tables are Parquet, checkpoints safetensors,
the configuration is JSON.
"""

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from transience.command.inputs import OF_THE_LLC
from transience.errors import InputError
from transience.figures.captions import captions, of_sweep
from transience.files.checkpoints import CheckpointReader
from transience.files.tables import LIST, read_metadata, read_table, schemas
from transience.model.settings import ModelSettings
from transience.planning import configuration
from transience.planning.schema import sections
from transience.problem.settings import TaskSettings
from transience.run import Run

CHECKPOINTS = "checkpoints"
ON_DEMAND = ("llc_calibration", "llc_curvature", "llc_ordering", "llc_proposal")
OF_RUNS = [name for name, schema in schemas().items() if "runs" in schema.files]
OF_SWEEP = [name for name, schema in schemas().items() if "tables" in schema.files]
PLACE_OF_A_RUN = re.compile(r"runs/[^/]+/M(inf|[1-9]\d*)_seed\d+")
AGAIN = "run the sweep again"
ANY_MEMORY = 2**62  # results may be verified on a smaller machine
ENDS = {".png": b"IEND", ".pdf": b"%%EOF", ".html": b"</html>"}

Config = dict[str, Any]


@dataclass(frozen=True)
class File:
    """A table or checkpoints that could be read."""

    path: Path
    name: str  # of the table, or CHECKPOINTS
    metadata: dict[str, Any]

    def table(self) -> pd.DataFrame:
        """Read the rows."""
        return read_table(self.path, self.name)

    def problem(self, expected: str, found: str) -> str:
        """Line for a user, with what to do about it."""
        remedy = "run make calibrate" if self.name in ON_DEMAND else AGAIN
        return f"{self.path}: expected {expected}, found {found}; delete it and {remedy}"


def read_config(path: Path) -> Config:
    """Read config.json; InputError has a line for each problem."""
    if not path.parent.is_dir():
        raise InputError(f"{path.parent}: expected the results of a sweep, found no such folder")
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
        config.pop("configuration_files")
    except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
        found = "none" if isinstance(error, FileNotFoundError) else _damage(error)
        raise InputError(
            f"{path}: expected the configuration of results, found {found}; delete it and {AGAIN}"
        ) from None
    problems = configuration.validate(config, memory=ANY_MEMORY)
    keys = [
        (name, key) for name, of_section in sections().items() for key in of_section.model_fields
    ]
    missing = [".".join(key) for key in keys if key[1] not in config.get(key[0], {})]
    missing += ["variants"] if "variants" not in config else []
    if missing and not problems:
        problems = [f"expected every key, found no {', '.join(missing)}"]
    if problems:
        raise InputError("\n".join(f"{path}: {line}; {AGAIN}" for line in problems))
    return config


def runs_of(config: Config, keys: Iterable[tuple[str, float, int]]) -> list[Run]:
    """Runs of a configuration with these (variant, num_tasks, seed)."""
    runs = []
    for variant, num_tasks, seed in keys:
        settings = configuration.variant_settings(config, variant)
        sections = TaskSettings(**settings["task"]), ModelSettings(**settings["model"])
        runs.append(Run(variant, num_tasks, seed, *sections))
    return runs


def run_files(folder: Path, run: Run) -> dict[str, Path]:
    """Files of a run by the name of the table; the checkpoints come first."""
    place = folder / "runs" / configuration.run_folder(run.variant, run.num_tasks, run.seed)
    tables = {name: place / f"{name}.parquet" for name in OF_RUNS}
    return {CHECKPOINTS: place / f"{CHECKPOINTS}.safetensors"} | tables


def names(config: Config) -> tuple[list[str], list[str]]:
    """Tables of the sweep, and of each run.

    Where the LLC is off, runs have none of it, that of the sweep has no rows, and what `make
    calibrate` wrote is from before.
    """
    off = configuration.tables_left_out(config)
    of_sweep = [name for name in OF_SWEEP if not (off and name in ON_DEMAND)]
    of_runs = [name for name in OF_RUNS if not (off and name in (*off, *ON_DEMAND))]
    return of_sweep, of_runs


def declared(folder: Path, runs: Sequence[Run], config: Config) -> list[Path]:
    """Files of a finished sweep, after `make calibrate`."""
    in_sweep, in_runs = names(config)
    figures = [
        folder / f"figures/{name}.{kind}"
        for name in [*of_sweep(config), *captions("on_demand")]
        for kind in ("png", "pdf")
    ]
    tables = [folder / f"tables/{name}.parquet" for name in in_sweep]
    of_runs = [run_files(folder, run)[name] for run in runs for name in (CHECKPOINTS, *in_runs)]
    others = [folder / name for name in ("config.json", "report.html", "llc_proposal.yaml")]
    return [*others, *figures, *tables, *of_runs, *_of_branches(folder, runs, config)]


def _of_branches(folder: Path, runs: Sequence[Run], config: Config) -> Iterator[Path]:
    """Files of runs from which branches begin, or that tell where one has begun."""
    for run in runs:
        place = run_files(folder, run)[CHECKPOINTS]
        yield place.with_name("states.safetensors")
        branch = configuration.variant_settings(config, run.variant)["training"]["branch"]
        if isinstance(branch.get("step"), str):
            yield place.with_name("branch_point.parquet")


def incomplete_problems(paths: Iterable[Path]) -> Iterator[str]:
    """Files that are not there (but by `make calibrate`), and figures without their end."""
    for path in paths:
        if not path.is_file():
            if path.stem not in ON_DEMAND:
                yield f"{path}: expected a file, found none; {AGAIN}"
        elif ENDS.get(path.suffix, b"") not in path.read_bytes()[-32:]:
            yield f"{path}: expected a whole file, found one cut off; delete it and {AGAIN}"


def strays(folder: Path, declared: Sequence[Path]) -> tuple[list[str], list[str]]:
    """Problems and notes on files in runs/ and tables/ that the workflow does not write."""
    problems, notes, places = [], [], {path.parent for path in declared}
    there = [path for top in ("runs", "tables") for path in (folder / top).rglob("*")]
    for path in sorted({*there} - {*declared} - {path.parent for path in there}):
        place = path.parent.relative_to(folder).as_posix()
        if path.parent not in places and PLACE_OF_A_RUN.fullmatch(place):
            notes.append(f"{path.parent}: not in config.json, unchecked")
        elif path.stem in (*OF_THE_LLC, *ON_DEMAND) and path.parent in places:  # else declared
            notes.append(f"{path}: from before the LLC was turned off, unchecked")
        elif path.is_file() and not path.name.startswith("."):
            problems.append(
                f"{path}: expected what the workflow writes, found an undeclared file; move it away"
            )
    return problems, list(dict.fromkeys(notes))


def open_file(path: Path, name: str) -> File:
    """Read the table of a name, or checkpoints; InputError if it is damaged."""
    try:
        if name != CHECKPOINTS:
            _check_numbers(path, read_table(path, name), name)
        metadata = read_metadata(path) if name != CHECKPOINTS else CheckpointReader(path).metadata
        return File(path, name, metadata)
    except InputError as error:
        raise InputError(f"{error}; delete it and {AGAIN}") from None
    except (ValueError, KeyError, IndexError, TypeError) as error:
        raise InputError(File(path, name, {}).problem(name, _damage(error))) from None


def _check_numbers(path: Path, frame: pd.DataFrame, name: str) -> None:
    """InputError for one that is none (nan) where the schema wants one."""
    for column in [column for column in schemas()[name].columns if not column.nullable]:
        values = frame[column.name]
        lists = column.dtype == LIST
        each = (np.isnan(row).sum() for row in values) if lists else values.isna()
        if missing := int(sum(each)):
            raise InputError(f"{path}: expected numbers in '{column.name}', found {missing} nan")


def _damage(error: Exception) -> str:
    return f"damage ({' '.join(str(error).split())})"


def in_order(frame: pd.DataFrame, name: str) -> pd.DataFrame:
    """Rows as they stand in the file of a table."""
    return frame.sort_values(schemas()[name].keys, kind="stable", ignore_index=True)
