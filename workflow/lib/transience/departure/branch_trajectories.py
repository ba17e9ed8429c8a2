"""Where branches go: their checkpoints in the joint trajectory PCA of the variant they come from.

The joint PCA is fitted on the checkpoints of one (variant, seed), so every variant has a plane.
A branch is a part of the course of another run, and is projected onto the components of the variant
at the end of all branches, never fitted: so all branches of one variant can be drawn in one plane.
A branch whose section `probe` is another has another probe, and no rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from transience.command import flags, provenance
from transience.command.entry import ends_in_one_line
from transience.departure.variants import control_of, last_in_common, variant_section
from transience.files.tables import RUN_KEYS, read_metadata, write_table
from transience.settings import main_variant
from transience.training.settings import TrainingSettings
from transience.trajectories.joint_pca import joint_pca, trajectory_table
from transience.trajectories.pca import PCA
from transience.trajectories.settings import TrajectoryPCASettings
from transience.trajectories.trajectory import (
    COORDINATES,
    Probe,
    Trajectory,
    group_runs,
    read_trajectory,
)

COLUMNS = (*RUN_KEYS, "parent", "plane", "step", *COORDINATES)


class BranchTrajectoriesReads(flags.Reads):
    """What the coordinates of branches depend on."""

    training: TrainingSettings
    trajectory_pca: TrajectoryPCASettings
    variants: dict[str, dict[str, Any]]  # sections by variant, with its own values only


def main() -> None:
    """Project every branch into the joint PCA of its origin; write branch_trajectories."""
    parser = flags.parser(main.__doc__, BranchTrajectoriesReads)
    flags.add_files(parser, "branch_trajectories", lists=["probes"])
    args = parser.parse_args()
    training = {
        variant: variant_section(args.settings, variant, "training")
        for variant in args.settings.variants
    }
    groups = group_runs(args.probes)
    table = branch_table(groups, training, args.settings.trajectory_pca.num_components)
    metadata = provenance.of_sweep(args, [read_metadata(path) for path in args.probes])
    write_table(args.branch_trajectories, "branch_trajectories", table, metadata)


def branch_table(
    groups: Mapping[tuple[str, int], Sequence[Probe]],
    training: Mapping[str, TrainingSettings],
    num_components: int,
) -> pd.DataFrame:
    """Table `branch_trajectories`: the checkpoints of each branch from the one where it begins."""
    main, frames = main_variant(training), []
    origins: dict[tuple[str, int], list[str]] = {}
    for variant, seed in groups:
        if training[variant].branch.variant:
            origin = control_of(variant, training, main)
            origins.setdefault((origin, seed), []).append(variant)
    for (origin, seed), variants in origins.items():
        whole = [read_trajectory(probe.path) for probe in groups[origin, seed]]
        pca = joint_pca(whole, num_components)
        for variant in variants:
            parent = training[variant].branch.variant
            keys = {"variant": variant, "seed": seed, "parent": parent, "plane": origin}
            probes = groups[variant, seed], groups[parent, seed]
            frames += [points.assign(**keys) for points in _projected(pca, whole[0], *probes)]
    return pd.concat(frames)[[*COLUMNS]] if frames else pd.DataFrame(columns=COLUMNS)


def _projected(
    pca: PCA, of_plane: Trajectory, branches: Sequence[Probe], parents: Sequence[Probe]
) -> Iterator[pd.DataFrame]:
    """Coordinates of each M of a branch, unless its parent lacks that M or its probe is another."""
    by_diversity = {probe.metadata["num_tasks"]: probe for probe in parents}
    for probe in branches:
        parent = by_diversity.get(probe.metadata["num_tasks"])
        if parent is None:
            continue
        branch, left = read_trajectory(probe.path), read_trajectory(parent.path)
        if not all(_same_probe(one, of_plane) for one in (branch, left)):
            continue
        start = last_in_common(branch.steps, branch.checkpoints, left.steps, left.checkpoints)
        steps = np.asarray(branch.steps)
        own = steps >= start
        kept = replace(branch, steps=steps[own].tolist(), checkpoints=branch.checkpoints[own])
        points = trajectory_table(pca, [kept])
        yield points[points["predictor"].isna()].drop(columns="predictor")


def _same_probe(one: Trajectory, other: Trajectory) -> bool:
    """Ridge predicts the same on two probes if, and only if, they are the same."""
    found, expected = one.ideal[1], other.ideal[1]
    return found.shape == expected.shape and np.allclose(found, expected, atol=1e-4)


if __name__ == "__main__":
    ends_in_one_line(main)
