"""Joint trajectory PCA: one plane for the trajectories of all task diversities (paper, section 5).

A checkpoint is the vector of its predictions on the probe. All checkpoints of all M of one
(variant, seed) are stacked and their principal components found; dMMSE_M and ridge are projected
onto these, never fitted. Seeds have different root tasks, hence probes and planes of their own.
Where checkpoints span fewer components than are asked for, the others are missing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from transience.command import flags, provenance
from transience.command.entry import ends_in_one_line
from transience.command.progress import Progress
from transience.errors import InputError
from transience.files.tables import read_metadata, write_table
from transience.trajectories.pca import PCA, fit
from transience.trajectories.settings import TrajectoryPCASettings
from transience.trajectories.trajectory import (
    COORDINATES,
    Probe,
    Trajectory,
    group_runs,
    read_trajectory,
)


class JointPCAReads(flags.Reads):
    """What the joint PCA depends on."""

    trajectory_pca: TrajectoryPCASettings


def main() -> None:
    """Fit the joint PCA of each variant and seed; write trajectories and components."""
    parser = flags.parser(main.__doc__, JointPCAReads)
    flags.add_files(parser, "trajectory_pca", "trajectory_pca_components", lists=["probes"])
    args = parser.parse_args()
    groups = group_runs(args.probes)
    progress = Progress(len(groups), "joint PCA", "variant and seed")
    tables = []
    for done, probes in enumerate(groups.values(), start=1):
        tables.append(fit_group(probes, args.settings.trajectory_pca.num_components))
        progress.update(done)
    points, components = (pd.concat(each, ignore_index=True) for each in zip(*tables, strict=True))
    metadata = provenance.of_sweep(args, [read_metadata(path) for path in args.probes])
    write_table(args.trajectory_pca, "trajectory_pca", points, metadata)
    write_table(args.trajectory_pca_components, "trajectory_pca_components", components, metadata)


def fit_group(probes: Sequence[Probe], num_components: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Both tables, of the probes of one (variant, seed)."""
    keys = {key: probes[0].metadata[key] for key in ("variant", "seed")}
    trajectories = [read_trajectory(probe.path) for probe in probes]
    _check_probes(probes, trajectories)
    pca = joint_pca(trajectories, num_components)
    components = components_table(pca, num_examples=probes[0].num_examples)
    return trajectory_table(pca, trajectories).assign(**keys), components.assign(**keys)


def _check_probes(probes: Sequence[Probe], trajectories: Sequence[Trajectory]) -> None:
    """Ridge predicts the same in all runs if, and only if, their probes are the same."""
    for probe, one in zip(probes, trajectories, strict=True):
        found, expected = one.ideal[1], trajectories[0].ideal[1]
        if found.shape != expected.shape or not np.allclose(found, expected, atol=1e-4):
            raise InputError(
                f"{probe.path}: expected the probe of {probes[0].path}, found other sequences"
            )


def joint_pca(trajectories: Sequence[Trajectory], num_components: int) -> PCA:
    """Fit the PCA of all checkpoints of all runs of one (variant, seed), and fix its signs."""
    ordered = sorted(trajectories, key=lambda one: one.num_tasks)
    pca = fit(np.concatenate([one.checkpoints for one in ordered]), num_components)
    return _with_fixed_signs(pca, ordered)


def _with_fixed_signs(pca: PCA, trajectories: Sequence[Trajectory]) -> PCA:
    """Turn components: 1 grows with training, 2 from dMMSE_M to ridge, others as they load most."""
    moves = np.mean([one.checkpoints[-1] - one.checkpoints[0] for one in trajectories], axis=0)
    to_ridge = np.mean([one.ideal[1] - one.ideal[0] for one in trajectories], axis=0)
    largest = np.abs(pca.components).argmax(axis=1)
    amounts = pca.components[np.arange(len(largest)), largest]
    for component, direction in enumerate((moves, to_ridge)[: len(amounts)]):
        along = pca.components[component] @ direction
        amounts[component] = along or amounts[component]  # 0 if all M are infinite
    signs = np.where(amounts < 0, -1.0, 1.0)
    return replace(pca, components=pca.components * signs[:, None])


def trajectory_table(pca: PCA, trajectories: Sequence[Trajectory]) -> pd.DataFrame:
    """Table `trajectory_pca` of one (variant, seed), without these keys."""
    return pd.concat([_projected(pca, one) for one in trajectories], ignore_index=True)


def _projected(pca: PCA, one: Trajectory) -> pd.DataFrame:
    points = np.full((len(one.steps) + 2, len(COORDINATES)), np.nan)
    points[:, : len(pca.components)] = pca.project(np.concatenate([one.checkpoints, one.ideal]))
    frame = pd.DataFrame(points, columns=COORDINATES)
    return frame.assign(
        num_tasks=one.num_tasks,
        step=pd.array([*one.steps, None, None], dtype="Int64"),
        predictor=[*[None] * len(one.steps), "dmmse", "ridge"],
    )


def components_table(pca: PCA, *, num_examples: int) -> pd.DataFrame:
    """Table `trajectory_pca_components` of one (variant, seed), without these keys.

    Where all checkpoints are equal there is no component: the first stands there, and is missing.
    """
    num_components, size = max(1, len(pca.components)), pca.components.shape[1]
    loadings = np.full((num_components, size), np.nan)
    fractions = np.full(num_components, np.nan)
    loadings[: len(pca.components)] = pca.components
    fractions[: len(pca.components)] = pca.explained_variance_fraction
    return pd.DataFrame(
        {
            "component": np.repeat(np.arange(1, num_components + 1), size),
            "sequence": np.tile(np.arange(size) // num_examples, num_components),
            "position": np.tile(np.arange(size) % num_examples, num_components),
            "loading": loadings.ravel(),
            "explained_variance_fraction": np.repeat(fractions, size),
        }
    )


if __name__ == "__main__":
    ends_in_one_line(main)
