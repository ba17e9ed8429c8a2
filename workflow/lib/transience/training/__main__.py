"""Train one run, keep its checkpoints and its log; stop when told, and go on from there."""

import contextlib
import shutil
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from safetensors import SafetensorError

from transience.command import flags, provenance
from transience.command.device import use_device
from transience.command.entry import ends_in_one_line
from transience.command.progress import Progress, label
from transience.errors import InputError
from transience.files.checkpoints import CheckpointWriter
from transience.files.tables import write_table
from transience.files.unfinished import state_folder
from transience.model.settings import ModelSettings
from transience.model.transformer import initial_parameters, num_parameters
from transience.problem.settings import TaskSettings
from transience.run import Run
from transience.training.background import BackgroundWriter
from transience.training.schedule import schedule
from transience.training.settings import CheckpointSettings, TrainingSettings
from transience.training.state import LOG_COLUMNS, TrainingState
from transience.training.train import train


class TrainingReads(flags.Reads):
    """What a training depends on."""

    task: TaskSettings
    model: ModelSettings
    training: TrainingSettings
    checkpoints: CheckpointSettings


def main() -> None:
    """Train one model and keep its checkpoints."""
    parser = flags.parser(main.__doc__, TrainingReads, of_run=True)
    parser.add_argument(
        "--state-dir", type=Path, required=True, help="folder of its state, removed at the end"
    )
    parser.add_argument("--save-state-every", type=float, default=60.0, metavar="SECONDS")
    flags.add_files(parser, "checkpoints", "training")
    args = parser.parse_args()
    run, settings = flags.run_of(args), args.settings.training
    device = use_device(args.device, threads=args.threads)
    metadata = provenance.of_run(args, run, device.type)
    folder = state_folder(args.state_dir, args.settings, args.code, run, device)
    steps = schedule(settings.num_steps, **args.settings.checkpoints.model_dump())
    kept = Kept.of(folder, run, steps, metadata)
    state = kept.state(run, device)
    progress = Progress(settings.num_steps, label("train", run), "step", done=state.step)
    with _stop_signals() as stop:
        for _ in train(state, run, settings):  # always `state`, one step further
            kept.checkpoint(state)
            progress.update(state.step, f"loss {state.log[-1][1]:.3f}")
            if stop or kept.age() > args.save_state_every:
                kept.save(state)
            if stop:
                print(
                    f"stopped at step {state.step}; run again to go on from there", file=sys.stderr
                )
                sys.exit(128 + stop[0])
    frame = pd.DataFrame(state.log, columns=list(LOG_COLUMNS)).astype({"step": "int64"})
    write_table(args.training, "training", frame.assign(**run.keys), metadata)
    args.checkpoints.parent.mkdir(parents=True, exist_ok=True)
    kept.checkpoints.finish(args.checkpoints)
    shutil.rmtree(args.state_dir)  # only now that all outputs are there


@dataclass
class Kept:
    """What a training keeps in its folder until it is finished: checkpoints so far, and a state."""

    path: Path  # of the state
    checkpoints: BackgroundWriter
    saved: float  # time of the last save, in seconds of time.monotonic

    @classmethod
    def of(cls, folder: Path, run: Run, steps: list[int], metadata: Mapping[str, Any]) -> "Kept":
        """Go on with what this very run left in the folder, or begin."""
        path, partial = folder / "state.safetensors", folder / "checkpoints.partial"
        rest = (steps, num_parameters(run.architecture), metadata)
        if path.exists() and partial.exists():
            try:
                writer = BackgroundWriter(CheckpointWriter(partial, *rest))
                return cls(path, writer, time.monotonic())
            except InputError as error:
                print(f"{error}; starting again at step 0", file=sys.stderr)
        path.unlink(missing_ok=True)
        partial.unlink(missing_ok=True)
        writer = BackgroundWriter(CheckpointWriter(partial, *rest))
        return cls(path, writer, time.monotonic())

    def state(self, run: Run, device: torch.device) -> TrainingState:
        """Where to start: at the saved state, or at the initial parameters."""
        if self.path.exists():
            try:
                state = TrainingState.load(self.path, device)
                print(f"resuming at step {state.step}", file=sys.stderr)
                return state
            except (SafetensorError, KeyError, TypeError, ValueError):
                print(f"{self.path}: damaged; starting again at step 0", file=sys.stderr)
        state = TrainingState.initial(initial_parameters(run.architecture, run.seed).to(device))
        self.checkpoint(state)
        return state

    def checkpoint(self, state: TrainingState) -> None:
        """Keep the parameters if this step is on the schedule."""
        if state.step in self.checkpoints.index:
            self.checkpoints.write(state.step, state.vector)

    def age(self) -> float:
        """Seconds since the last save."""
        return time.monotonic() - self.saved

    def save(self, state: TrainingState) -> None:
        """Save the state, checkpoints first, so that it never promises any that are not there."""
        self.checkpoints.flush()
        state.save(self.path)
        self.saved = time.monotonic()


@contextlib.contextmanager
def _stop_signals() -> Iterator[list[int]]:
    """Note SIGTERM and SIGINT in the list instead of dying, so that the state can be saved."""
    received: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda received_number, _: received.append(received_number))
    yield received


if __name__ == "__main__":
    ends_in_one_line(main)
