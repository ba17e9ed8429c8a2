"""Damaged and foreign inputs of every command: one line that names the file, nothing written.

The commands are those that Snakemake plans for a small sweep and its calibration, so those of a new
rule are among them. They run in this process.
"""

import importlib
import json
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from transience.command.entry import ends_in_one_line
from transience.files import tables
from transience.files.tables import METADATA_KEY, schemas

SMALLER = {
    "num_tasks: [1, 4, inf]": "num_tasks: [4, inf]",
    "num_steps: 300": "num_steps: 40",
    "warmup_steps: 30": "warmup_steps: 3",
    "linear_every: 50": "linear_every: 10",
    "num_sequences: 128": "num_sequences: 16",
    "num_sequences: 256": "num_sequences: 64",
}
UNREAD = "branch_trajectories"  # in a sweep without branches it reads no rows
DRAWN = "figure1"  # the others are drawn by the same command
PNG = b"\x89PNG\r\n made up IEND\xaeB`\x82"


def start(job: Any) -> None:
    """Run the command line of a job as `python -m` does."""
    words = job.command[: job.command.index(">")]
    name = words[2]
    try:
        module = importlib.import_module(f"{name}.__main__")
    except ModuleNotFoundError:
        module = importlib.import_module(name)
    kept = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", words[2:])
        try:
            ends_in_one_line(module.main)
        finally:
            for number, handler in kept.items():
                signal.signal(number, handler)


@dataclass(frozen=True)
class Finished:
    """A small sweep that is finished, and a job of every rule."""

    folder: Path
    jobs: list[Any]

    def inputs(self) -> Iterator[tuple[Any, Path]]:
        """Every job with every kind of file that it reads."""
        for job in self.jobs:
            if job.rule == UNREAD:
                continue
            named = {Path(name).name: Path(name) for name in sorted(job.inputs) if name}
            for path in named.values():
                if path.suffix != ".png" or path.stem == DRAWN:
                    yield job, path


@pytest.fixture(scope="module")
def small_sweep(sources: Callable[[], Any]) -> Finished:
    project = sources()
    for old, new in SMALLER.items():
        project.edit("config/smoke.yaml", old, new)
    jobs, chosen = project.jobs("all", "llc_calibration"), {}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(project.folder)
        for job in jobs:
            figure = job.after("--figure")
            if job.rule == "configuration":
                project.results.mkdir(parents=True, exist_ok=True)
                (project.results / "config.json").write_text(job.after("%s"))
                continue
            if figure and figure != DRAWN and job.rule == "figure":
                for name in job.outputs:
                    Path(name).parent.mkdir(exist_ok=True)
                    Path(name).write_bytes(PNG)
                continue
            start(job)
            chosen.setdefault(job.rule, job)
    return Finished(project.folder, [job for job in chosen.values() if job.inputs])


# Damage: a function of the file, False where it does not apply


def rewrite(path: Path, change: Callable[[pa.Table], pa.Table | None]) -> bool:
    """Change rows or columns of a table and keep its metadata."""
    if path.suffix != ".parquet":
        return False
    table = pq.ParquetFile(path).read()
    if not len(table):
        return False  # as of runs that never left ridge: there is no row to damage
    changed = change(table)
    if changed is not None:
        pq.write_table(changed.replace_schema_metadata(table.schema.metadata), path)
    return changed is not None


def describe(path: Path, text: str) -> bool:
    """Replace the JSON in the metadata of a table."""
    if path.suffix != ".parquet":
        return False
    pq.write_table(pq.ParquetFile(path).read().replace_schema_metadata({METADATA_KEY: text}), path)
    return True


def recheckpoint(path: Path, change: Callable[[torch.Tensor], torch.Tensor]) -> bool:
    """Change the parameters in a file of checkpoints and keep its metadata."""
    if path.suffix != ".safetensors":
        return False
    with safe_open(path, "pt") as file:
        metadata = file.metadata()
    tensors = load_file(path)
    save_file(tensors | {"parameters": change(tensors["parameters"]).clone()}, path, metadata)
    return True


def of_another_experiment(path: Path) -> bool:
    if path.suffix == ".parquet":
        return describe(path, json.dumps(tables.read_metadata(path) | {"experiment": "other"}))
    if path.suffix == ".json":
        path.write_text(json.dumps(json.loads(path.read_text()) | {"experiment": "other"}))
    elif path.suffix == ".safetensors":
        with safe_open(path, "pt") as file:
            metadata = json.loads(file.metadata()[METADATA_KEY]) | {"experiment": "other"}
        save_file(load_file(path), path, {METADATA_KEY: json.dumps(metadata)})
    return path.suffix != ".png"


def foreign(path: Path) -> bool:
    if path.suffix == ".parquet":
        pq.write_table(pq.ParquetFile(path).read().replace_schema_metadata(None), path)
    elif path.suffix == ".safetensors":
        save_file({"x": torch.zeros(2)}, path)
    elif path.suffix == ".json":
        path.write_text('{"a": 1}')
    return path.suffix != ".png"


def another_table(path: Path) -> bool:
    other = "llc" if path.stem != "llc" else "training"
    if path.suffix == ".parquet":
        path.write_bytes(Path(f"results/smoke/tables/{other}.parquet").read_bytes())
    return path.suffix == ".parquet"


def of_another_type(table: pa.Table) -> pa.Table:
    last = table.num_columns - 1
    text = table.schema.field(last).type == pa.string()
    values = pa.array([1.0 if text else "x"] * len(table))
    return table.set_column(last, table.column_names[last], values)


def without_a_run(table: pa.Table) -> pa.Table | None:
    """Without the rows of a task diversity, or else of a seed; None where that can't be seen."""
    for key in ("num_tasks", "seed"):
        if key in table.column_names:
            values = table[key].to_numpy()
            kept = values != values[0]
            return table.filter(pa.array(kept)) if kept.any() else None
    return None


def with_nan(path: Path, *, null: bool) -> bool:
    """Not a number where the schema allows none: as such, or as what pandas makes of it, null."""

    def change(table: pa.Table) -> pa.Table | None:
        for number, column in enumerate(schemas()[path.stem].columns):
            values = table[column.name]
            if column.dtype == "float64" and not (column.nullable or column.key):
                numbers = values.to_numpy().copy()
                numbers[-1] = np.nan
                changed = pa.array(numbers, from_pandas=null)
                return table.set_column(number, column.name, changed)
            if column.dtype == tables.LIST and not null:
                rows = np.stack(values.to_pandas()).copy()
                rows[0, 0] = np.nan
                changed = pa.FixedSizeListArray.from_arrays(pa.array(rows.ravel()), rows.shape[1])
                return table.set_column(number, column.name, changed)
        return None

    return rewrite(path, change)


def with_a_nan_parameter(parameters: torch.Tensor) -> torch.Tensor:
    parameters[-1, 0] = torch.nan
    return parameters


def in_place_of_it(path: Path) -> None:
    path.unlink()
    path.mkdir()


DAMAGE: dict[str, Callable[[Path], object]] = {
    "gone": Path.unlink,
    "a folder": in_place_of_it,
    "empty": lambda path: path.write_bytes(b""),
    "truncated": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "text": lambda path: path.write_text("no such thing\n" * 50),
    "zeros": lambda path: path.write_bytes(bytes(path.stat().st_size)),
    "foreign": foreign,
    "another table": another_table,
    "another experiment": of_another_experiment,
    "metadata cut off": lambda path: describe(path, "{"),
    "metadata no object": lambda path: describe(path, "[]"),
    "metadata empty": lambda path: describe(path, "{}"),
    "column renamed": lambda path: rewrite(
        path, lambda t: t.rename_columns(["other", *t.column_names[1:]])
    ),
    "column gone": lambda path: rewrite(path, lambda t: t.drop_columns(t.column_names[-1:])),
    "another type": lambda path: rewrite(path, of_another_type),
    "no rows": lambda path: rewrite(path, lambda t: t.slice(0, 0)),
    "rows twice": lambda path: rewrite(path, lambda t: pa.concat_tables([t, t])),
    "rows of a run gone": lambda path: rewrite(path, without_a_run),
    "nan": lambda path: with_nan(path, null=False),
    "null": lambda path: with_nan(path, null=True),
    "parameters nan": lambda path: recheckpoint(path, with_a_nan_parameter),
    "parameters flat": lambda path: recheckpoint(path, torch.ravel),
    "checkpoints gone": lambda path: recheckpoint(path, lambda p: p[:2]),
    "another model": lambda path: recheckpoint(path, lambda p: p[:, :-1]),
}


def legitimate(path: Path, damage: str) -> bool:
    """A report is made without a figure that is not there; one M alone has no order."""
    not_there = damage in ("gone", "a folder") and path.suffix == ".png"
    return not_there or (damage == "no rows" and path.stem == "llc_ordering")


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_input_is_named_in_one_line(small_sweep, monkeypatch, capsys, damage):
    monkeypatch.chdir(small_sweep.folder)
    wrong, tried = [], 0
    for job, path in small_sweep.inputs():
        before = {Path(name): Path(name).read_bytes() for name in (path, *job.outputs)}
        try:
            if legitimate(path, damage) or DAMAGE[damage](path) is False:
                continue
            tried += 1
            for output in job.outputs:
                Path(output).unlink()
            problem = mishandled(job, path, capsys)
            wrong += [f"{job.rule}, {path}: {problem}"] if problem else []
        finally:
            if path.is_dir():
                path.rmdir()
            for file, content in before.items():
                file.write_bytes(content)
    assert wrong == []
    assert tried


def mishandled(job: Any, path: Path, capsys: pytest.CaptureFixture[str]) -> str | None:
    """What a job did instead of stopping with a line that names the file."""
    try:
        start(job)
        return "accepted"
    except SystemExit as stopped:
        code = stopped.code
    except Exception as error:
        return f"a traceback: {error!r}"
    said = [line for line in capsys.readouterr().err.splitlines() if "error" in line]
    written = [name for name in job.outputs if Path(name).exists()]
    expected = f"error: {path}"
    if code == 1 and len(said) == 1 and said[0].startswith(expected) and "expected" in said[0]:
        return f"wrote {written}" if written else None
    return f"exit code {code}, {said}"
