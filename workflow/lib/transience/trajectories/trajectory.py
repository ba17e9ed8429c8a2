"""Trajectories of runs in function space: read, grouped, and how far one bends towards ridge."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from transience.errors import InputError
from transience.files.metadata import check_runs
from transience.files.tables import read_table

COORDINATES = ["pc1", "pc2", "pc3", "pc4"]
ROUNDING = 1e-9  # as a part of a distance


class Probe(NamedTuple):
    """The table `probe` of one run."""

    path: Path
    metadata: dict[str, Any]  # `files.metadata.Metadata`

    @property
    def num_examples(self) -> int:
        """K, examples in each of its sequences."""
        return self.metadata["settings"]["task"]["num_examples"]


def group_runs(paths: Sequence[Path]) -> dict[tuple[str, int], list[Probe]]:
    """Probes of a sweep by (variant, seed); see `files.metadata.check_runs` for errors."""
    groups: dict[tuple[str, int], list[Probe]] = {}
    for path, found in zip(paths, check_runs(paths), strict=True):
        groups.setdefault((found["variant"], found["seed"]), []).append(Probe(path, found))
    return groups


@dataclass(frozen=True)
class Trajectory:
    """One run in function space: predictions on the probe."""

    num_tasks: float
    steps: list[int]
    checkpoints: np.ndarray  # (C, F) float32, ascending steps
    ideal: np.ndarray  # (2, F) float32: dMMSE_M, ridge


def read_trajectory(path: Path) -> Trajectory:
    """Read the table `probe` of a run; InputError unless it has checkpoints, dMMSE_M and ridge."""
    frame = read_table(path, "probe")
    predictions = np.stack(frame["predictions"])
    steps = frame["step"].dropna().tolist()
    if frame["predictor"].tolist()[len(steps) :] != ["dmmse", "ridge"] or not steps:
        raise InputError(f"{path}: expected checkpoints, dmmse and ridge, found other rows")
    num_tasks = float(frame["num_tasks"].iloc[0])
    return Trajectory(num_tasks, steps, predictions[: len(steps)], predictions[len(steps) :])


def path_and_ideals(points: pd.DataFrame) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Read one run back: its path (C, V), ascending in step, dMMSE_M (V,) and ridge (V,)."""
    points = points.sort_values("step")
    kept = points[COORDINATES].dropna(axis="columns")
    dmmse, ridge = (kept[points["predictor"] == p].to_numpy()[0] for p in ("dmmse", "ridge"))
    return kept[points["predictor"].isna()].to_numpy(), dmmse, ridge


def deflection(path: np.ndarray, dmmse: np.ndarray, ridge: np.ndarray) -> float:
    """How far a path (C, V) bends towards ridge (V,) on its way to dMMSE_M (V,) (ours).

    Its greatest reach along the direction from the line start - dMMSE_M to ridge, at right angles
    to that line, as a part of ridge's own: 0 straight, 1 as far as ridge. NaN where ridge is on the
    line up to rounding, as it always is in fewer than two dimensions.
    """
    start = path[0]
    way, length = ridge - start, np.linalg.norm(dmmse - start)
    line = (dmmse - start) / (length or math.nan)
    towards_ridge = way - (way @ line) * line
    if not np.linalg.norm(towards_ridge) > ROUNDING * np.linalg.norm(way):
        return math.nan
    reach = (path - start) @ towards_ridge  # C V @ V -> C
    return float(reach.max() / (towards_ridge @ towards_ridge))
