"""Sensitivity of the joint PCA's plane, and what chance would give."""

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from transience.command.entry import ends_in_one_line
from transience.files import tables
from transience.problem.randomness import numpy_generator
from transience.trajectories.joint_pca import joint_pca, trajectory_table
from transience.trajectories.robustness import (
    main,
    order_rows,
    probe_size_angles,
    random_walk_variances,
    reordered_deflections,
    schedule_angles,
    subspace_table,
)
from transience.trajectories.trajectory import Trajectory

STEPS = sorted({*range(0, 101, 10), 1, 2, 4, 7, 16, 33, 61})


def walk(seed: int, *, num_features: int = 24, steps: list[int] = STEPS) -> Trajectory:
    rng = numpy_generator(seed, "walk")
    path = rng.standard_normal((len(steps), num_features)).cumsum(axis=0)
    return Trajectory(4.0, steps, path - path[0], rng.standard_normal((2, num_features)))


def angles(rows) -> dict[tuple[str, int], float]:
    return {(row["setting"], row["number"]): row["value"] for row in rows}


def test_angles_of_probe_sizes_are_those_between_the_spans_of_coordinates():
    rows = walk(0).checkpoints
    found = angles(probe_size_angles(rows, num_examples=3))  # of 8 sequences
    assert found.keys() == {(b, number) for b in ("1", "4") for number in (1, 2)}
    spans = []
    for width in (12, 24):
        part = rows[:, :width] - rows[:, :width].mean(axis=0)
        spans.append(np.linalg.svd(part, full_matrices=False)[0][:, :2])
    cosines = np.linalg.svd(spans[0].T @ spans[1])[1]
    expected = np.rad2deg(np.arccos(cosines))
    np.testing.assert_allclose([found["4", 1], found["4", 2]], expected, atol=1e-5)


def test_sequences_that_are_all_alike_give_the_same_plane():
    rows = np.tile(walk(1, num_features=3).checkpoints, 16)
    assert max(angles(probe_size_angles(rows, num_examples=3)).values()) < 1e-4


SHORT = [step for step in STEPS if step <= 40] + [45]  # of a run that ended at an alarm


@pytest.mark.parametrize("other", [STEPS, SHORT])
def test_angles_of_schedules(other):
    trajectories = [walk(2), walk(3, steps=other)]
    found = angles(schedule_angles(trajectories))
    planes = []
    logarithmic = [0, 1, 2, 4, 7, 16, 33, 45, 61, 100]
    for kept in (range(101), range(0, 101, 10), logarithmic):
        rows = np.concatenate([one.checkpoints[np.isin(one.steps, kept)] for one in trajectories])
        planes.append(np.linalg.svd(rows - rows.mean(axis=0))[2][:2])
    for setting, plane in zip(("linear", "logarithmic"), planes[1:], strict=True):
        cosines = np.linalg.svd(planes[0] @ plane.T)[1]
        expected = np.rad2deg(np.arccos(cosines))
        found_pair = [found[setting, 1], found[setting, 2]]
        np.testing.assert_allclose(found_pair, expected, atol=1e-5)


def equal_steps(count: int) -> Trajectory:
    moments = np.arange(count + 1)
    return Trajectory(4.0, moments.tolist(), moments[:, None].astype(float), np.zeros((2, 1)))


def test_a_long_walk_of_equal_steps_has_the_known_variances():
    """6 / (π k)² for component k: the eigenvalues of a centred random walk's covariance."""
    found = random_walk_variances([equal_steps(99)])
    np.testing.assert_allclose(found, 6 / (math.pi * np.arange(1, 5)) ** 2, rtol=0.02)


def test_joint_walks_are_those_of_a_simulation_in_many_dimensions():
    trajectories = [equal_steps(20), equal_steps(40)]
    rng, paths = numpy_generator(0, "simulation"), []
    for one in trajectories:
        steps = rng.standard_normal((len(one.steps) - 1, 20_000))
        steps /= np.linalg.norm(steps, axis=1, keepdims=True)
        paths.append(np.vstack([np.zeros(20_000), steps.cumsum(axis=0)]))
    rows = np.concatenate(paths)
    variances = np.linalg.svd(rows - rows.mean(axis=0), compute_uv=False) ** 2
    expected = variances[:4] / variances.sum()
    np.testing.assert_allclose(random_walk_variances(trajectories), expected, rtol=0.05)


def run_of(path: list[tuple[float, float]], num_tasks: float = 4.0) -> pd.DataFrame:
    """Rows of `trajectory_pca`: start (0, 0), dMMSE_M (1, 0), ridge (0.5, 1)."""
    points = [*path, (1.0, 0.0), (0.5, 1.0)]
    frame = pd.DataFrame(points, columns=["pc1", "pc2"]).assign(pc3=math.nan, pc4=math.nan)
    names = [*[None] * len(path), "dmmse", "ridge"]
    steps = pd.array([*range(len(path)), None, None], dtype="Int64")
    return frame.assign(predictor=names, step=steps, num_tasks=num_tasks)


def test_a_detour_by_ridge_is_no_matter_of_chance():
    up = [(0.5 * t, t) for t in np.linspace(0, 1, 30)]
    down = [(0.5 + 0.5 * t, 1 - t) for t in np.linspace(0, 1, 30)[1:]]
    found = {row["quantity"]: row["value"] for row in order_rows(run_of(up + down), seed=0)}
    assert found["reordered_share"] == 1 / 1001
    assert found["reordered_median"] < found["reordered_95"] < 0.7


def test_a_straight_path_is_the_same_in_every_order():
    straight = run_of([(t, 0.0) for t in np.linspace(0, 1, 9)])
    np.testing.assert_allclose(reordered_deflections(straight, np.random.default_rng(0)), 0.0)


def still(count: int = 3) -> Trajectory:
    """A run whose predictions never change."""
    return Trajectory(4.0, list(range(count)), np.ones((count, 24)), np.zeros((2, 24)))


def test_a_run_that_never_moves_has_missing_values_and_no_angles():
    points = trajectory_table(joint_pca([still()], 4), [still()])
    table = subspace_table([still()], points, num_examples=3, seed=0)
    assert set(table["quantity"]) == {
        *("variance", "reordered_median", "reordered_95", "reordered_share")
    }
    assert table["value"].isna().all()


def test_checkpoints_on_a_line_have_one_angle():
    line = Trajectory(4.0, [0, 1, 2, 3], np.outer(np.arange(4.0), np.ones(24)), np.zeros((2, 24)))
    assert angles(probe_size_angles(line.checkpoints, num_examples=3)).keys() == {
        ("1", 1), ("4", 1)
    }  # fmt: skip
    points = trajectory_table(joint_pca([line], 4), [line])
    table = subspace_table([line], points, num_examples=3, seed=0)
    bends = table[table["quantity"].str.startswith("reordered")]
    assert len(bends) == 3 and bends["value"].isna().all()


def test_infinity_has_no_order_to_test():
    assert list(order_rows(run_of([(0.0, 0.0), (1.0, 1.0)], math.inf), seed=0)) == []


@pytest.mark.parametrize("num_sequences", [1, 8])
def test_the_command(tmp_path: Path, monkeypatch, num_sequences: int):
    """With one sequence there is no smaller probe."""
    metadata = {
        "variant": "baseline", "seed": 0, "code": "c", "settings": {"task": {"num_examples": 3}},
    }  # fmt: skip
    trajectories, flags = [], ["robustness", "--settings", '{"experiment": "test"}']
    for num_tasks in (1.0, 4.0):
        one = walk(int(num_tasks), num_features=3 * num_sequences)
        ideal = np.ones((2, 3 * num_sequences))  # ridge is the same for all M
        one = Trajectory(num_tasks, one.steps, one.checkpoints, ideal * [[num_tasks], [3.0]])
        trajectories.append(one)
        rows = [*one.checkpoints, *one.ideal]
        frame = pd.DataFrame({"predictions": [row.astype(np.float32) for row in rows]}).assign(
            variant="baseline", num_tasks=num_tasks, seed=0,
            step=pd.array([*one.steps, None, None], dtype="Int64"),
            predictor=[*[None] * len(one.steps), "dmmse", "ridge"],
        )  # fmt: skip
        named = metadata | {"num_tasks": f"{num_tasks:g}"}
        tables.write_table(tmp_path / f"M{num_tasks:g}", "probe", frame, named)
    points = trajectory_table(joint_pca(trajectories, 2), trajectories)
    points = points.assign(variant="baseline", seed=0)
    tables.write_table(tmp_path / "pca", "trajectory_pca", points, metadata)
    flags += ["--probes", str(tmp_path / "M1"), str(tmp_path / "M4")]
    flags += [
        "--trajectory-pca",
        str(tmp_path / "pca"),
        "--trajectory-subspace",
        str(tmp_path / "out"),
    ]
    monkeypatch.setattr("sys.argv", flags)
    ends_in_one_line(main)
    found = tables.read_table(tmp_path / "out", "trajectory_subspace")
    expected = {"schedule", "variance", "reordered_median", "reordered_95", "reordered_share"}
    assert set(found["quantity"]) == expected | ({"probe_size"} if num_sequences > 1 else set())
