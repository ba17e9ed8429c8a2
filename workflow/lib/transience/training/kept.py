"""What a training keeps in its folder until it is finished: checkpoints so far, and a state."""

import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError

from transience.errors import InputError
from transience.files.checkpoints import CheckpointWriter
from transience.model.transformer import initial_parameters, num_parameters
from transience.run import Run
from transience.training.background import BackgroundWriter
from transience.training.branch import Parent
from transience.training.state import TrainingState


@dataclass
class Kept:
    """Files of a training under way.

    ``states`` is a file like that of the checkpoints, but a row has both moments of Adam (2 P).
    """

    path: Path  # of the state to resume from
    checkpoints: BackgroundWriter
    states: BackgroundWriter
    saved: float  # time of the last save, in seconds of time.monotonic
    spare: list[int]  # rows of checkpoints at steps that are not known beforehand

    @classmethod
    def of(
        cls,
        folder: Path,
        run: Run,
        steps: tuple[list[int], list[int]],
        metadata: Mapping[str, Any],
        *,
        spare: int = 0,
    ) -> "Kept":
        """Go on with what this very run left in the folder, or begin.

        ``steps`` are those of checkpoints, and of states; there is room for some ``spare``
        checkpoints at other steps.
        """
        last = steps[0][-1]
        room = [last + number for number in range(1, spare + 1)]
        path = folder / "state.safetensors"
        partial = folder / "checkpoints.partial", folder / "states.partial"
        size = num_parameters(run.architecture)
        rows = [*steps[0], *room], steps[1]

        def begun() -> "Kept":
            writers = [
                BackgroundWriter(CheckpointWriter(file, at, width * size, metadata))
                for file, at, width in zip(partial, rows, (1, 2), strict=True)
            ]
            spare_rows = [writers[0].index.pop(step) for step in room]
            return cls(path, *writers, time.monotonic(), spare_rows)

        if path.exists() and all(file.exists() for file in partial):
            try:
                return begun()
            except InputError as error:
                print(f"{error}; starting again", file=sys.stderr)
        for file in (path, *partial):
            file.unlink(missing_ok=True)
        return begun()

    def state(self, run: Run, device: torch.device, parent: Parent | None) -> TrainingState:
        """Where to start: at the saved state, that of the parent, or the initial parameters."""
        if self.path.exists():
            try:
                state = TrainingState.load(self.path, device)
                print(f"resuming at step {state.step}", file=sys.stderr)
                return state
            except (SafetensorError, KeyError, TypeError, ValueError):
                print(f"{self.path}: damaged; starting again", file=sys.stderr)
        if parent:
            for step, vector in parent.before():
                self.checkpoints.write(step, vector)
            state = parent.state(device)
        else:
            state = TrainingState.initial(initial_parameters(run.architecture, run.seed).to(device))
        self.checkpoint(state)
        return state

    def checkpoint(self, state: TrainingState) -> None:
        """Keep the parameters, and the moments, if this step is on their schedule.

        Parameters at an alarm and at the end too.
        """
        self._make_room(state)
        if state.step in self.checkpoints.index:
            self.checkpoints.write(state.step, state.vector)
        if state.step in self.states.index:
            moments = torch.cat([state.first_moment, state.second_moment])
            self.states.write(state.step, moments)

    def _make_room(self, state: TrainingState) -> None:
        """Give spare rows to the alarm and to the end, in this order also after a resumption."""
        for step in (state.alarm, state.stop):
            if step is not None and step <= state.step and step not in self.checkpoints.index:
                self.checkpoints.index[step] = self.spare.pop(0)

    def finish(self, state: TrainingState, checkpoints: Path, states: Path, **told: Any) -> None:
        """Move both files to their places; cut at the last step, if that came early.

        Metadata of the checkpoints then have what is ``told`` besides.
        """
        self._make_room(state)
        for writer, path in ((self.states, states), (self.checkpoints, checkpoints)):
            rows = {step: row for step, row in sorted(writer.index.items()) if step <= state.step}
            writer.finish(path, rows, **told)

    def age(self) -> float:
        """Seconds since the last save."""
        return time.monotonic() - self.saved

    def save(self, state: TrainingState) -> None:
        """Save the state, checkpoints first, so that it never promises any that are not there."""
        self.checkpoints.flush()
        self.states.flush()
        state.save(self.path)
        self.saved = time.monotonic()
