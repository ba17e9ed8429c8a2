"""Joint trajectory PCA: against SVD and scikit-learn, its signs, and the tables made of it."""

import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import sklearn.decomposition

from transience import command, tables, trajectory_pca
from transience.errors import InputError
from transience.trajectory_pca import Trajectory

B, K = 6, 3
RUN = {"experiment": "test", "variant": "baseline", "code": "abc"}


def random_rows(shape: tuple[int, int], seed: int = 0) -> np.ndarray:
    """Rows with a few large directions, off the origin."""
    numbers = np.random.default_rng(seed)
    rank = min(shape)
    left = numbers.normal(size=(shape[0], rank)) / np.arange(1, rank + 1)
    return (left @ numbers.normal(size=(rank, shape[1])) + 5).astype(np.float32)


def trajectories(seed: int = 0) -> list[Trajectory]:
    """Three runs that start in one place; some end at dMMSE_M, M = inf at ridge."""
    numbers = np.random.default_rng(seed)
    start, ridge = numbers.normal(size=(2, B * K))
    runs = []
    for num_tasks in (1.0, 8.0, math.inf):
        dmmse = ridge if math.isinf(num_tasks) else ridge + numbers.normal(size=B * K)
        time = np.linspace(0, 1, 10)[:, None]
        path = start + time * (dmmse - start) + 0.01 * numbers.normal(size=(10, B * K))
        ideal = np.stack([dmmse, ridge])
        steps = [10 * i for i in range(10)]
        runs.append(Trajectory(num_tasks, steps, path.astype(np.float32), ideal.astype(np.float32)))
    return runs


# The PCA


@pytest.mark.parametrize("shape", [(12, 40), (40, 12), (20, 20)])
@pytest.mark.parametrize("chunk_elements", [1, 100, 2**24])
def test_components_are_those_of_the_svd(shape: tuple[int, int], chunk_elements: int, monkeypatch):
    monkeypatch.setattr(trajectory_pca, "CHUNK_ELEMENTS", chunk_elements)
    rows = random_rows(shape)
    pca = trajectory_pca.fit(rows, 4)
    centred = rows.astype(np.float64) - rows.mean(axis=0, dtype=np.float64)
    _, singular, right = np.linalg.svd(centred, full_matrices=False)
    np.testing.assert_allclose(
        pca.explained_variance_fraction, singular[:4] ** 2 / (singular**2).sum(), rtol=1e-10
    )
    cosines = (pca.components * right[:4]).sum(axis=1)
    np.testing.assert_allclose(np.abs(cosines), 1, rtol=1e-10)
    np.testing.assert_allclose(pca.project(rows), centred @ pca.components.T, atol=1e-10)


def test_it_is_the_pca_of_scikit_learn():
    rows = random_rows((15, 30))
    ours, theirs = trajectory_pca.fit(rows, 3), sklearn.decomposition.PCA(3).fit(rows)
    np.testing.assert_allclose(
        ours.explained_variance_fraction, theirs.explained_variance_ratio_, rtol=1e-4
    )
    signs = np.sign((ours.components * theirs.components_).sum(axis=1))
    new = random_rows((4, 30), seed=1)
    np.testing.assert_allclose(ours.project(new) * signs, theirs.transform(new), atol=1e-3)


def test_components_are_orthonormal_and_scores_centred():
    rows = random_rows((12, 40))
    pca = trajectory_pca.fit(rows, 4)
    np.testing.assert_allclose(pca.components @ pca.components.T, np.eye(4), atol=1e-12)
    scores = pca.project(rows)
    np.testing.assert_allclose(scores.mean(axis=0), 0, atol=1e-10)
    covariance = scores.T @ scores
    np.testing.assert_allclose(covariance, np.diag(np.diag(covariance)), atol=1e-9)


@pytest.mark.parametrize("shape", [(4, 40), (40, 3)])
def test_more_components_than_rank_are_refused(shape: tuple[int, int]):
    with pytest.raises(InputError, match=r"expected at most 3, the rank .* found 4"):
        trajectory_pca.fit(random_rows(shape), 4)
    assert len(trajectory_pca.fit(random_rows(shape), 3).components) == 3


def test_runs_that_never_move_have_no_components():
    with pytest.raises(InputError, match="expected at most 0"):
        trajectory_pca.fit(np.ones((5, 7), np.float32), 2)


# The joint PCA of a sweep


def test_the_order_of_runs_does_not_matter():
    runs = trajectories()
    first, second = (trajectory_pca.joint_pca(each, 4) for each in (runs, runs[::-1]))
    np.testing.assert_array_equal(first.components, second.components)


def test_ideal_predictors_are_projected_and_never_fitted():
    runs = trajectories()
    far = [Trajectory(one.num_tasks, one.steps, one.checkpoints, 100 * one.ideal) for one in runs]
    near, moved = (trajectory_pca.joint_pca(each, 2) for each in (runs, far))
    np.testing.assert_allclose(np.abs(near.components), np.abs(moved.components))
    table = trajectory_pca.trajectory_table(near, runs)
    for one in runs:
        for row, name in enumerate(("dmmse", "ridge")):
            found = table[(table["num_tasks"] == one.num_tasks) & (table["predictor"] == name)]
            expected = near.components @ (one.ideal[row] - near.mean)
            np.testing.assert_allclose(found[["pc1", "pc2"]].to_numpy()[0], expected)


@pytest.mark.parametrize("seed", range(6))
def test_signs_follow_training_and_ridge(seed: int):
    runs = trajectories(seed)
    table = trajectory_pca.trajectory_table(trajectory_pca.joint_pca(runs, 4), runs)
    ends = table[table["step"] == 90]["pc1"].mean() - table[table["step"] == 0]["pc1"].mean()
    by_predictor = table.groupby("predictor")["pc2"].mean()
    assert ends > 0
    assert by_predictor["ridge"] > by_predictor["dmmse"]


def test_the_largest_loading_of_a_later_component_is_positive():
    pca = trajectory_pca.joint_pca(trajectories(), 4)
    for component in pca.components[2:]:
        assert component[np.abs(component).argmax()] > 0


def test_a_sweep_of_infinite_task_diversity_alone_has_signs_too():
    runs = [one for one in trajectories() if math.isinf(one.num_tasks)]
    component = trajectory_pca.joint_pca(runs, 2).components[1]
    assert component[np.abs(component).argmax()] > 0


# The command


def write_probe(folder: Path, one: Trajectory, seed: int = 0, **changes) -> str:
    text = "inf" if math.isinf(one.num_tasks) else f"{one.num_tasks:.0f}"
    path = folder / f"M{text}_seed{seed}.parquet"
    frame = pd.DataFrame(
        {
            "variant": "baseline",
            "num_tasks": one.num_tasks,
            "seed": seed,
            "step": pd.array([*one.steps, None, None], dtype="Int64"),
            "predictor": [*[None] * len(one.steps), "dmmse", "ridge"],
            "predictions": [*one.checkpoints, *one.ideal],
        }
    )
    settings = {"task": {"num_examples": K}}
    metadata = RUN | {"num_tasks": text, "seed": seed, "settings": settings} | changes
    tables.write_table(path, "probe", frame, metadata)
    return str(path)


def run_command(folder: Path, probes: list[str], monkeypatch, num_components: int = 4) -> None:
    settings = json.dumps({"trajectory_pca": {"num_components": num_components}})
    outputs = ["--trajectory", str(folder / "points"), "--components", str(folder / "components")]
    flags = ["trajectory_pca", "--settings", settings, "--probes", *probes, *outputs]
    monkeypatch.setattr("sys.argv", flags)
    command.run(trajectory_pca.main)


def test_the_command_fits_each_seed_by_itself(tmp_path: Path, monkeypatch):
    seeds = (0, 1)
    probes = [write_probe(tmp_path, one, seed) for seed in seeds for one in trajectories(seed)]
    run_command(tmp_path, probes, monkeypatch)
    points = tables.read_table(tmp_path / "points", "trajectory_pca")
    components = tables.read_table(tmp_path / "components", "trajectory_pca_components")
    assert len(points) == 2 * 3 * (10 + 2)
    assert len(components) == 2 * 4 * B * K
    for seed in seeds:
        pca = trajectory_pca.joint_pca(trajectories(seed), 4)
        own = components[components["seed"] == seed]
        ordered = own.sort_values(["component", "sequence", "position"])["loading"].to_numpy()
        np.testing.assert_allclose(ordered.reshape(4, B * K), pca.components, atol=1e-12)
        fractions = own.groupby("component")["explained_variance_fraction"].first()
        np.testing.assert_allclose(fractions, pca.explained_variance_fraction)
    assert tables.read_metadata(tmp_path / "points")["seed"] == [0, 1]


def test_fewer_components_leave_columns_empty(tmp_path: Path, monkeypatch):
    probes = [write_probe(tmp_path, one) for one in trajectories()]
    run_command(tmp_path, probes, monkeypatch, num_components=2)
    points = tables.read_table(tmp_path / "points", "trajectory_pca")
    assert points[["pc1", "pc2"]].notna().all(axis=None)
    assert points[["pc3", "pc4"]].isna().all(axis=None)


def test_probes_of_different_sequences_are_refused(tmp_path: Path, monkeypatch, capsys):
    runs = [*trajectories(0)[:2], trajectories(1)[2]]
    probes = [write_probe(tmp_path, one) for one in runs]
    with pytest.raises(SystemExit):
        run_command(tmp_path, probes, monkeypatch)
    assert f"{probes[2]}: expected the probe of {probes[0]}" in capsys.readouterr().err


def test_too_many_components_name_the_variant_and_seed(tmp_path: Path, monkeypatch, capsys):
    short = [
        Trajectory(one.num_tasks, one.steps[:1], one.checkpoints[:1], one.ideal)
        for one in trajectories()
    ]
    with pytest.raises(SystemExit):
        run_command(tmp_path, [write_probe(tmp_path, one) for one in short], monkeypatch)
    said = capsys.readouterr().err
    assert "trajectory_pca.num_components: expected at most 2" in said
    assert "found 4 (variant baseline, seed 0)" in said and said.count("\n") == 1
