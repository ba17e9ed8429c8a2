"""A run: one model of a sweep, named by (variant, M, seed), with its problem and its model."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

import torch

from transience.errors import InputError
from transience.files.checkpoints import CheckpointReader
from transience.model.settings import ModelSettings
from transience.model.transformer import Architecture, num_parameters
from transience.problem.diversity import format_num_tasks
from transience.problem.drift import Drift, Walk, last_move
from transience.problem.settings import TaskSettings
from transience.problem.tasks import sample_sequences, task_set
from transience.settings import Settings

Made = TypeVar("Made")


@dataclass(frozen=True)
class Run:
    """All that the stages need to know of a run besides their own settings."""

    variant: str
    num_tasks: float  # M, inf for q_∞
    seed: int
    task: TaskSettings
    model: ModelSettings
    drift: tuple[Drift, ...] = ()  # when its tasks wander
    step: int = 0  # to which they have, the last at which they moved

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
        if self.step and self.num_tasks < math.inf:
            return _walk(self.seed, self.num_tasks, self.task.task_dimension, self.drift).at(
                self.step
            )
        return task_set(self.seed, self.num_tasks, self.task.task_dimension)

    def of_variant(self, variant: str) -> Run:
        """The run of another variant for the same M and seed."""
        return replace(self, variant=variant)

    def at(self, step: int) -> Run:
        """The run with its tasks where they stand after so many optimiser steps.

        Runs are equal at steps between which no task moved.
        """
        return replace(self, step=last_move(self.drift, step)) if self.drift else self

    def as_trained(self, reader: CheckpointReader) -> Run:
        """The run at step 0 with the drift of its tasks, as the metadata of checkpoints say."""
        drift = tuple(Drift(*one) for one in reader.metadata.get("drift", []))
        return self if math.isinf(self.num_tasks) else replace(self, drift=drift, step=0)

    def follow(self, make: Callable[[Run], Made]) -> Callable[[int], Made]:
        """What ``make`` gives for the run at a step, made again only where its tasks have moved."""
        kept: dict[Run, Made] = {}

        def at(step: int) -> Made:
            there = self.at(step)
            if there not in kept:
                kept.clear()  # before, or there would be two
                kept[there] = make(there)
            return kept[there]

        return at

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
            ("task", self.task.model_dump(), _filled(TaskSettings, settings.get("task"))),
            ("model", self.model.model_dump(), _filled(ModelSettings, settings.get("model"))),
        ]
        for key, wanted, value in pairs:
            if value != wanted:
                raise InputError(f"{path}: expected checkpoints with {key} {wanted}, found {value}")
        reader.check_num_parameters(num_parameters(self.architecture))
        return reader


def _filled(section: type[Settings], found: Any) -> Any:
    """Settings as a file has them, with defaults for keys that it is older than."""
    fields = section.model_fields.items()
    defaults = {name: field.default for name, field in fields if not field.is_required()}
    return defaults | found if isinstance(found, dict) else found


@lru_cache(maxsize=2)
def _walk(seed: int, num_tasks: float, task_dimension: int, drift: tuple[Drift, ...]) -> Walk:
    """The walk of a task set: checkpoint by checkpoint it need not begin anew."""
    return Walk(task_set(seed, num_tasks, task_dimension), seed, drift)
