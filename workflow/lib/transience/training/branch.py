"""Where a branch begins: the state of another run, at a step at which that was kept."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import torch

from transience.errors import InputError
from transience.files.checkpoints import CheckpointReader
from transience.files.tables import RUN_KEYS, read_table
from transience.run import Run
from transience.settings import in_steps
from transience.training.settings import BranchSettings
from transience.training.state import LOG_COLUMNS, TrainingState


@dataclass(frozen=True)
class Parent:
    """A run of the same M and seed, which another one leaves after ``step`` steps."""

    checkpoints: CheckpointReader
    states: CheckpointReader  # rows of Adam's two moments (2 P)
    log: pd.DataFrame
    step: int

    @classmethod
    def of(cls, run: Run, branch: BranchSettings, files: Mapping[str, Path]) -> Parent | None:
        """The parent of a run; None for one that is no branch.

        ``files`` are its `checkpoints`, `states`, `training` and `signals`, and the `branch_point`
        if that is told in words. InputError if they are another's, or have no state where it is to
        be left.
        """
        if not branch.variant:
            return None
        checkpoints = run.of_variant(branch.variant).open_checkpoints(files["checkpoints"])
        states = CheckpointReader(files["states"])
        states.check_num_parameters(2 * checkpoints.num_parameters)
        if isinstance(branch.step, str):
            wanted = int(read_table(files["branch_point"], "branch_point")["step"].item())
            step = min((kept for kept in states.steps if kept >= wanted), default=wanted)
        else:
            num_steps = checkpoints.metadata["settings"]["training"]["num_steps"]
            step = in_steps(branch.step, num_steps)
        if step not in {*states.steps} & {*checkpoints.steps}:
            found = f"those of {', '.join(map(str, states.steps)) or 'none'}"
            if step > checkpoints.steps[-1]:
                found = f"that its training ended at step {checkpoints.steps[-1]} (stop_when)"
            raise InputError(
                f"{states.path}: expected the state of step {step}, at which {run.variant} leaves "
                f"{branch.variant}; found {found}"
            )
        log, signals = (read_table(files[name], name) for name in ("training", "signals"))
        log = log.merge(signals, on=[*RUN_KEYS, "step", "batch_loss"])
        return cls(checkpoints, states, log[log["step"] <= step], step)

    @property
    def steps(self) -> list[int]:
        """Its checkpoints before that step."""
        return [step for step in self.checkpoints.steps if step < self.step]

    def before(self) -> Iterator[tuple[int, torch.Tensor]]:
        """These, and their parameters (P,)."""
        for index, step in enumerate(self.steps):
            yield step, self.checkpoints.parameters(index)

    def state(self, device: torch.device) -> TrainingState:
        """Its state at that step."""
        vector = self.checkpoints.parameters(self.checkpoints.steps.index(self.step))
        moments = self.states.parameters(self.states.steps.index(self.step))
        first, second = moments.to(device).chunk(2)
        log = self.log[list(LOG_COLUMNS)]
        rows = [tuple(row) for row in log.to_numpy().tolist()]
        seconds, sequences = log[["seconds", "sequences"]].iloc[-1] if rows else (0.0, 0)
        return TrainingState(
            step=self.step,
            vector=vector.to(device).clone(),
            first_moment=first.clone(),
            second_moment=second.clone(),
            seconds=float(seconds),
            sequences=int(sequences),
            log=rows,
        )
