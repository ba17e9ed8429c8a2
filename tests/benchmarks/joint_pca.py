"""Time and memory of the joint trajectory PCA of a sweep of the paper's size.

    .venv/bin/python tests/benchmarks/joint_pca.py --checkpoints 250      # or 2203, paper.yaml's

The trajectories are random walks, as neither time nor memory depends on what they hold.
"""

import argparse
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parents[2] / "workflow" / "lib"))

from transience.trajectories.joint_pca import joint_pca, trajectory_table
from transience.trajectories.robustness import subspace_table
from transience.trajectories.trajectory import Trajectory


def random_walk(index: int, num_checkpoints: int, num_features: int) -> Trajectory:
    """Predictions (C, F) of one run, and two ideals (2, F)."""
    draws = np.random.default_rng(index).standard_normal
    checkpoints = draws((num_checkpoints, num_features), dtype=np.float32)
    np.cumsum(checkpoints, axis=0, out=checkpoints)
    steps = list(range(0, 100 * num_checkpoints, 100))
    return Trajectory(2.0**index, steps, checkpoints, draws((2, num_features), dtype=np.float32))


def timed(name: str, work: Callable[[], Any]) -> Any:
    """Do it, and print how long it took and the memory's peak so far."""
    start = time.perf_counter()
    result = work()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(
        f"{name:20} {time.perf_counter() - start:8.1f} s   peak so far {peak:.2f} GiB", flush=True
    )
    return result


def main() -> None:
    flags = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    flags.add_argument("--runs", type=int, default=26)
    flags.add_argument("--checkpoints", type=int, default=250)
    flags.add_argument("--sequences", type=int, default=512, help="of the probe")
    flags.add_argument("--examples", type=int, default=16, help="in a sequence")
    args = flags.parse_args()
    torch.set_num_threads(1)
    sizes = (args.checkpoints, args.sequences * args.examples)
    print(f"{args.runs} runs x {sizes[0]} checkpoints x {sizes[1]} features")
    runs = timed("data", lambda: [random_walk(i, *sizes) for i in range(args.runs)])
    pca = timed("trajectory_pca", lambda: joint_pca(runs, 4))
    points = timed("projection", lambda: trajectory_table(pca, runs))
    options = {"num_examples": args.examples, "seed": 0}
    timed("trajectory_subspace", lambda: subspace_table(runs, points, **options))


if __name__ == "__main__":
    main()
