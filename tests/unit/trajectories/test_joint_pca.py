"""Joint trajectory PCA: what is fitted, its signs, and the tables made of it."""

import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from transience.command.entry import ends_in_one_line
from transience.files import tables
from transience.trajectories.joint_pca import joint_pca, main, trajectory_table
from transience.trajectories.trajectory import Trajectory

B, K = 6, 3
RUN = {"experiment": "test", "variant": "baseline", "code": "abc"}


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


def test_the_order_of_runs_does_not_matter():
    runs = trajectories()
    first, second = (joint_pca(each, 4) for each in (runs, runs[::-1]))
    np.testing.assert_array_equal(first.components, second.components)


def test_ideal_predictors_are_projected_and_never_fitted():
    runs = trajectories()
    far = [Trajectory(one.num_tasks, one.steps, one.checkpoints, 100 * one.ideal) for one in runs]
    near, moved = (joint_pca(each, 2) for each in (runs, far))
    np.testing.assert_allclose(np.abs(near.components), np.abs(moved.components))
    table = trajectory_table(near, runs)
    for one in runs:
        for row, name in enumerate(("dmmse", "ridge")):
            found = table[(table["num_tasks"] == one.num_tasks) & (table["predictor"] == name)]
            expected = near.components @ (one.ideal[row] - near.mean)
            np.testing.assert_allclose(found[["pc1", "pc2"]].to_numpy()[0], expected)


@pytest.mark.parametrize("seed", range(6))
def test_signs_follow_training_and_ridge(seed: int):
    runs = trajectories(seed)
    table = trajectory_table(joint_pca(runs, 4), runs)
    ends = table[table["step"] == 90]["pc1"].mean() - table[table["step"] == 0]["pc1"].mean()
    by_predictor = table.groupby("predictor")["pc2"].mean()
    assert ends > 0
    assert by_predictor["ridge"] > by_predictor["dmmse"]


def test_the_largest_loading_of_a_later_component_is_positive():
    pca = joint_pca(trajectories(), 4)
    for component in pca.components[2:]:
        assert component[np.abs(component).argmax()] > 0


def test_a_sweep_of_infinite_task_diversity_alone_has_signs_too():
    runs = [one for one in trajectories() if math.isinf(one.num_tasks)]
    component = joint_pca(runs, 2).components[1]
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
    sections = {"experiment": "test", "trajectory_pca": {"num_components": num_components}}
    flags = ["joint_pca", "--settings", json.dumps(sections), "--probes", *probes]
    flags += ["--trajectory-pca", str(folder / "points")]
    flags += ["--trajectory-pca-components", str(folder / "components")]
    monkeypatch.setattr("sys.argv", flags)
    ends_in_one_line(main)


def test_the_command_fits_each_seed_by_itself(tmp_path: Path, monkeypatch):
    seeds = (0, 1)
    probes = [write_probe(tmp_path, one, seed) for seed in seeds for one in trajectories(seed)]
    run_command(tmp_path, probes, monkeypatch)
    points = tables.read_table(tmp_path / "points", "trajectory_pca")
    components = tables.read_table(tmp_path / "components", "trajectory_pca_components")
    assert len(points) == 2 * 3 * (10 + 2)
    assert len(components) == 2 * 4 * B * K
    for seed in seeds:
        pca = joint_pca(trajectories(seed), 4)
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


@pytest.mark.parametrize("rank", [0, 1, 2])
def test_what_checkpoints_do_not_span_is_missing(rank: int, tmp_path: Path, monkeypatch):
    short = [
        Trajectory(one.num_tasks, one.steps[: rank + 1], one.checkpoints[: rank + 1], one.ideal)
        for one in trajectories()[:1]
    ]
    run_command(tmp_path, [write_probe(tmp_path, one) for one in short], monkeypatch)
    points = tables.read_table(tmp_path / "points", "trajectory_pca")
    assert points[["pc1", "pc2", "pc3", "pc4"]].notna().all().tolist() == [
        number <= rank for number in (1, 2, 3, 4)
    ]
    components = tables.read_table(tmp_path / "components", "trajectory_pca_components")
    assert len(components) == max(rank, 1) * B * K  # the first is always there, if missing
    assert components["loading"].notna().all() == (rank > 0)
    fractions = components.groupby("component")["explained_variance_fraction"].first()
    assert fractions.sum() == pytest.approx(float(rank > 0))
