"""Every checkpoint of a run against the ideal predictors: losses, distances, probe predictions.

Three test sets, from q_M (`training`), q_inf (`gaussian`) and q_1 (`root`), and the probe, from
q_1, are fixed by the seed: all task diversities see the same inputs and noise (paper, section 5).
On all of them dMMSE_M is that of the run's own M.

Where tasks wander, `training` and dMMSE_M are those of the tasks at the checkpoint's step. Inputs,
noise and the other sets stay, the root task as at step 0, so that checkpoints can be compared.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import numpy as np
import torch

from transience.evaluation.settings import EvaluationSettings, ProbeSettings
from transience.problem import ideal_predictors
from transience.problem.diversity import ROOT
from transience.run import Run

MEASURES = ("loss", "distance_to_dmmse", "distance_to_ridge")
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
    run: Run,
    evaluation: EvaluationSettings,
    probe: ProbeSettings,
    device: torch.device | str = "cpu",
) -> dict[str, EvaluationSet]:
    """Draw the three test sets and the `probe` of a run; equal distributions share one set.

    Of a run whose tasks wander: those at its step, see `Run.at`. Drawn on the CPU, so that a GPU
    evaluates on the same sequences.
    """
    own_tasks = run.tasks()
    of_problem = {"noise_variance": run.task.noise_variance, "family": run.task.family}

    def draw(stream: str, num_sequences: int, num_tasks: float, step: int) -> EvaluationSet:
        source = replace(run, num_tasks=num_tasks, step=step)
        sequences = source.sequences(stream, num_sequences=num_sequences)
        xs, ys = (tensor.to(device) for tensor in sequences)
        dmmse = ideal_predictors.dmmse(xs, ys, own_tasks, **of_problem)
        ridge = ideal_predictors.ridge(xs, ys, **of_problem)
        return EvaluationSet(xs, ys, dmmse, ridge)

    sources = {"training": (run.num_tasks, run.step), "gaussian": (math.inf, 0), "root": (ROOT, 0)}
    drawn = {one: draw("evaluation", evaluation.num_sequences, *one) for one in {*sources.values()}}
    sets = {distribution: drawn[one] for distribution, one in sources.items()}
    return sets | {"probe": draw("probe", probe.num_sequences, ROOT, 0)}


def evaluate(
    checkpoints: Iterable[torch.Tensor],
    sets: dict[str, EvaluationSet] | Iterable[dict[str, EvaluationSet]],
    predict: Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor],
) -> tuple[np.ndarray, np.ndarray]:
    """Measure checkpoints, given as flat parameter vectors (P,), on sets for all or for each.

    What is found stays on the device until the end: a host that fetched it after every checkpoint
    would leave a GPU without work.

    Returns:
        Measures (C, distributions, measures, K) in squared units of y, and the probe's
        predictions (C, B K) in units of y.
    """
    measures, probe, before = [], [], None
    each = itertools.repeat(sets) if isinstance(sets, dict) else sets
    for vector, now in zip(checkpoints, each, strict=False):
        if now is not before:
            distinct, before = list(dict.fromkeys(now.values())), now
            sizes = [len(one.xs) for one in distinct]
            xs, ys = (torch.cat([getattr(one, part) for one in distinct]) for part in ("xs", "ys"))
            measured = dict.fromkeys(now[name] for name in DISTRIBUTIONS)
        parts = predict(vector.to(xs.device), xs, ys).split(sizes)
        predictions = dict(zip(distinct, parts, strict=True))
        found = {one: one.measure(predictions[one]) for one in measured}
        measures.append(torch.stack([found[now[name]] for name in DISTRIBUTIONS]))
        probe.append(predictions[now["probe"]].flatten().clone())  # else it keeps all of them
    return torch.stack(measures).cpu().numpy(), torch.stack(probe).cpu().numpy()
