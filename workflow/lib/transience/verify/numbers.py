"""Do the numbers of a run stem from the tasks and the weights that its files name?

Metadata can be wrong. What is cheap is computed anew from (seed, M) and from the checkpoints, with
the tasks at the last of them where tasks wander:

- checkpoints: steps, size; the first is the initialisation of the seed
- predictors, front, probe: losses and predictions of dMMSE_M, ridge and what is between, from the
  seed's tasks
- evaluation, probe: the rows of the last checkpoint

Not checked: training and SGLD draws and what follows from them, which take minutes.
"""

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import torch

from transience.evaluation.evaluate import MEASURES, EvaluationSet, evaluate, evaluation_sets
from transience.evaluation.front import front_table
from transience.evaluation.result_tables import evaluation_table, predictors_table
from transience.evaluation.settings import EvaluationSettings, ProbeSettings
from transience.files.checkpoints import CheckpointReader
from transience.model.transformer import initial_parameters, num_parameters, predict, unflatten
from transience.planning.configuration import variant_settings
from transience.run import Run
from transience.training.phases import kept_steps
from transience.training.settings import CheckpointSettings, TrainingSettings
from transience.verify.files import CHECKPOINTS, Config, File, in_order

RTOL = 1e-3  # rounding of float32 on another processor; another seed's numbers differ far more
BATCH = 256  # sequences predicted at once

Comparison = tuple[File, str, Any, Any]  # what was expected in words, the numbers, those found


def run_problems(files: Iterable[File], config: Config, run: Run) -> Iterator[str]:
    """Problems of the files of one run."""
    settings, named = variant_settings(config, run.variant), {file.name: file for file in files}
    sections = EvaluationSettings(**settings["evaluation"]), ProbeSettings(**settings["probe"])
    if CHECKPOINTS in named:  # they alone say how tasks wandered
        reader = CheckpointReader(named[CHECKPOINTS].path)
        run = run.as_trained(reader).at(reader.steps[-1])
    elif tasks_wander(config, run.variant):
        return
    sets = evaluation_sets(run, *sections)
    compared = list(_ideal_predictors(named, sets, run))
    if CHECKPOINTS in named:
        problems = list(_checkpoint_problems(named[CHECKPOINTS], settings, run))
        yield from problems
        compared += _last_checkpoint(named, sets, run) if not problems else []
    for file, what, expected, found in compared:
        if difference := difference_of(expected, found):
            yield file.problem(what, difference)


def tasks_wander(config: Config, variant: str) -> bool:
    """Whether tasks of a variant wander at any time, or did in what it branches from."""
    training = variant_settings(config, variant)["training"]
    parent = training.get("branch", {}).get("variant")
    own = any(phase.get("task_drift") for phase in training.get("phases", []))
    return own or bool(parent and tasks_wander(config, parent))


def difference_of(expected: Any, found: Any) -> str | None:
    """None if numbers (N,) or columns (N, …) agree, else how far they are apart.

    Up to RTOL of each number, and of the largest of its column.
    """
    expected, found = (np.asarray(values, dtype=np.float64) for values in (expected, found))
    if expected.shape != found.shape:
        return f"{found.size} numbers instead of {expected.size}"
    atol = RTOL * np.abs(expected).max(axis=0, initial=0.0)
    apart = np.abs(found - expected)
    agree = (apart <= atol + RTOL * np.abs(expected)).all()
    return None if agree else f"others, by up to {apart.max():.2g}"


def _checkpoint_problems(file: File, settings: Config, run: Run) -> Iterator[str]:
    reader = CheckpointReader(file.path)
    start = reader.metadata.get("branch", {}).get("step", 0)
    steps, _ = kept_steps(
        TrainingSettings(**settings["training"]),
        CheckpointSettings(**settings["checkpoints"]),
        start=start,
        before=[step for step in reader.steps if step < start],
    )
    if "stopped" in reader.metadata:
        alarm, end = reader.metadata["stopped"]["step"], reader.steps[-1]
        steps = sorted({*(step for step in steps if step < end), alarm, end})
    shape, found = [len(steps), num_parameters(run.architecture)], reader.rows.get_shape()
    if reader.steps != steps:
        scheduled = f"{len(steps)} checkpoints as scheduled"
        yield file.problem(scheduled, f"{len(reader)} at other steps")
    elif found != shape:
        yield file.problem(f"parameters of shape {shape}", str(found))
    else:
        start = initial_parameters(run.architecture, run.seed)
        if difference := difference_of(start, reader.parameters(0)):
            yield file.problem(f"the initialisation of seed {run.seed} at step 0", difference)


def _ideal_predictors(
    files: dict[str, File], sets: dict[str, EvaluationSet], run: Run
) -> Iterator[Comparison]:
    """Losses and predictions of dMMSE_M and ridge, from the tasks of the seed."""
    if file := files.get("predictors"):
        expected = in_order(predictors_table(sets, run.keys), "predictors")
        what = "the losses on the tasks of its seed and M"
        yield file, what, expected["loss"], file.table()["loss"]
    if file := files.get("front"):
        expected = in_order(front_table(sets, run), "front")
        what = "the least losses on the tasks of its seed and M"
        yield file, what, expected["loss"], file.table()["loss"]
    if file := files.get("probe"):
        frame = file.table()
        for name in ("dmmse", "ridge"):
            expected = getattr(sets["probe"], name).flatten()
            found = frame.loc[frame["predictor"] == name, "predictions"].explode()
            yield file, f"the predictions of {name} for its seed and M", expected, found


def _last_checkpoint(
    files: dict[str, File], sets: dict[str, EvaluationSet], run: Run
) -> Iterator[Comparison]:
    """Its evaluation, by the readable definition of the transformer."""
    reader = CheckpointReader(files[CHECKPOINTS].path)
    vector, last = reader.parameters(len(reader) - 1), reader.steps[-1]

    @torch.no_grad()
    def in_parts(vector: torch.Tensor, xs: torch.Tensor, ys: torch.Tensor) -> torch.Tensor:
        parameters = unflatten(vector, run.architecture)
        parts = zip(xs.split(BATCH), ys.split(BATCH), strict=True)
        return torch.cat([predict(parameters, x, y, run.architecture) for x, y in parts])

    measures, predictions = evaluate([vector], sets, in_parts)
    what = f"what the checkpoint of step {last} gives"
    if file := files.get("evaluation"):
        expected = in_order(evaluation_table([last], measures, run.keys), file.name)
        frame, columns = file.table(), list(MEASURES)
        yield file, what, expected[columns], frame.loc[frame["step"] == last, columns]
    if file := files.get("probe"):
        frame = file.table()
        found = frame.loc[frame["step"] == last, "predictions"].explode()
        yield file, what, predictions[0], found
