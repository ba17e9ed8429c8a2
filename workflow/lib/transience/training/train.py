"""Training of one model: Adam on fresh sequences from q_M, with checkpoints, resumable.

The batch of a step is a function of (seed, step) alone, so the state after step s determines all
that follows: a run that was killed and resumed gives the checkpoints of one that was not.
Where each hyperparameter comes from is said in `config/paper.yaml`.
"""

import math
import time
from collections.abc import Iterator

import torch

from transience.errors import InputError
from transience.problem.tasks import SequenceSampler
from transience.run import Run
from transience.training.cuda_graph import Replayed
from transience.training.settings import TrainingSettings
from transience.training.state import TrainingState
from transience.training.step import Step, loss_and_gradient


def learning_rate(step: int, settings: TrainingSettings) -> float:
    """Rate of the optimiser step after ``step`` steps: linear warm-up, then constant."""
    return settings.learning_rate * min(1.0, (step + 1) / max(settings.warmup_steps, 1))


def train(state: TrainingState, run: Run, settings: TrainingSettings) -> Iterator[TrainingState]:
    """Train on from ``state`` and yield it (the same object, changed) after every step.

    Args:
        state: where to start; its device is where the work is done.
        run: its transformer, its q_M and its seed; batches come from the stream "training".
        settings: of Adam, its schedule and what is logged.

    Raises:
        InputError: if the loss is not finite or above `divergence_loss`, checked whenever a row
            is logged.
    """
    device = state.vector.device
    size = {"num_sequences": settings.batch_size, **run.task.model_dump()}
    batches = SequenceSampler(tasks=run.tasks(), device=device, **size)
    model = loss_and_gradient(run.architecture, settings.precision, device)
    step = launch = Step(state, batches, model, settings)
    if device.type == "cuda":
        step.compile()
        launch = Replayed(step, batches.generators.values())
    started = time.perf_counter() - state.seconds
    while state.step < settings.num_steps:
        batches.seed(run.seed, "training", state.step)
        rate = learning_rate(state.step, settings)
        step.rate.fill_(rate)
        launch()
        state.step += 1
        if state.step % settings.log_every == 0 or state.step in (1, settings.num_steps):
            _log(state, step.losses, rate, started, settings.divergence_loss)
        yield state


def _log(
    state: TrainingState,
    losses: torch.Tensor,
    rate: float,
    started: float,
    divergence_loss: float,
) -> None:
    """Add a row to the log, or raise if training diverged; waits for the device."""
    loss = losses.mean().item()
    norm = torch.linalg.vector_norm(state.vector.grad).item()
    state.seconds = time.perf_counter() - started
    if not (math.isfinite(norm) and loss <= divergence_loss):
        raise InputError(
            f"training diverged at step {state.step}: batch loss {loss:.4g}, gradient norm "
            f"{norm:.4g}; expected a loss below divergence_loss = {divergence_loss:g}. "
            "Lower training.learning_rate or lengthen training.warmup_steps"
        )
    state.log.append((state.step, loss, rate, norm, state.seconds))
