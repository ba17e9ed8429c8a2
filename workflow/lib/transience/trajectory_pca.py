"""Joint trajectory PCA: one plane for the trajectories of all task diversities (paper, section 5).

A checkpoint is the vector of its predictions on the probe. All checkpoints of all M of one
(variant, seed) are stacked and their principal components found; dMMSE_M and ridge are projected
onto these, never fitted. Seeds have different root tasks, hence probes and planes of their own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from transience import command
from transience.collect import check_runs, merge_metadata
from transience.errors import InputError
from transience.tables import read_table, write_table

COORDINATES = ["pc1", "pc2", "pc3", "pc4"]
CHUNK_ELEMENTS = 2**24  # numbers converted to float64 at once, 128 MiB


@dataclass(frozen=True)
class PCA:
    """Principal components of rows in a space of F dimensions, all float64."""

    mean: np.ndarray  # (F,)
    components: np.ndarray  # (V, F), orthonormal rows, most variance first
    explained_variance_fraction: np.ndarray  # (V,)

    def project(self, rows: np.ndarray) -> np.ndarray:
        """Coordinates on the components: (N, F) -> (N, V)."""
        size = max(1, CHUNK_ELEMENTS // rows.shape[1])
        chunks = (rows[i : i + size] - self.mean for i in range(0, len(rows), size))
        return np.concatenate([chunk @ self.components.T for chunk in chunks])  # n F @ F V -> n V


def fit(rows: np.ndarray, num_components: int) -> PCA:
    """Find the principal components of rows (N, F), those of an SVD of the centred rows.

    By the eigenvectors of the smaller Gram matrix, summed up in float64 chunk by chunk, so that
    rows in float32 need no second copy. InputError if their rank is below `num_components`.
    """
    mean = rows.mean(axis=0, dtype=np.float64)
    gram = np.zeros((min(rows.shape),) * 2)
    for chunk in _centred_chunks(rows, mean):
        gram += chunk @ chunk.T if len(rows) <= rows.shape[1] else chunk.T @ chunk
    variances, vectors = np.linalg.eigh(gram)  # ascending
    _check_rank(variances, num_components)
    kept = slice(-1, -num_components - 1, -1)
    components = vectors[:, kept].T  # V F, or V N:
    if len(rows) <= rows.shape[1]:
        parts = [components @ chunk for chunk in _centred_chunks(rows, mean)]  # V N @ N f -> V f
        components = np.concatenate(parts, axis=1) / np.sqrt(variances[kept, None])
    return PCA(mean, components, variances[kept] / np.trace(gram))


def _centred_chunks(rows: np.ndarray, mean: np.ndarray) -> Iterator[np.ndarray]:
    """Centred rows in float64: some columns at a time if there are fewer rows, else some rows."""
    num_rows, num_columns = rows.shape
    size = max(1, CHUNK_ELEMENTS // min(rows.shape))
    if num_rows <= num_columns:
        for i in range(0, num_columns, size):
            yield rows[:, i : i + size] - mean[i : i + size]
    else:
        for i in range(0, num_rows, size):
            yield rows[i : i + size] - mean


def _check_rank(variances: np.ndarray, num_components: int) -> None:
    tolerance = variances[-1] * len(variances) * np.finfo(np.float64).eps
    rank = int((variances > tolerance).sum())
    if num_components > rank:
        raise InputError(
            f"trajectory_pca.num_components: expected at most {rank}, the rank of the centred "
            f"trajectories, found {num_components}"
        )


# Trajectories of a sweep


@dataclass(frozen=True)
class Trajectory:
    """One run in function space: predictions on the probe."""

    num_tasks: float
    steps: list[int]
    checkpoints: np.ndarray  # (C, F) float32, ascending steps
    ideal: np.ndarray  # (2, F) float32: dMMSE_M, ridge


def read_trajectory(path: str) -> Trajectory:
    """Read the table `probe` of a run, sorted by step with the ideal predictors last."""
    frame = read_table(path, "probe")
    predictions = np.stack(frame["predictions"])
    steps = frame["step"].dropna().tolist()
    if frame["predictor"].tolist()[len(steps) :] != ["dmmse", "ridge"] or not steps:
        raise InputError(f"{path}: expected checkpoints, dmmse and ridge, found other rows")
    num_tasks = float(frame["num_tasks"].iloc[0])
    return Trajectory(num_tasks, steps, predictions[: len(steps)], predictions[len(steps) :])


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


# Tables


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


def path_and_ideals(points: pd.DataFrame) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Read one run back: its path (C, V), ascending in step, dMMSE_M (V,) and ridge (V,)."""
    points = points.sort_values("step")
    kept = points[COORDINATES].dropna(axis="columns")
    dmmse, ridge = (kept[points["predictor"] == p].to_numpy()[0] for p in ("dmmse", "ridge"))
    return kept[points["predictor"].isna()].to_numpy(), dmmse, ridge


def components_table(pca: PCA, *, num_examples: int) -> pd.DataFrame:
    """Table `trajectory_pca_components` of one (variant, seed), without these keys."""
    num_components, size = pca.components.shape
    return pd.DataFrame(
        {
            "component": np.repeat(np.arange(1, num_components + 1), size),
            "sequence": np.tile(np.arange(size) // num_examples, num_components),
            "position": np.tile(np.arange(size) % num_examples, num_components),
            "loading": pca.components.ravel(),
            "explained_variance_fraction": np.repeat(pca.explained_variance_fraction, size),
        }
    )


# Command


Run = tuple[str, dict[str, Any]]  # path of its probe, and the metadata there


def group_runs(paths: Sequence[str]) -> dict[tuple[str, int], list[Run]]:
    """Group the probes of a sweep by (variant, seed); see `collect.check_runs` for errors."""
    groups: dict[tuple[str, int], list[Run]] = {}
    for path, found in zip(paths, check_runs(paths), strict=True):
        groups.setdefault((found["variant"], found["seed"]), []).append((path, found))
    return groups


def fit_group(runs: Sequence[Run], num_components: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Both tables of one (variant, seed), from the paths of its probes and their metadata."""
    keys = {key: runs[0][1][key] for key in ("variant", "seed")}
    trajectories = [read_trajectory(path) for path, _ in runs]
    _check_probes([path for path, _ in runs], trajectories)
    try:
        pca = joint_pca(trajectories, num_components)
    except InputError as error:
        raise InputError(f"{error} (variant {keys['variant']}, seed {keys['seed']})") from None
    num_examples = runs[0][1]["settings"]["task"]["num_examples"]
    components = components_table(pca, num_examples=num_examples)
    return trajectory_table(pca, trajectories).assign(**keys), components.assign(**keys)


def _check_probes(paths: Sequence[str], trajectories: Sequence[Trajectory]) -> None:
    """Ridge predicts the same in all runs if, and only if, their probes are the same."""
    for path, one in zip(paths, trajectories, strict=True):
        found, expected = one.ideal[1], trajectories[0].ideal[1]
        if found.shape != expected.shape or not np.allclose(found, expected, atol=1e-4):
            raise InputError(f"{path}: expected the probe of {paths[0]}, found other sequences")


def main() -> None:
    """Fit the joint PCA of each variant and seed; write trajectories and components."""
    flags = command.parser(main.__doc__)
    flags.add_argument("--probes", nargs="+", required=True, metavar="RUN_TABLE")
    flags.add_argument("--trajectory", required=True, metavar="FILE")
    flags.add_argument("--components", required=True, metavar="FILE")
    args = flags.parse_args()
    groups = group_runs(args.probes)
    num_components = args.settings["trajectory_pca"]["num_components"]
    progress = command.Progress(len(groups), "joint PCA", "variant and seed")
    tables = []
    for done, runs in enumerate(groups.values(), start=1):
        tables.append(fit_group(runs, num_components))
        progress.update(done)
    merged = merge_metadata([found for runs in groups.values() for _, found in runs])
    described = {key: merged[key] for key in ("variant", "num_tasks", "seed")}
    described |= command.provenance(args, "cpu")
    trajectory, components = (
        pd.concat(each, ignore_index=True) for each in zip(*tables, strict=True)
    )
    write_table(args.trajectory, "trajectory_pca", trajectory, described)
    write_table(args.components, "trajectory_pca_components", components, described)


if __name__ == "__main__":
    command.run(main)
