"""What phases of training cost: CPU time of a step in each kind of phase over that of a plain one.

    .venv/bin/python tests/benchmarks/phases.py
    .venv/bin/python tests/benchmarks/phases.py --file paper.yaml --steps 2 --rounds 20

Trainings of one model go on side by side in this process, on one thread: in every round each takes
some steps, in an order that moves on from round to round. Printed is the median over rounds of the
ratio to the plain training of the same round, so that what else the machine does cancels, with its
95 % interval. A second plain training says how much a ratio is off by itself. The goal is a ratio
of 1.02 at most; new and wandering tasks draw more numbers.
"""

import argparse
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import torch

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(HERE), str(ROOT / "workflow" / "lib")]

from speed import Case  # noqa: E402

from transience.training.settings import PhaseSettings  # noqa: E402
from transience.training.state import TrainingState  # noqa: E402
from transience.training.train import train  # noqa: E402

PLAIN = "none"
PHASES = {
    PLAIN: [],
    "none, a second time": [],
    "weight decay": [{"weight_decay": 0.1}],
    "weight decay of MLPs": [{"weight_decay": 0.1, "weight_decay_of": "mlp"}],
    "a share of new tasks": [{"fresh_fraction": 0.1}],
    "tasks that wander": [{"task_drift": 1e-3}],
    "a course of the rate": [{"learning_rate_factor": 0.0, "learning_rate_course": "cosine"}],
}
NUM_RESAMPLES = 2000

Step = Callable[[], object]


def steps_of(case: Case, phases: list[dict]) -> Step:
    """A step of training in these phases, again and again; the loss is never logged."""
    changes = {"num_steps": 10**9, "log_every": 10**9, "learning_rate": 1e-6, "warmup_steps": 0}
    changes["phases"] = [PhaseSettings(**phase) for phase in phases]
    settings = case.training.model_copy(update=changes)
    states = train(TrainingState.initial(case.start()), case.run, settings)
    return lambda: next(states)


def measured(contestants: Mapping[str, Step], rounds: int, steps: int) -> dict[str, np.ndarray]:
    """CPU seconds of a step by contestant and round."""
    names, seconds = list(contestants), {name: np.empty(rounds) for name in contestants}
    for number in range(-1, rounds):  # the first warms up
        for place in range(len(names)):
            name = names[(place + number) % len(names)]
            start = time.process_time()
            for _ in range(steps):
                contestants[name]()
            if number >= 0:
                seconds[name][number] = (time.process_time() - start) / steps
    return seconds


def ratio(seconds: np.ndarray, plain: np.ndarray) -> tuple[float, float, float]:
    """Median over rounds of the ratio to the plain step, and its 95 % interval, by bootstrap."""
    ratios = seconds / plain
    picks = np.random.default_rng(0).integers(len(ratios), size=(NUM_RESAMPLES, len(ratios)))
    low, high = np.quantile(np.median(ratios[picks], axis=1), [0.025, 0.975])
    return float(np.median(ratios)), float(low), float(high)


def main() -> None:
    """Print a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--file", default="config.yaml", help="configuration in config/")
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--steps", type=int, default=20, help="of each training in a round")
    args = parser.parse_args()
    torch.set_num_threads(1)
    case = Case.of(args.file, torch.device("cpu"))
    contestants = {name: steps_of(case, phases) for name, phases in PHASES.items()}
    seconds = measured(contestants, args.rounds, args.steps)
    print("| phase | CPU ms a step | over a plain step |\n|---|---|---|")
    for name, own in seconds.items():
        middle, low, high = ratio(own, seconds[PLAIN])
        says = "1" if name == PLAIN else f"{middle:.3f} ({low:.3f} to {high:.3f})"
        print(f"| {name} | {1e3 * np.median(own):.3g} | {says} |")


if __name__ == "__main__":
    main()
