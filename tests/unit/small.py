"""A run small enough to train in a test, its checkpoints, and what its commands are told."""

from pathlib import Path
from typing import Any

from transience.files.checkpoints import CheckpointWriter
from transience.model.settings import ModelSettings
from transience.model.transformer import initial_parameters, num_parameters
from transience.problem.settings import TaskSettings
from transience.run import Run

TASK = {"task_dimension": 2, "num_examples": 3, "noise_variance": 0.125}
MODEL = {
    "width": 8,
    "num_layers": 2,
    "num_heads": 2,
    "mlp_width": 8,
    "output_projection": False,
    "doubled_residual": False,
}
TRAINING = {
    "num_steps": 40,
    "batch_size": 16,
    "learning_rate": 1e-2,
    "warmup_steps": 10,
    "beta1": 0.9,
    "beta2": 0.999,
    "precision": "float32",
    "log_every": 10,
    "divergence_loss": 1e3,
}
DRIFT = [[2, 4, 0.5], [6, 8, 0.01]]  # in the metadata of checkpoints of a run whose tasks wander
FLAGS = ["--variant", "baseline", "--num-tasks", "4", "--seed", "1", "--device", "cpu"]


def small_run(num_tasks: float = 4.0, seed: int = 1, **model: object) -> Run:
    """The run that `FLAGS` name, or another; `model` changes its transformer."""
    return Run("baseline", num_tasks, seed, TaskSettings(**TASK), ModelSettings(**MODEL | model))


def write_checkpoints(path: Path, run: Run, steps: list[int], **metadata: Any) -> None:
    """Checkpoints of a run that never trained: initial weights, of another seed for each step."""
    settings = {"task": run.task.model_dump(), "model": run.model.model_dump()}
    metadata |= run.keys | {"num_tasks": f"{run.num_tasks:g}", "settings": settings}
    size = num_parameters(run.architecture)
    writer = CheckpointWriter(path.with_suffix(".partial"), steps, size, metadata)
    for step in steps:
        writer.write(step, initial_parameters(run.architecture, step))
    writer.finish(path)
