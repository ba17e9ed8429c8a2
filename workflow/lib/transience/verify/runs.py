"""Do the numbers of a run stem from the tasks and the weights that its files name?

Metadata can be wrong. What is cheap is computed anew from (seed, M) and from the checkpoints:

- checkpoints: steps, size, finite numbers; the first is the initialisation of the seed
- training: the steps; the loss of the first batch
- predictors, probe: losses and predictions of dMMSE_M and ridge, from the seed's tasks
- evaluation, probe: the rows of the last checkpoint
- llc: the loss of its last checkpoint on the seed's dataset (`data_mode: fixed`)
- llc_trace: the mean losses of its draws, which llc has as well
- indicators: the squared weight norm of every checkpoint
- all of them: the steps are those of the checkpoints

Not checked: SGLD draws and what follows from them, which take minutes; and losses on sequences
that a GPU drew (training, llc), as its random numbers are its own.
"""

from argparse import Namespace
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import torch

from transience import evaluation
from transience.checkpoints import CheckpointReader, schedule
from transience.llc import choose_checkpoints, dataset
from transience.tables import schemas
from transience.tasks import parse_num_tasks, sample_sequences, task_set
from transience.transformer import (
    Architecture,
    initial_parameters,
    num_parameters,
    predict,
    unflatten,
)
from transience.verify.files import CHECKPOINTS, Config, File, Run

RTOL = 1e-3  # rounding of float32 on another processor; another seed's numbers differ far more
BF16_RTOL = 3e-2
BATCH = 256  # sequences predicted at once
GPUS = ("NVIDIA", "GeForce", "Tesla", "Quadro", "Radeon", "Instinct")


def run_lines(files: dict[str, File], settings: Config, run: Run) -> Iterator[str]:
    """Problems of the files of one run, by their names, given the settings of its variant.

    The most telling problem of a file comes first.
    """
    variant, num_tasks, seed = run
    asked = Namespace(
        settings=settings, variant=variant, num_tasks=parse_num_tasks(num_tasks), seed=seed
    )
    if "training" in files:
        yield from _training_lines(files["training"], asked)
    sets = evaluation.evaluation_sets(settings, num_tasks=asked.num_tasks, seed=seed)
    if "predictors" in files:
        yield from _predictor_lines(files["predictors"], sets)
    if "probe" in files:
        yield from _ideal_lines(files["probe"], sets["probe"])
    if CHECKPOINTS not in files:
        return
    problems = list(_checkpoint_lines(files[CHECKPOINTS], asked))
    yield from problems
    if not problems:
        reader = files[CHECKPOINTS].content
        yield from _step_lines(files, reader.steps, settings)
        yield from _evaluation_lines(files, reader, sets, settings)
        of_llc = list(_llc_lines(files, reader, asked))
        yield from of_llc or _trace_lines(files, settings)
        yield from _indicator_lines(files, reader)


def difference_of(expected: Any, found: Any, rtol: float = RTOL) -> str | None:
    """None if numbers agree, else how far they are apart; `rtol` is also of the largest."""
    expected, found = (np.asarray(values, dtype=np.float64) for values in (expected, found))
    if expected.shape != found.shape:
        return f"{found.size} numbers instead of {expected.size}"
    atol = rtol * np.abs(expected[np.isfinite(expected)]).max(initial=0.0)
    if np.allclose(found, expected, rtol=rtol, atol=atol, equal_nan=True):
        return None
    both = np.isfinite(expected) & np.isfinite(found)
    return f"others, by up to {np.abs(found - expected)[both].max(initial=0.0):.2g}"


def difference_line(file: File, what: str, difference: str | None) -> Iterator[str]:
    """Line for a user, if there is a difference."""
    if difference:
        yield f"{file.path}: expected {what}, found {difference}; {file.remedy}"


def _checkpoint_lines(file: File, asked: Namespace) -> Iterator[str]:
    reader: CheckpointReader = file.content
    settings = asked.settings
    steps = schedule(settings["training"]["num_steps"], **settings["checkpoints"])
    if reader.steps != steps:
        yield from difference_line(
            file, f"{len(steps)} checkpoints as scheduled", f"{len(reader)} at other steps"
        )
        return
    architecture = Architecture.from_settings(settings)
    shape, found = [len(steps), num_parameters(architecture)], reader.rows.get_shape()
    if (found, reader.rows.get_dtype()) != (shape, "F32"):
        wanted = f"parameters of shape {shape} in F32"
        yield from difference_line(file, wanted, f"{found} in {reader.rows.get_dtype()}")
        return
    bad = [
        step for row, step in enumerate(steps) if not reader.parameters(row).isfinite().all().item()
    ]
    if bad:
        yield from difference_line(file, "finite numbers", f"others at step {bad[0]}")
    start = difference_of(initial_parameters(architecture, asked.seed), reader.parameters(0))
    yield from difference_line(file, f"the initialisation of seed {asked.seed} at step 0", start)


def _step_lines(files: dict[str, File], saved: list[int], settings: Config) -> Iterator[str]:
    """Tables of checkpoints that are of other steps than the checkpoints."""
    chosen = dict.fromkeys(("llc", "llc_trace"), settings["llc"]["checkpoints"])
    on_demand = ("llc_calibration", "llc_curvature")
    chosen |= dict.fromkeys(on_demand, settings["llc_calibration"]["checkpoints"])
    for name in sorted(set(files) - {CHECKPOINTS, "training", "predictors"}):
        steps = saved
        if name in chosen:
            steps = [saved[index] for index in choose_checkpoints(saved, chosen[name])]
        found = sorted(files[name].content["step"].dropna().unique().tolist())
        if found != steps:
            wanted = f"the steps {_in_short(steps)} of the checkpoints"
            yield from difference_line(files[name], wanted, _in_short(found))


def _in_short(steps: list[int]) -> str:
    shown = map(str, steps if len(steps) <= 6 else [*steps[:3], "…", *steps[-2:]])
    return f"{', '.join(shown)} ({len(steps)} in all)"


def _training_lines(file: File, asked: Namespace) -> Iterator[str]:
    section, task = asked.settings["training"], asked.settings["task"]
    last, every = section["num_steps"], section["log_every"]
    steps = sorted({1, last, *range(every, last + 1, every)})
    if file.content["step"].tolist() != steps:
        yield from difference_line(
            file, f"{len(steps)} rows up to step {last}", f"{len(file.content)} of other steps"
        )
        return
    if _drawn_on_a_gpu(file):
        return
    architecture = Architecture.from_settings(asked.settings)
    tasks = task_set(asked.seed, asked.num_tasks, task["task_dimension"])
    batch = sample_sequences(
        asked.seed, "training", 0, tasks=tasks, num_sequences=section["batch_size"], **task
    )
    loss = _loss(initial_parameters(architecture, asked.seed), *batch, architecture)
    rtol = BF16_RTOL if section["precision"] == "bf16" else RTOL
    difference = difference_of([loss], file.content["batch_loss"][:1], rtol)
    yield from difference_line(file, f"the loss of the first batch, {loss:.4g}", difference)


def _predictor_lines(file: File, sets: dict[str, evaluation.EvaluationSet]) -> Iterator[str]:
    expected = in_file_order(evaluation.predictors_table(sets, {}), "predictors")
    difference = difference_of(expected["loss"], file.content["loss"])
    yield from difference_line(file, "the losses on the tasks of its seed and M", difference)


def _ideal_lines(file: File, probe: evaluation.EvaluationSet) -> Iterator[str]:
    frame = file.content
    for name in ("dmmse", "ridge"):
        found = frame.loc[frame["predictor"] == name, "predictions"]
        expected = getattr(probe, name).flatten()[None]
        difference = difference_of(expected, np.array(found.tolist()))
        yield from difference_line(
            file, f"the predictions of {name} for its seed and M", difference
        )


def _evaluation_lines(
    files: dict[str, File], reader: CheckpointReader, sets: dict, settings: Config
) -> Iterator[str]:
    """Evaluate the last checkpoint again."""
    architecture, last = Architecture.from_settings(settings), reader.steps[-1]
    vector = reader.parameters(len(reader) - 1)
    measures, probe = evaluation.evaluate(
        [vector], sets, lambda vector, xs, ys: _predict(vector, xs, ys, architecture)
    )
    what = f"what the checkpoint of step {last} gives"
    if "evaluation" in files:
        frame = files["evaluation"].content
        expected = in_file_order(evaluation.evaluation_table([last], measures, {}), "evaluation")
        found = frame[frame["step"] == last]
        apart = (difference_of(expected[name], found[name]) for name in evaluation.MEASURES)
        yield from difference_line(files["evaluation"], what, next(filter(None, apart), None))
    if "probe" in files:
        frame = files["probe"].content
        found = frame.loc[frame["step"] == last, "predictions"]
        yield from difference_line(
            files["probe"], what, difference_of(probe, np.array(found.tolist()))
        )


def _llc_lines(files: dict[str, File], reader: CheckpointReader, asked: Namespace) -> Iterator[str]:
    section, file = asked.settings["llc"], files.get("llc")
    if file is None or section["data_mode"] != "fixed" or _drawn_on_a_gpu(file):
        return
    last = file.content["step"].max()
    if last not in reader.steps:
        return
    data = dataset(section["num_sequences"], asked, torch.device("cpu"))
    vector = reader.parameters(reader.steps.index(last))
    loss = _loss(vector, *data, Architecture.from_settings(asked.settings))
    found = file.content.loc[file.content["step"] == last, "initial_loss"]
    difference = difference_of([loss] * len(found), found)
    yield from difference_line(file, f"initial_loss {loss:.4g} at step {last}", difference)


def _trace_lines(files: dict[str, File], settings: Config) -> Iterator[str]:
    """Means of the draws kept, against those that the table `llc` has."""
    if not {"llc", "llc_trace"} <= set(files):
        return
    chain = ["step", "chain"]
    draws, estimates = files["llc_trace"].content, files["llc"].content
    means = draws[draws["draw"] >= settings["llc"]["num_burn_in"]].groupby(chain)["loss"].mean()
    expected = estimates[~estimates["diverged"]].set_index(chain)["mean_loss"]
    difference = difference_of(expected, means.reindex(expected.index))
    yield from difference_line(files["llc_trace"], "the mean losses of table llc", difference)


def _indicator_lines(files: dict[str, File], reader: CheckpointReader) -> Iterator[str]:
    if "indicators" not in files:
        return
    frame = files["indicators"].content
    found = frame[frame["indicator"] == "squared_weight_norm"]["value"]
    rows = (reader.parameters(row).double() for row in range(len(reader)))
    difference = difference_of([row.square().sum().item() for row in rows], found)
    what = "the squared_weight_norm of the checkpoints"
    yield from difference_line(files["indicators"], what, difference)


def _drawn_on_a_gpu(file: File) -> bool:
    return any(name in str(file.metadata.get("device")) for name in GPUS)


@torch.no_grad()
def _predict(
    vector: torch.Tensor, xs: torch.Tensor, ys: torch.Tensor, architecture: Architecture
) -> torch.Tensor:
    """Predictions (B, K) by the readable definition of the transformer, a part at a time."""
    named = unflatten(vector, architecture)
    parts = zip(xs.split(BATCH), ys.split(BATCH), strict=True)
    return torch.cat([predict(named, x, y, architecture) for x, y in parts])


def _loss(
    vector: torch.Tensor, xs: torch.Tensor, ys: torch.Tensor, architecture: Architecture
) -> float:
    predictions = _predict(vector, xs, ys, architecture)
    return (predictions - ys).square().mean(dtype=torch.float64).item()


def in_file_order(frame: pd.DataFrame, name: str) -> pd.DataFrame:
    """Rows in the order of the table's file."""
    keys = [key for key in schemas()[name].keys if key in frame]
    return frame.sort_values(keys, kind="stable", ignore_index=True)
