"""Every checkpoint of a run against the ideal predictors: losses, distances, probe predictions.

Three test sets, from q_M (`training`), q_inf (`gaussian`) and q_1 (`root`), and the probe, from
q_1, are fixed by the seed: all task diversities see the same inputs and noise (paper, section 5).
On all of them dMMSE_M is that of the run's own M.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch

from transience import command, predictors
from transience.checkpoints import CheckpointReader
from transience.gradients import LossAndGradient
from transience.run_identity import open_checkpoints
from transience.tables import write_table
from transience.tasks import ROOT, format_num_tasks, sample_sequences, task_set
from transience.transformer import Architecture

MEASURES = ("loss", "distance_to_dmmse", "distance_to_ridge")
PREDICTORS = ("dmmse", "ridge", "zero")
DISTRIBUTIONS = ("training", "gaussian", "root")


@dataclass(frozen=True, eq=False)
class EvaluationSet:
    """Sequences of one distribution with the ideal predictions of their labels."""

    xs: torch.Tensor  # (B, K, D)
    ys: torch.Tensor  # (B, K)
    dmmse: torch.Tensor  # (B, K)
    ridge: torch.Tensor  # (B, K)

    def measure(self, predictions: torch.Tensor) -> torch.Tensor:
        """Loss and distances to dMMSE_M and ridge by position: (B, K) -> (3, K), float64.

        A distance is the mean squared difference of predictions, not divided by D (ours).
        """
        targets = (self.ys, self.dmmse, self.ridge)
        squares = [
            (predictions - target).square().mean(0, dtype=torch.float64) for target in targets
        ]
        return torch.stack(squares)


def evaluation_sets(
    settings: dict[str, Any], *, num_tasks: float, seed: int, device: torch.device | str = "cpu"
) -> dict[str, EvaluationSet]:
    """Draw the three test sets and the `probe` of a run; equal distributions share one set.

    Drawn on the CPU, so that a GPU evaluates on the same sequences.
    """
    task = settings["task"]
    own_tasks = task_set(seed, num_tasks, task["task_dimension"])

    def draw(stream: str, num_sequences: int, diversity: float) -> EvaluationSet:
        tasks = task_set(seed, diversity, task["task_dimension"])
        sequences = sample_sequences(seed, stream, tasks=tasks, num_sequences=num_sequences, **task)
        xs, ys = (tensor.to(device) for tensor in sequences)
        noise_variance = task["noise_variance"]
        return EvaluationSet(
            xs,
            ys,
            predictors.dmmse(xs, ys, own_tasks, noise_variance=noise_variance),
            predictors.ridge(xs, ys, noise_variance=noise_variance),
        )

    diversities = {"training": num_tasks, "gaussian": math.inf, "root": ROOT}
    size = settings["evaluation"]["num_sequences"]
    drawn = {m: draw("evaluation", size, m) for m in set(diversities.values())}
    sets = {distribution: drawn[m] for distribution, m in diversities.items()}
    return sets | {"probe": draw("probe", settings["probe"]["num_sequences"], ROOT)}


def evaluate(
    checkpoints: Iterable[torch.Tensor],
    sets: dict[str, EvaluationSet],
    predict: Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor],
) -> tuple[np.ndarray, np.ndarray]:
    """Measure checkpoints, given as flat parameter vectors (P,).

    Returns:
        Measures (C, distributions, measures, K) in squared units of y, and the probe's
        predictions (C, B K) in units of y.
    """
    distinct = list(dict.fromkeys(sets.values()))
    sizes = [len(one.xs) for one in distinct]
    xs, ys = torch.cat([one.xs for one in distinct]), torch.cat([one.ys for one in distinct])
    measures, probe = [], []
    for vector in checkpoints:
        parts = predict(vector.to(xs.device), xs, ys).split(sizes)
        predictions = dict(zip(distinct, parts, strict=True))
        found = {one: one.measure(part) for one, part in predictions.items()}
        measures.append(torch.stack([found[sets[name]] for name in DISTRIBUTIONS]).cpu())
        probe.append(predictions[sets["probe"]].flatten().cpu())
    return torch.stack(measures).numpy(), torch.stack(probe).numpy()


# Tables


def evaluation_table(
    steps: Sequence[int], measures: np.ndarray, run: dict[str, Any]
) -> pd.DataFrame:
    """Table `evaluation` of measures (C, distributions, measures, K)."""
    frame = _by_position(measures, MEASURES)
    return frame.assign(**run, step=np.repeat(np.asarray(steps), len(frame) // len(steps)))


def predictors_table(sets: dict[str, EvaluationSet], run: dict[str, Any]) -> pd.DataFrame:
    """Table `predictors`: losses of dMMSE_M, ridge and 0 on the three test sets."""
    losses = [
        torch.stack([one.measure(p)[0] for p in (one.dmmse, one.ridge, torch.zeros_like(one.ys))])
        for one in (sets[distribution] for distribution in DISTRIBUTIONS)
    ]
    frame = _by_position(torch.stack(losses)[None].cpu().numpy(), PREDICTORS)
    index = ["distribution", "position"]
    return frame.melt(index, var_name="predictor", value_name="loss").assign(**run)


def probe_table(
    steps: Sequence[int], predictions: np.ndarray, probe: EvaluationSet, run: dict[str, Any]
) -> pd.DataFrame:
    """Table `probe`: predictions (C, B K) of the checkpoints, then those of dMMSE_M and ridge."""
    ideal = [probe.dmmse.flatten().cpu().numpy(), probe.ridge.flatten().cpu().numpy()]
    return pd.DataFrame(
        run
        | {
            "step": pd.array([*steps, None, None], dtype="Int64"),
            "predictor": [*[None] * len(steps), "dmmse", "ridge"],
            "predictions": [*predictions, *ideal],
        }
    )


def _by_position(values: np.ndarray, names: Sequence[str]) -> pd.DataFrame:
    """Long table of values (C, distributions, names, K), with the mean over positions as null."""
    num_checkpoints, _, _, num_examples = values.shape
    whole = np.concatenate([values, values.mean(axis=3, keepdims=True)], axis=3)
    columns = np.moveaxis(whole, 2, 0).reshape(len(names), -1)  # names, (C dist. K+1)
    position = np.tile(np.arange(num_examples + 1), num_checkpoints * len(DISTRIBUTIONS))
    distribution = np.tile(np.repeat(DISTRIBUTIONS, num_examples + 1), num_checkpoints)
    return pd.DataFrame(
        {
            "distribution": distribution,
            "position": pd.arrays.IntegerArray(position, position == num_examples),
            **dict(zip(names, columns, strict=True)),
        }
    )


# Command


def main() -> None:
    """Evaluate every checkpoint of a run and write the tables evaluation, predictors, probe."""
    flags = command.parser(main.__doc__)
    command.add_run_flags(flags)
    for name in ("--checkpoints", "--evaluation", "--predictors", "--probe"):
        flags.add_argument(name, required=True, metavar="FILE")
    args = flags.parse_args()
    device = command.use_resources(args)
    reader = open_checkpoints(args)
    run = {"variant": args.variant, "num_tasks": args.num_tasks, "seed": args.seed}
    sets = evaluation_sets(args.settings, num_tasks=args.num_tasks, seed=args.seed, device=device)
    predict = LossAndGradient(Architecture.from_settings(args.settings)).predict
    measures, probe = evaluate(_watched(reader, args), sets, predict)
    metadata = command.provenance(args)
    write_table(
        args.evaluation, "evaluation", evaluation_table(reader.steps, measures, run), metadata
    )
    write_table(args.predictors, "predictors", predictors_table(sets, run), metadata)
    write_table(args.probe, "probe", probe_table(reader.steps, probe, sets["probe"], run), metadata)


def _watched(reader: CheckpointReader, args: argparse.Namespace) -> Iterator[torch.Tensor]:
    """Checkpoints one by one, with a report of how far that is."""
    what = f"evaluate {args.variant} M={format_num_tasks(args.num_tasks)} seed={args.seed}"
    progress = command.Progress(len(reader), what, "checkpoint")
    for index in range(len(reader)):
        yield reader.parameters(index)
        progress.update(index + 1)


if __name__ == "__main__":
    command.run(main)
