"""Numbers of another run are found, however they are labelled."""

import numpy as np
import pytest

from transience.evaluation.evaluate import evaluation_sets
from transience.evaluation.front import front_table
from transience.evaluation.result_tables import predictors_table
from transience.evaluation.settings import EvaluationSettings, ProbeSettings
from transience.files import tables
from transience.files.checkpoints import CheckpointReader, CheckpointWriter
from transience.verify import files
from transience.verify.numbers import difference_of, tasks_wander

RUN = "runs/baseline/M4_seed0"
CHECKPOINTS = f"small/{RUN}/checkpoints.safetensors"


def pass_off_checkpoints(results, source: str, *, drop: int = 0) -> None:
    """Put other checkpoints, without some parameters, in the place of RUN's, with its metadata."""
    path = results.folder / RUN / "checkpoints.safetensors"
    metadata = CheckpointReader(path).metadata
    reader = CheckpointReader(results.folder / source / path.name)
    size = reader.num_parameters - drop
    writer = CheckpointWriter(path.with_suffix(".partial"), reader.steps, size, metadata)
    for row, step in enumerate(reader.steps):
        writer.write(step, reader.parameters(row)[:size])
    writer.finish(path)


@pytest.mark.parametrize("source", ["M4_seed1", "Minf_seed0"])
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("predictors", "the losses on the tasks of its seed and M"),
        ("front", "the least losses on the tasks of its seed and M"),
        ("probe", "the predictions of dmmse for its seed and M"),
        ("evaluation", "what the checkpoint of step 20 gives"),
    ],
)
def test_relabelled_numbers_of_another_run_are_found(results, name, source, expected):
    frame = tables.read_table(results.folder / f"runs/baseline/{source}/{name}.parquet", name)
    results.rewrite(f"{RUN}/{name}.parquet", lambda _: frame.assign(num_tasks=4.0, seed=0))
    line = f"small/{RUN}/{name}.parquet: expected {expected}, found others, by up to "
    assert any(problem.startswith(line) for problem in results.problems())


def test_relabelled_checkpoints_of_another_seed_are_found(results):
    pass_off_checkpoints(results, "runs/baseline/M4_seed1")
    (line,) = results.problems()
    start = f"{CHECKPOINTS}: expected the initialisation of seed 0 at step 0, found others"
    assert line.startswith(start)


def test_checkpoints_are_of_the_architecture_and_the_schedule(results):
    size = CheckpointReader(CHECKPOINTS).num_parameters
    pass_off_checkpoints(results, RUN, drop=1)
    (line,) = results.problems()
    assert f"expected parameters of shape [4, {size}], found [4, {size - 1}]; " in line
    results.edit_config("checkpoints", linear_every=5)
    (line,) = (line for line in results.problems() if line.startswith(CHECKPOINTS))
    assert ": expected 6 checkpoints as scheduled, found 4 at other steps; " in line


def drifting(results, drift: list) -> None:
    """Let RUN be one whose tasks wandered, by its checkpoints' metadata."""
    path = results.folder / RUN / "checkpoints.safetensors"
    reader = CheckpointReader(path)
    metadata = reader.metadata | {"drift": drift}
    vectors = [reader.parameters(row).clone() for row in range(len(reader))]
    size, steps = reader.num_parameters, reader.steps
    writer = CheckpointWriter(path.with_suffix(".partial"), steps, size, metadata)
    for step, vector in zip(steps, vectors, strict=True):
        writer.write(step, vector)
    writer.finish(path)


def test_where_tasks_wander_numbers_are_those_of_the_last_checkpoints_tasks(results):
    assert results.problems() == []
    drifting(results, [[30, 40, 0.5]])  # only later
    assert results.problems() == []
    drifting(results, [[5, 15, 0.5]])
    problems = results.problems()
    for name in ("predictors", "front", "probe", "evaluation"):
        assert (
            sum(one.startswith(f"small/{RUN}/{name}.parquet: expected ") for one in problems) == 1
        )
    config = files.read_config(results.folder / "config.json")
    (run,) = files.runs_of(config, [("baseline", 4.0, 0)])
    path = results.folder / RUN / "checkpoints.safetensors"
    there = run.as_trained(CheckpointReader(path)).at(20)
    sizes = EvaluationSettings(**config["evaluation"]), ProbeSettings(**config["probe"])
    sets = evaluation_sets(there, *sizes)
    results.rewrite(f"{RUN}/front.parquet", lambda _: front_table(sets, there))
    results.rewrite(f"{RUN}/predictors.parquet", lambda _: predictors_table(sets, run.keys))
    problems = results.problems()
    for name in ("predictors", "front"):
        assert not any(one.startswith(f"small/{RUN}/{name}.parquet") for one in problems)


def test_tasks_of_a_branch_wander_where_those_of_its_parent_did(results):
    config = files.read_config(results.folder / "config.json")
    config["variants"] = {
        "baseline": {},
        "drift": {"training": {"phases": [{"task_drift": 0.1}]}},
        "branch": {"training": {"branch": {"variant": "drift", "step": 2}}},
        "twig": {"training": {"branch": {"variant": "branch", "step": 3}}},
        "other": {"training": {"branch": {"variant": "baseline", "step": 2}}},
    }
    wander = {name: tasks_wander(config, name) for name in config["variants"]}
    assert wander == dict(baseline=False, drift=True, branch=True, twig=True, other=False)


def test_numbers_may_differ_by_rounding_relative_to_their_column():
    expected = np.array([[1000.0, 0.01], [0.0, 0.0]])
    assert difference_of(expected, expected + np.array([[1.0, 1e-5], [-1.0, 0.0]])) is None
    assert difference_of(expected, expected + np.array([[0.0, 1e-4], [0.0, 0.0]]))
    assert difference_of([1.0], [np.nan]) == "others, by up to nan"
    assert difference_of([1.0, 2.0], []) == "0 numbers instead of 2"
