"""A trained model, opened from the files of its run: for a notebook, or a question of your own."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from transience.errors import InputError
from transience.files.checkpoints import CheckpointReader
from transience.model.loss_and_gradient import LossAndGradient
from transience.model.settings import ModelSettings
from transience.model.transformer import num_parameters
from transience.problem.diversity import parse_num_tasks
from transience.problem.settings import TaskSettings
from transience.run import Run


@dataclass(frozen=True)
class Trained:
    """A run with its checkpoints."""

    run: Run
    checkpoints: CheckpointReader

    def predict(self, xs: torch.Tensor, ys: torch.Tensor, *, step: int) -> torch.Tensor:
        """Predict every label from the examples before it, with the model as of an optimiser step.

        Args:
            xs: inputs (B, K, D).
            ys: labels (B, K); the last one is never looked at.
            step: one of ``checkpoints.steps``.

        Returns:
            Predictions (B, K), in the units of y.

        Raises:
            InputError: there is no checkpoint at the step.
        """
        steps = self.checkpoints.steps
        if step not in steps:
            near = min(steps, key=lambda one: abs(one - step))
            raise InputError(
                f"{self.checkpoints.path}: expected the step of a checkpoint, found {step}; "
                f"the nearest is {near}"
            )
        parameters = self.checkpoints.parameters(steps.index(step))
        return LossAndGradient(self.run.architecture).predict(parameters, xs, ys)


def open_run(folder: str | Path) -> Trained:
    """Open a folder such as `results/laptop/runs/baseline/M8_seed0`.

    The run says what its task set is and draws sequences from it (`Run.tasks`, `Run.sequences`).
    InputError if the checkpoints are missing or damaged.
    """
    checkpoints = CheckpointReader(Path(folder) / "checkpoints.safetensors")
    run = run_of(checkpoints.metadata).as_trained(checkpoints)
    checkpoints.check_num_parameters(num_parameters(run.architecture))
    return Trained(run, checkpoints)


def run_of(metadata: dict[str, Any]) -> Run:
    """The run that the metadata of checkpoints name, its tasks as at first."""
    settings = metadata["settings"]
    task, model = TaskSettings(**settings["task"]), ModelSettings(**settings["model"])
    num_tasks = parse_num_tasks(metadata["num_tasks"])
    return Run(metadata["variant"], num_tasks, metadata["seed"], task, model)
