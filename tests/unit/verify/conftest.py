"""Finished results that no workflow made: all files, small, to damage and to mix."""

import json
import shutil
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest
import yaml
from small import MODEL, TASK

from transience.evaluation import result_tables
from transience.evaluation.evaluate import evaluate, evaluation_sets
from transience.evaluation.front import front_table
from transience.evaluation.settings import EvaluationSettings, ProbeSettings
from transience.files import tables
from transience.files.checkpoints import CheckpointWriter
from transience.files.metadata import merge_metadata
from transience.model.loss_and_gradient import LossAndGradient
from transience.model.transformer import initial_parameters, num_parameters
from transience.planning import configuration
from transience.problem.diversity import format_num_tasks
from transience.run import Run
from transience.training.phases import kept_steps
from transience.training.settings import CheckpointSettings, TrainingSettings
from transience.verify import files
from transience.verify.inspection import verify

DEFAULTS = Path(__file__).parents[3] / "config/config.yaml"
CHANGES = {
    "sweep": {"num_tasks": [4, "inf"], "seeds": [0, 1]},
    "task": TASK,
    "model": MODEL,
    "training": {"num_steps": 20, "warmup_steps": 2, "log_every": 10},
    "checkpoints": {"linear_every": 10, "logarithmic_count": 2},
    "evaluation": {"num_sequences": 20},
    "probe": {"num_sequences": 7},
}
ORIGIN = {"code": "0", "versions": {}, "device": "d", "threads": 1, "created": "t"}
VALUES = {"int64": 1, "float64": 1.0, "string": "", "bool": True}

Config = dict[str, Any]


def made_up(name: str, runs: list[Run]) -> pd.DataFrame:
    """A table with a row for each of its runs, and ones for numbers."""
    row = {column.name: VALUES[column.dtype] for column in tables.schemas()[name].columns}
    rows = [row | {key: run.keys[key] for key in run.keys if key in row} for run in runs]
    return pd.DataFrame(rows).drop_duplicates(tables.schemas()[name].keys)


def of_run(run: Run, config: Config, checkpoints: Path, metadata: Config) -> dict:
    """Write checkpoints that were never trained; the tables of a run by name."""
    kinds = TrainingSettings(**config["training"]), CheckpointSettings(**config["checkpoints"])
    steps, _ = kept_steps(*kinds)
    vectors = [initial_parameters(run.architecture, run.seed) + 0.01 * step for step in steps]
    checkpoints.parent.mkdir(parents=True)
    partial, size = checkpoints.with_suffix(".partial"), num_parameters(run.architecture)
    writer = CheckpointWriter(partial, steps, size, metadata)
    for step, vector in zip(steps, vectors, strict=True):
        writer.write(step, vector)
    writer.finish(checkpoints)
    states = CheckpointWriter(partial, [], 2 * size, metadata)
    states.finish(checkpoints.with_name("states.safetensors"))
    settings = EvaluationSettings(**config["evaluation"]), ProbeSettings(**config["probe"])
    sets = evaluation_sets(run, *settings)
    measures, probe = evaluate(vectors, sets, LossAndGradient(run.architecture).predict)
    return {
        "evaluation": result_tables.evaluation_table(steps, measures, run.keys),
        "predictors": result_tables.predictors_table(sets, run.keys),
        "front": front_table(sets, run),
        "probe": result_tables.probe_table(steps, probe, sets["probe"], run.keys),
    }


def make_results(folder: Path) -> None:
    config = yaml.safe_load(DEFAULTS.read_bytes()) | {"experiment": "small"}
    changed = {name: config[name] | change for name, change in CHANGES.items()}
    config = configuration.completed(config | changed)
    runs = files.runs_of(config, configuration.runs(config))
    frames, origins = defaultdict(list), []
    for run in runs:
        named = run.keys | {"num_tasks": format_num_tasks(run.num_tasks)}
        settings = {name: config[name] for name in ("task", "model", "training", "llc")}
        origins.append({"experiment": "small", **named, "settings": settings, **ORIGIN})
        place = files.run_files(folder, run)
        computed = of_run(run, config, place[files.CHECKPOINTS], origins[-1])
        for name in {*files.OF_RUNS} - {*files.ON_DEMAND}:
            frames[name].append(computed[name] if name in computed else made_up(name, [run]))
            tables.write_table(place[name], name, frames[name][-1], origins[-1])
    for name in {*files.OF_SWEEP} - {*files.ON_DEMAND}:
        frame = pd.concat(frames[name]) if name in frames else made_up(name, runs)
        path = folder / f"tables/{name}.parquet"
        tables.write_table(path, name, frame, merge_metadata(origins) | {"table": name})
    (folder / "config.json").write_text(json.dumps(config | {"configuration_files": []}))
    for path in files.declared(folder, [], config):
        if path.suffix in files.ENDS and path.stem not in files.ON_DEMAND:
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(b"whole to its end " + files.ENDS[path.suffix])


@dataclass(frozen=True)
class Results:
    """Finished results in the current folder, and what can happen to them."""

    folder: Path

    def problems(self) -> list[str]:
        return list(verify(self.folder).problems.values())

    def relabel(self, path: str, **changes: Any) -> None:
        """Rewrite entries of a table's metadata; None removes one."""
        table, key = pq.ParquetFile(self.folder / path).read(), tables.METADATA_KEY
        metadata = tables.read_metadata(self.folder / path) | changes
        metadata = {key: value for key, value in metadata.items() if value is not None}
        table = table.replace_schema_metadata({key: json.dumps(metadata)})
        pq.write_table(table, self.folder / path)

    def rewrite(self, path: str, change: Callable[[pd.DataFrame], pd.DataFrame]) -> None:
        """Replace the rows of a table, and keep its metadata."""
        place = self.folder / path
        frame, metadata = tables.read_table(place, place.stem), tables.read_metadata(place)
        tables.write_table(place, place.stem, change(frame), metadata)

    def edit_config(self, section: str, **changes: Any) -> None:
        path = self.folder / "config.json"
        config = json.loads(path.read_text())
        config[section].update(changes)
        path.write_text(json.dumps(config))


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("finished") / "small"
    make_results(folder)
    return folder


@pytest.fixture
def results(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Results:
    """A copy of finished results, small/ in the current folder."""
    shutil.copytree(finished, tmp_path / "small")
    monkeypatch.chdir(tmp_path)
    return Results(Path("small"))
