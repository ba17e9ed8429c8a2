"""Trajectories: probes read and grouped, paths read back, and the deflection where it is known."""

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from transience.errors import InputError
from transience.files.tables import write_table
from transience.trajectories.trajectory import (
    deflection,
    group_runs,
    path_and_ideals,
    read_trajectory,
)


def write_probe(folder: Path, num_tasks: str = "8", seed: int = 0, *, rows=(3, 2, 1, 0)) -> Path:
    """Steps 0 and 10, dMMSE_M and ridge predict 1, 2, 3 and 4, written in the order of `rows`."""
    frame = pd.DataFrame(
        {
            "variant": "baseline", "num_tasks": float(num_tasks), "seed": seed,
            "step": pd.array([0, 10, None, None], dtype="Int64"),
            "predictor": [None, None, "dmmse", "ridge"],
            "predictions": [np.full(6, value, dtype=np.float32) for value in (1, 2, 3, 4)],
        }
    )  # fmt: skip
    path = folder / f"M{num_tasks}_seed{seed}.parquet"
    metadata = {"variant": "baseline", "num_tasks": num_tasks, "seed": seed, "code": "abc"}
    settings = {"task": {"num_examples": 3}}
    write_table(path, "probe", frame.iloc[list(rows)], metadata | {"settings": settings})
    return path


def test_a_trajectory_ascends_in_step_apart_from_its_ideal_predictors(tmp_path: Path):
    one = read_trajectory(write_probe(tmp_path, "inf"))
    assert (one.num_tasks, one.steps) == (math.inf, [0, 10])
    np.testing.assert_array_equal(one.checkpoints, [[1] * 6, [2] * 6])
    np.testing.assert_array_equal(one.ideal, [[3] * 6, [4] * 6])
    assert one.checkpoints.dtype == one.ideal.dtype == np.float32


@pytest.mark.parametrize("rows", [(0, 1, 2), (0, 1, 3), (2, 3)])
def test_a_probe_without_checkpoints_or_an_ideal_predictor_is_refused(tmp_path: Path, rows):
    path = write_probe(tmp_path, rows=rows)
    with pytest.raises(InputError, match="expected checkpoints, dmmse and ridge, found other rows"):
        read_trajectory(path)


def test_probes_are_grouped_by_variant_and_seed(tmp_path: Path):
    paths = {(m, seed): write_probe(tmp_path, m, seed) for m in ("8", "inf") for seed in (0, 1)}
    groups = group_runs(list(paths.values()))
    for seed in (0, 1):
        probes = groups["baseline", seed]
        assert [probe.path for probe in probes] == [paths["8", seed], paths["inf", seed]]
        assert [probe.metadata["num_tasks"] for probe in probes] == ["8", "inf"]
        assert probes[0].num_examples == 3


def test_a_path_is_read_back_in_the_components_that_were_kept():
    frame = pd.DataFrame(
        {
            "step": pd.array([None, 20, 0, None, 10], dtype="Int64"),
            "predictor": ["ridge", None, None, "dmmse", None],
            "pc1": [9.0, 2.0, 0.0, 8.0, 1.0],
            "pc2": [-9.0, -2.0, 0.0, -8.0, -1.0],
        }
    ).assign(pc3=math.nan, pc4=math.nan)
    path, dmmse, ridge = path_and_ideals(frame)
    np.testing.assert_array_equal(path, [[0, 0], [1, -1], [2, -2]])
    np.testing.assert_array_equal([dmmse, ridge], [[8, -8], [9, -9]])


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ([[0, 0], [3, 0], [10, 0]], 0.0),  # straight
        ([[0, 0], [4, 2], [10, 0]], 0.5),
        ([[0, 0], [4, 4], [10, 0]], 1.0),  # as far as ridge
        ([[0, 0], [4, -2], [10, 0]], 0.0),  # away from ridge
        ([[0, 0], [-5, 1], [10, 0]], 0.25),  # going back along the line is no bend
    ],
)
@pytest.mark.parametrize("angle", [0.0, 1.0, 4.0])
def test_deflection_towards_ridge(path: list, expected: float, angle: float):
    turn = np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])
    turned, dmmse, ridge = (np.array(one) @ turn + [7, -2] for one in (path, [10, 0], [6, 4]))
    assert deflection(turned, dmmse, ridge) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(
    "points",
    [
        [[0.1, 0.2], [0.7, 1.4], [0.3, 0.6]],  # ridge is on the line, up to rounding
        [[0.1], [0.7], [0.3]],
        [[1.0, 2.0], [1.0, 2.0], [3.0, 1.0]],  # starts at dMMSE_M
        [[], [], []],
    ],
)
def test_no_deflection_where_ridge_is_not_beside_the_line(points: list):
    start, dmmse, ridge = map(np.array, points)
    assert math.isnan(deflection(np.stack([start, dmmse]), dmmse, ridge))
