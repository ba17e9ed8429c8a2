"""A run: one model of a sweep, named by (variant, M, seed), with its problem and its model."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from transience.errors import InputError
from transience.files.checkpoints import CheckpointReader
from transience.model.settings import ModelSettings
from transience.model.transformer import Architecture, num_parameters
from transience.problem.diversity import format_num_tasks
from transience.problem.drift import Drift, drifted
from transience.problem.settings import TaskSettings
from transience.problem.tasks import sample_sequences, task_set


@dataclass(frozen=True)
class Run:
    """All that the stages need to know of a run besides their own settings."""

    variant: str
    num_tasks: float  # M, inf for q_∞
    seed: int
    task: TaskSettings
    model: ModelSettings
    drift: tuple[Drift, ...] = ()  # when its tasks wander
    step: int = 0  # to which they have

    @property
    def keys(self) -> dict[str, Any]:
        """The columns that name the run in every table (`files.tables.RUN_KEYS`)."""
        return {"variant": self.variant, "num_tasks": self.num_tasks, "seed": self.seed}

    @property
    def architecture(self) -> Architecture:
        """Its transformer."""
        return Architecture.of(self.task, self.model)

    def tasks(self) -> torch.Tensor | None:
        """Support T_M of its training distribution (M, D), or None for q_∞."""
        tasks = task_set(self.seed, self.num_tasks, self.task.task_dimension)
        return None if tasks is None else drifted(tasks, self.seed, self.drift, self.step)

    def of_variant(self, variant: str) -> Run:
        """The run of another variant for the same M and seed."""
        return replace(self, variant=variant)

    def at(self, step: int) -> Run:
        """The run with its tasks where they stand after so many optimiser steps."""
        return replace(self, step=step) if self.drift else self

    def sequences(
        self, *stream: str | int, num_sequences: int, device: torch.device | str = "cpu"
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Draw sequences of its q_M from a stream: xs (B, K, D), ys (B, K).

        Streams are the same for every M: inputs and noise are shared, tasks differ.
        """
        return sample_sequences(
            self.seed, *stream, tasks=self.tasks(), num_sequences=num_sequences, device=device,
            **self.task.model_dump(),
        )  # fmt: skip

    def open_checkpoints(self, path: str | Path) -> CheckpointReader:
        """Open its checkpoints; InputError if they are damaged, or of another run or model."""
        reader = CheckpointReader(path)
        found, settings = reader.metadata, reader.metadata.get("settings", {})
        pairs = [
            ("variant", self.variant, found.get("variant")),
            ("num_tasks", format_num_tasks(self.num_tasks), found.get("num_tasks")),
            ("seed", self.seed, found.get("seed")),
            ("task", self.task.model_dump(), settings.get("task")),
            ("model", self.model.model_dump(), settings.get("model")),
        ]
        for key, wanted, value in pairs:
            if value != wanted:
                raise InputError(f"{path}: expected checkpoints with {key} {wanted}, found {value}")
        reader.check_num_parameters(num_parameters(self.architecture))
        return reader
