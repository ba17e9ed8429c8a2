"""How far to trust the plane of the joint trajectory PCA (the paper's appendices; nulls ours).

- **Probe size**: the plane from the first b of the B sequences, against that from all, as the
  principal angles between the spans of the checkpoints' coordinates (C, 2). The components
  themselves, vectors of length b K and B K, cannot be compared.
- **Schedule**: the plane from the linearly or the logarithmically spaced checkpoints alone, against
  that from all, as the principal angles between components.
- **Random walk**: the variance that each component would explain if every run had steps of the same
  lengths in random directions of a space of many dimensions, all from the common start. Such
  steps are orthogonal, so nothing is drawn: the Gram matrix of the walk is known exactly.
- **Order**: how far a run would bend towards ridge had it taken the same increments in random
  order. Start, end and increments are those of the run; only their order is left to chance.

Of checkpoints that span no plane, angles are those of what they span, and none where that is
nothing; what has no value is missing. The first variance of the walk is always there.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
from scipy.linalg import subspace_angles

from transience.command import flags, provenance
from transience.command.entry import ends_in_one_line
from transience.files.tables import read_metadata, read_table, write_table
from transience.problem.diversity import format_num_tasks
from transience.problem.randomness import numpy_generator
from transience.trajectories.pca import fit
from transience.trajectories.trajectory import (
    Trajectory,
    deflection,
    group_runs,
    path_and_ideals,
    read_trajectory,
)

PLANE = 2  # components compared
SHOWN = 4  # components of the random walk
NUM_ORDERS = 1000
MAX_CHECKPOINTS = 100  # of a run in the random walk, evenly chosen, as its cost grows cubically

Row = dict[str, object]


def main() -> None:
    """Find how far to trust the plane of each variant and seed; write trajectory_subspace."""
    parser = flags.parser(main.__doc__)
    flags.add_files(parser, "trajectory_pca", "trajectory_subspace", lists=["probes"])
    args = parser.parse_args()
    points = read_table(args.trajectory_pca, "trajectory_pca")
    frames = []
    for (variant, seed), probes in group_runs(args.probes).items():
        trajectories = [read_trajectory(probe.path) for probe in probes]
        own = points[(points["variant"] == variant) & (points["seed"] == seed)]
        num_examples = probes[0].num_examples
        frame = subspace_table(trajectories, own, num_examples=num_examples, seed=seed)
        frames.append(frame.assign(variant=variant, seed=seed))
    metadata = provenance.of_sweep(args, [read_metadata(path) for path in args.probes])
    write_table(args.trajectory_subspace, "trajectory_subspace", pd.concat(frames), metadata)


def subspace_table(
    trajectories: Sequence[Trajectory], points: pd.DataFrame, *, num_examples: int, seed: int
) -> pd.DataFrame:
    """Table `trajectory_subspace` of one (variant, seed), without these keys."""
    rows = np.concatenate([one.checkpoints for one in trajectories])
    found = [*probe_size_angles(rows, num_examples), *schedule_angles(trajectories)]
    for number, value in enumerate(random_walk_variances(trajectories), start=1):
        found.append(
            {"quantity": "variance", "setting": "random_walk", "number": number, "value": value}
        )
    return pd.DataFrame([*found, *order_rows(points, seed)])


def probe_size_angles(rows: np.ndarray, num_examples: int) -> Iterator[Row]:
    """Angles for b = 1, 4, 16, ... < B; rows (N, B K) are checkpoints on the probe."""
    num_sequences = rows.shape[1] // num_examples
    whole = coordinates(rows)
    size = 1
    while size < num_sequences:
        part = coordinates(rows[:, : size * num_examples])
        yield from _angle_rows("probe_size", str(size), whole, part)
        size *= 4


def coordinates(rows: np.ndarray) -> np.ndarray:
    """Coordinates of rows (N, F) on their first two principal components, if so many: (N, 2)."""
    return fit(rows, PLANE).project(rows)


def schedule_angles(trajectories: Sequence[Trajectory]) -> Iterator[Row]:
    """Angles between the plane of all checkpoints and that of one of the two schedules.

    Runs that end early, or branch, have other steps than the rest.
    """
    spacing = max(np.diff(one.steps).max(initial=1) for one in trajectories)
    linear = [np.asarray(one.steps) % spacing == 0 for one in trajectories]
    ends = [np.isin(np.arange(len(one)), (0, len(one) - 1)) for one in linear]
    rest = [~own | end for own, end in zip(linear, ends, strict=True)]
    whole = _components(trajectories, [np.ones_like(own) for own in linear])
    for setting, kept in (("linear", linear), ("logarithmic", rest)):
        if max(own.sum() for own in kept) > PLANE:
            yield from _angle_rows("schedule", setting, whole, _components(trajectories, kept))


def _components(trajectories: Sequence[Trajectory], kept: Sequence[np.ndarray]) -> np.ndarray:
    """Components of the checkpoints (C,) that are kept of each trajectory."""
    each = zip(trajectories, kept, strict=True)
    rows = np.concatenate([one.checkpoints[own] for one, own in each])
    return fit(rows, PLANE).components.T  # F 2


def _angle_rows(quantity: str, setting: str, a: np.ndarray, b: np.ndarray) -> Iterator[Row]:
    if not min(a.shape[1], b.shape[1]):
        return
    angles = np.rad2deg(subspace_angles(a, b))[::-1]  # ascending
    for number, angle in enumerate(angles, start=1):
        yield {"quantity": quantity, "setting": setting, "number": number, "value": angle}


def random_walk_variances(trajectories: Sequence[Trajectory]) -> np.ndarray:
    """Fractions of variance (V,) of the joint PCA of walks with the runs' step lengths, or NaN."""
    lengths = [_step_lengths(one) for one in trajectories]
    sizes = [len(one) + 1 for one in lengths]
    gram = np.zeros((sum(sizes),) * 2)
    for start, one in zip(np.cumsum([0, *sizes]), lengths, strict=False):
        reached = np.concatenate([[0.0], np.cumsum(np.square(one))])
        block = slice(start, start + len(reached))
        gram[block, block] = np.minimum.outer(reached, reached)  # two moments share steps so far
    centring = np.eye(len(gram)) - 1 / len(gram)
    variances = np.linalg.eigvalsh(centring @ gram @ centring)[::-1]
    total = variances.sum()
    return variances[:SHOWN] / (total if total > 0 else math.nan)


def _step_lengths(one: Trajectory) -> np.ndarray:
    """Distances (C - 1,) between checkpoints, evenly thinned if there are many."""
    kept = np.linspace(0, len(one.steps) - 1, min(len(one.steps), MAX_CHECKPOINTS)).round()
    steps = np.diff(one.checkpoints[kept.astype(int)].astype(np.float64), axis=0)
    return np.linalg.norm(steps, axis=1)


def reordered_deflections(points: pd.DataFrame, rng: np.random.Generator) -> np.ndarray:
    """Deflections towards ridge (R,) of one run's increments in random orders.

    `points` are rows of table `trajectory_pca` of the run.
    """
    path, dmmse, ridge = path_and_ideals(points)
    increments = np.diff(path, axis=0)
    found = np.empty(NUM_ORDERS)
    for index in range(NUM_ORDERS):
        moved = np.cumsum(rng.permutation(increments), axis=0)
        found[index] = deflection(np.vstack([path[:1], path[0] + moved]), dmmse, ridge)
    return found


def order_rows(points: pd.DataFrame, seed: int) -> Iterator[Row]:
    """Quantiles of deflections in random order for each finite M of one (variant, seed)."""
    for num_tasks, run in points.groupby("num_tasks"):
        if math.isinf(num_tasks):
            continue
        path, dmmse, ridge = path_and_ideals(run)
        observed = deflection(path, dmmse, ridge)
        name = format_num_tasks(num_tasks)
        found = reordered_deflections(run, numpy_generator(seed, "order", name))
        share = (1 + (found >= observed).sum()) / (1 + NUM_ORDERS)
        share = math.nan if math.isnan(observed) else share
        values = {
            "reordered_median": np.median(found),
            "reordered_95": np.quantile(found, 0.95),
            "reordered_share": share,
        }
        for quantity, value in values.items():
            yield {"quantity": quantity, "setting": name, "number": 1, "value": value}


if __name__ == "__main__":
    ends_in_one_line(main)
