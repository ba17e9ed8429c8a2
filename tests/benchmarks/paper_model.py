"""The paper's model on a CPU: what a step costs, in time, memory and disk.

Usage: PYTHONPATH=workflow/lib python tests/benchmarks/paper_model.py [--steps 300]

Trains the model of config/paper.yaml (2,654,217 parameters) with our trainer on one thread for a
few hundred steps at a small batch, checks that the loss falls, and then times some steps at the
paper's own batch.
"""

import argparse
import resource
import time
from pathlib import Path

import torch

from transience.model.settings import ModelSettings
from transience.model.transformer import initial_parameters, num_parameters
from transience.planning.configuration import completed, load
from transience.problem.settings import TaskSettings
from transience.run import Run
from transience.training.schedule import schedule
from transience.training.settings import TrainingSettings
from transience.training.state import TrainingState
from transience.training.train import train

PAPER = Path(__file__).parents[2] / "config" / "paper.yaml"


def seconds_per_step(
    run: Run, training: TrainingSettings, *, batch_size: int, num_steps: int
) -> tuple[float, list]:
    """Train from the start; return wall seconds a step and the logged rows."""
    few = {
        "batch_size": batch_size,
        "num_steps": num_steps,
        "warmup_steps": 100,
        "learning_rate": 3e-4,  # the paper's rate is for its batch of 1024
        "log_every": max(num_steps // 5, 1),
    }
    state = TrainingState.initial(initial_parameters(run.architecture, 0))
    started = time.perf_counter()
    for _ in train(state, run, training.model_copy(update=few)):  # always `state`, a step further
        pass
    return (time.perf_counter() - started) / num_steps, state.log


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--large-steps", type=int, default=3)
    flags = parser.parse_args()
    torch.set_num_threads(1)
    settings = completed(load(str(PAPER)))
    training = TrainingSettings(**settings["training"])
    kinds = TaskSettings(**settings["task"]), ModelSettings(**settings["model"])
    run = Run("baseline", 8.0, 0, *kinds)
    size = num_parameters(run.architecture)
    assert size == 2_654_217
    seconds, log = seconds_per_step(run, training, batch_size=32, num_steps=flags.steps)
    assert log[-1][1] < 0.9 * log[0][1], "the loss did not fall"
    print(f"{size:,} parameters; batch loss " + " -> ".join(f"{row[1]:.2f}" for row in log))
    print(f"batch 32:   {1000 * seconds:8.1f} ms a step ({flags.steps} steps)")
    batch, steps = training.batch_size, flags.large_steps
    seconds, _ = seconds_per_step(run, training, batch_size=batch, num_steps=steps)
    print(f"batch {batch}: {1000 * seconds:8.1f} ms a step ({steps} steps)")
    total = training.num_steps
    print(f"so {seconds * total / 86400:.1f} days for the {total} steps of a run")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"peak memory {peak:.2f} GiB")
    count = len(
        schedule(
            total, **{k: settings["checkpoints"][k] for k in ("linear_every", "logarithmic_count")}
        )
    )
    print(f"checkpoints: {count} of {4 * size / 2**20:.1f} MiB, {4 * size * count / 2**30:.1f} GiB")


if __name__ == "__main__":
    main()
