"""Train one run, keep its checkpoints and its log; stop when told, and go on from there."""

import contextlib
import shutil
import signal
import sys
from collections.abc import Iterator
from dataclasses import astuple, replace
from pathlib import Path
from typing import Any

import pandas as pd

from transience.command import flags, provenance
from transience.command.device import use_device
from transience.command.entry import ends_in_one_line
from transience.command.progress import Progress, label
from transience.errors import InputError
from transience.files.lines import NAME, LineWriter
from transience.files.tables import write_table
from transience.files.unfinished import state_folder
from transience.model.settings import ModelSettings
from transience.problem.drift import until
from transience.problem.settings import TaskSettings
from transience.run import Run
from transience.training.branch import Parent
from transience.training.kept import Kept
from transience.training.phases import kept_steps
from transience.training.settings import CheckpointSettings, TrainingSettings
from transience.training.state import LOG_COLUMNS, SIGNAL_COLUMNS, TRAINING_COLUMNS, TrainingState
from transience.training.train import drifts, train

# Files of another run, which a branch begins from.
OF_PARENT = (
    *("parent_checkpoints", "parent_states", "parent_training", "parent_signals"),
    "branch_point",
)


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
    flags.add_files(parser, "checkpoints", "states", "training", "signals")
    for name in OF_PARENT:
        parser.add_argument(f"--{name.replace('_', '-')}", type=Path, metavar="FILE")
    args = parser.parse_args()
    run, settings = flags.run_of(args), args.settings.training
    device = use_device(args.device, threads=args.threads)
    files = {name.removeprefix("parent_"): getattr(args, name) for name in OF_PARENT}
    parent = Parent.of(run, settings.branch, files)
    run, start, origin = _left(run, parent)
    steps = kept_steps(
        settings, args.settings.checkpoints, start=start, before=parent.steps if parent else ()
    )
    metadata = provenance.of_run(args, run, device.type) | _course(run, settings, start)
    folder = state_folder(args.state_dir, args.settings, args.code, run, device, start, origin)
    spare = 2 if settings.stop_when.detector else 0  # the alarm, and the end
    kept = Kept.of(folder, run, steps, metadata, spare=spare)
    state = kept.state(run, device, parent)
    about = {key: metadata[key] for key in ("variant", "num_tasks", "seed")}
    about |= {"first_step": start, "last_step": settings.last_step(start)}
    lines = LineWriter(folder / NAME, LOG_COLUMNS, about, step=state.step, log=state.log)
    _train(kept, lines, state, run, settings, start, args.save_state_every)
    told = _stopped(state, settings)
    metadata |= told
    log = pd.DataFrame(state.log, columns=list(LOG_COLUMNS)).astype({"step": "int64"})
    write_table(args.training, "training", log[[*TRAINING_COLUMNS]].assign(**run.keys), metadata)
    signals = log[["step", "batch_loss", *SIGNAL_COLUMNS]]
    write_table(args.signals, "signals", signals.assign(**run.keys), metadata)
    args.checkpoints.parent.mkdir(parents=True, exist_ok=True)
    kept.finish(state, args.checkpoints, args.states, **told)
    shutil.rmtree(args.state_dir)  # only now that all outputs are there


def _left(run: Run, parent: Parent | None) -> tuple[Run, int, dict[str, Any] | None]:
    """The run with its parent's tasks, the step at which it leaves it, and what that file says."""
    if parent is None:
        return run, 0, None
    drift = until(run.as_trained(parent.checkpoints).drift, parent.step)
    return replace(run, drift=drift), parent.step, parent.checkpoints.metadata


def _train(
    kept: Kept,
    lines: LineWriter,
    state: TrainingState,
    run: Run,
    settings: TrainingSettings,
    start: int,
    save_every: float,
) -> None:
    """Train on to the end, keeping what is to be kept; stop where a signal says so."""
    steps = settings.last_step(start)
    progress = Progress(steps, label("train", run), "step", done=state.step)
    with _stop_signals() as stop, _told(lines, state):
        for _ in train(state, run, settings, start=start):  # always `state`, one step further
            kept.checkpoint(state)
            lines.follow(state.log)
            if state.alarm == state.step:
                of_alarm = {"words": settings.stop_when.detector, "last_step": state.stop}
                lines.event("alarm", state.step, **of_alarm)
            progress.update(state.step, f"loss {state.log[-1][1]:.3f}")
            if stop or kept.age() > save_every:
                kept.save(state)
            if stop:
                lines.event("stopped", state.step)
                print(
                    f"stopped at step {state.step}; run again to go on from there", file=sys.stderr
                )
                sys.exit(128 + stop[0])


def _stopped(state: TrainingState, settings: TrainingSettings) -> dict[str, Any]:
    """What the metadata say of a training that ended at an alarm."""
    if state.alarm is None:
        return {}
    return {"stopped": {"detector": settings.stop_when.detector, "step": state.alarm}}


@contextlib.contextmanager
def _told(lines: LineWriter, state: TrainingState) -> Iterator[None]:
    """Tell how a training ends, for who watches it."""
    try:
        yield
    except Exception as error:
        diverged = isinstance(error, InputError) and "diverged" in str(error)
        lines.event("diverged" if diverged else "failed", state.step, words=str(error)[:500])
        raise
    lines.event("finished", state.step)


def _course(run: Run, settings: TrainingSettings, start: int) -> dict[str, Any]:
    """What the metadata say of how it came about, where that is out of the ordinary."""
    stop = settings.last_step(start)
    wandered = [*map(astuple, (*run.drift, *drifts(settings.phases, start, stop)))]
    left = settings.branch.variant and {"variant": settings.branch.variant, "step": start}
    return {key: value for key, value in (("branch", left), ("drift", wandered)) if value}


@contextlib.contextmanager
def _stop_signals() -> Iterator[list[int]]:
    """Note SIGTERM and SIGINT in the list instead of dying, so that the state can be saved."""
    received: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda received_number, _: received.append(received_number))
    yield received


if __name__ == "__main__":
    ends_in_one_line(main)
