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

from transience.checkpoints import schedule
from transience.configuration import effective, load
from transience.tasks import task_set
from transience.training import TrainingState, train
from transience.transformer import Architecture, initial_parameters, num_parameters

PAPER = Path(__file__).parents[2] / "config" / "paper.yaml"


def seconds_per_step(settings: dict, *, batch_size: int, num_steps: int) -> tuple[float, list]:
    """Train from the start; return wall seconds a step and the logged rows."""
    architecture = Architecture.from_settings(settings)
    training = settings["training"] | {
        "batch_size": batch_size,
        "num_steps": num_steps,
        "warmup_steps": 100,
        "learning_rate": 3e-4,  # the paper's rate is for its batch of 1024
        "log_every": max(num_steps // 5, 1),
    }
    state = TrainingState.initial(initial_parameters(architecture, 0))
    started = time.perf_counter()
    states = train(
        state,
        architecture,
        tasks=task_set(0, 8.0, architecture.task_dimension),
        seed=0,
        noise_variance=settings["task"]["noise_variance"],
        settings=training,
    )
    for _ in states:  # always `state`, one step further
        pass
    return (time.perf_counter() - started) / num_steps, state.log


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--large-steps", type=int, default=3)
    flags = parser.parse_args()
    torch.set_num_threads(1)
    settings = effective(load(PAPER))
    size = num_parameters(Architecture.from_settings(settings))
    assert size == 2_654_217
    seconds, log = seconds_per_step(settings, batch_size=32, num_steps=flags.steps)
    assert log[-1][1] < 0.9 * log[0][1], "the loss did not fall"
    print(f"{size:,} parameters; batch loss " + " -> ".join(f"{row[1]:.2f}" for row in log))
    print(f"batch 32:   {1000 * seconds:8.1f} ms a step ({flags.steps} steps)")
    batch, steps = settings["training"]["batch_size"], flags.large_steps
    seconds, _ = seconds_per_step(settings, batch_size=batch, num_steps=steps)
    print(f"batch {batch}: {1000 * seconds:8.1f} ms a step ({steps} steps)")
    total = settings["training"]["num_steps"]
    print(f"so {seconds * total / 86400:.1f} days for the {total} steps of a run")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"peak memory {peak:.2f} GiB")
    count = len(schedule(total, **settings["checkpoints"]))
    print(f"checkpoints: {count} of {4 * size / 2**20:.1f} MiB, {4 * size * count / 2**30:.1f} GiB")


if __name__ == "__main__":
    main()
