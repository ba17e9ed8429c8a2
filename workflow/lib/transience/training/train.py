"""Training of one model: Adam on fresh sequences from q_M, with checkpoints, resumable.

The batch of a step is a function of (seed, step) alone, so the state after step s determines all
that follows: a run that was killed and resumed gives the checkpoints of one that was not.
Where each hyperparameter comes from is said in `config/paper.yaml`.
"""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import torch

from transience.errors import InputError
from transience.problem.drift import Drift, wander
from transience.problem.tasks import SequenceSampler
from transience.run import Run
from transience.training.cuda_graph import Replayed
from transience.training.ending import Ending
from transience.training.phases import Segment, learning_rate, segments
from transience.training.settings import PhaseSettings, TrainingSettings
from transience.training.signals import Signals
from transience.training.state import TrainingState
from transience.training.step import Step, decay_of, loss_and_gradient


def train(
    state: TrainingState, run: Run, settings: TrainingSettings, *, start: int = 0
) -> Iterator[TrainingState]:
    """Train on from ``state`` and yield it (the same object, changed) after every step.

    Args:
        state: where to start; its device is where the work is done.
        run: with how its tasks wandered before ``start``; batches come from stream "training".
        settings: of Adam, its schedule and phases, and what is logged.
        start: step at which the run leaves another one, from which its phases count.

    Raises:
        InputError: if the loss is not finite or above `divergence_loss`, checked whenever a row
            is logged.
    """
    stop, compiled = settings.last_step(start), {}
    ending = Ending(settings.stop_when, start, stop, state)
    run = replace(run, drift=(*run.drift, *drifts(settings.phases, start, stop)))
    started = time.perf_counter() - state.seconds
    for segment in segments(settings.phases, start, stop):
        if state.step >= min(segment.end, ending.stop):
            continue
        step = _step(state, run, settings, segment, compiled)
        launch = Replayed(step, step.batches.generators.values()) if step.vector.is_cuda else step
        walk = _walk(step.batches, run.seed, segment.phase.task_drift)
        signals = Signals(step.batches, run, settings)
        while state.step < min(segment.end, ending.stop):
            logged = ending.logs(state.step + 1, settings.log_every)
            beside = signals.before(state) if logged else ()
            step.batches.seed(run.seed, "training", state.step)
            rate = learning_rate(state.step, settings, segment) * ending.factor(state.step)
            step.rate.fill_(rate)
            launch()
            walk(state.step)
            state.step += 1
            state.sequences += len(step.losses)
            if logged:
                row = _row(state, step.losses, rate, started, settings.divergence_loss)
                ending.log((*row, *beside, signals.after(state)))
            yield state


def drifts(phases: Sequence[PhaseSettings], start: int, stop: int) -> tuple[Drift, ...]:
    """When tasks wander, and how fast."""
    return tuple(
        Drift(one.begin, min(one.end, stop), one.phase.task_drift)
        for one in segments(phases, start, stop)
        if one.phase.task_drift
    )


def _step(
    state: TrainingState,
    run: Run,
    settings: TrainingSettings,
    segment: Segment,
    compiled: dict[int, Callable],
) -> Step:
    """The step of a segment; ``compiled`` keeps what a GPU's steps of a batch size share."""
    phase, device = segment.phase, state.vector.device
    num_tasks = run.num_tasks if phase.num_tasks is None else float(phase.num_tasks)
    num_sequences = phase.batch_size or settings.batch_size
    batches = SequenceSampler(
        tasks=replace(run, num_tasks=num_tasks).at(state.step).tasks(), num_sequences=num_sequences,
        fresh_fraction=phase.fresh_fraction, device=device, **run.task.model_dump(),
    )  # fmt: skip
    model = loss_and_gradient(run.architecture, settings.precision, device)
    decay = decay_of(phase, run.architecture)
    step = Step(state, batches, model, settings, None if decay is None else decay.to(device))
    if device.type == "cuda":
        if num_sequences not in compiled:
            step.compile()
            compiled[num_sequences] = step.evaluate
        step.evaluate = compiled[num_sequences]
    return step


def _walk(batches: SequenceSampler, seed: int, rate: float) -> Callable[[int], None]:
    """What takes the tasks of a sampler from where they stand at a step to the next."""
    if not rate or batches.tasks is None:
        return lambda step: None
    tasks = batches.tasks.cpu()

    def walk(step: int) -> None:
        nonlocal tasks
        tasks = wander(tasks, seed, step, rate)
        batches.tasks.copy_(tasks)

    return walk


def _row(
    state: TrainingState,
    losses: torch.Tensor,
    rate: float,
    started: float,
    divergence_loss: float,
) -> tuple[float, ...]:
    """The row of a step in the log, or raise if training diverged; waits for the device."""
    loss = losses.mean().item()
    norm = torch.linalg.vector_norm(state.vector.grad).item()
    state.seconds = time.perf_counter() - started
    if not (math.isfinite(norm) and loss <= divergence_loss):
        raise InputError(
            f"training diverged at step {state.step}: batch loss {loss:.4g}, gradient norm "
            f"{norm:.4g}; expected a loss below divergence_loss = {divergence_loss:g}. "
            "Lower training.learning_rate or lengthen training.warmup_steps"
        )
    return state.step, loss, rate, norm, state.seconds, state.sequences
