"""Branches in the plane of the variant they leave: which rows there are, and where they stand."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from small import TRAINING

from transience.command.entry import ends_in_one_line
from transience.departure.branch_trajectories import main
from transience.files import tables
from transience.trajectories.joint_pca import joint_pca
from transience.trajectories.trajectory import Trajectory

SIZE, STEPS = 6, [0, 10, 20, 30]
NUMBERS = np.random.default_rng(0)
RIDGE = NUMBERS.normal(size=SIZE)
RUN = {"experiment": "test", "code": "abc"}
BRANCHES = {
    "branch": {"training": {"branch": {"variant": "baseline", "step": 20}}},
    "twig": {"training": {"branch": {"variant": "branch", "step": 30}}},
}


def trajectory(num_tasks: float, steps: list[int] = STEPS, size: int = SIZE) -> Trajectory:
    path = NUMBERS.normal(size=(len(steps), size))
    ideal = np.stack([NUMBERS.normal(size=size), np.resize(RIDGE, size)])
    return Trajectory(num_tasks, steps, path.astype(np.float32), ideal.astype(np.float32))


def leaving(one: Trajectory, start: int, stop: int) -> Trajectory:
    """Its path up to a step, and then another one."""
    kept = np.asarray(one.steps) <= start
    later = trajectory(one.num_tasks, [*range(start + 5, stop + 1, 5)])
    steps = [*np.asarray(one.steps)[kept].tolist(), *later.steps]
    return replace(
        one, steps=steps, checkpoints=np.vstack([one.checkpoints[kept], later.checkpoints])
    )


BASELINE = {m: trajectory(m) for m in (4.0, 8.0)}
BRANCH = {m: leaving(one, 20, 40) for m, one in BASELINE.items()}
TWIG = {8.0: leaving(BRANCH[8.0], 30, 40)}


def written(folder: Path, variant: str, one: Trajectory, seed: int = 0) -> Path:
    path = folder / f"{variant}_M{one.num_tasks:g}_seed{seed}.parquet"
    frame = pd.DataFrame(
        {
            "variant": variant,
            "num_tasks": one.num_tasks,
            "seed": seed,
            "step": pd.array([*one.steps, None, None], dtype="Int64"),
            "predictor": [*[None] * len(one.steps), "dmmse", "ridge"],
            "predictions": [*one.checkpoints, *one.ideal],
        }
    )
    settings = {"task": {"num_examples": 3}}
    keys = {"variant": variant, "num_tasks": f"{one.num_tasks:g}", "seed": seed}
    tables.write_table(path, "probe", frame, RUN | keys | {"settings": settings})
    return path


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """What the command writes for runs, by variant."""

    def run(variants: dict, **probes: dict[float, Trajectory]) -> pd.DataFrame:
        paths = [written(tmp_path, name, one) for name, of in probes.items() for one in of.values()]
        settings = {"experiment": "test", "training": TRAINING, "variants": variants}
        settings |= {"trajectory_pca": {"num_components": 2}}
        words = ["branches", "--settings", json.dumps(settings), "--code", "0", "--device", "cpu"]
        words += ["--probes", *map(str, paths), "--branch-trajectories", str(tmp_path / "out")]
        monkeypatch.setattr(sys, "argv", words)
        ends_in_one_line(main)
        return tables.read_table(tmp_path / "out", "branch_trajectories")

    return run


def test_a_branch_is_projected_from_where_it_leaves(made):
    found = made({"baseline": {}, "branch": BRANCHES["branch"]}, baseline=BASELINE, branch=BRANCH)
    assert found["step"].tolist() == 2 * [20, 25, 30, 35, 40]
    assert {*found["parent"]} == {*found["plane"]} == {"baseline"}
    pca = joint_pca([*BASELINE.values()], 2)
    for m, one in BRANCH.items():
        own = found[found["num_tasks"] == m]
        np.testing.assert_allclose(own[["pc1", "pc2"]], pca.project(one.checkpoints[2:]))
    assert found[["pc3", "pc4"]].isna().all(axis=None)


def test_a_branch_of_a_branch_is_in_the_plane_of_the_first_and_leaves_the_second(made):
    probes = {"baseline": BASELINE, "branch": BRANCH, "twig": TWIG}
    found = made({"baseline": {}} | BRANCHES, **probes).query("variant == 'twig'")
    assert found["step"].tolist() == [30, 35, 40]
    assert {*found["parent"]} == {"branch"} and {*found["plane"]} == {"baseline"}
    expected = joint_pca([*BASELINE.values()], 2).project(TWIG[8.0].checkpoints[4:])
    np.testing.assert_allclose(found[["pc1", "pc2"]], expected)


def test_a_sweep_without_branches_has_no_rows(made):
    assert made({"baseline": {}, "other": {}}, baseline=BASELINE, other=BRANCH).empty


def test_a_branch_with_another_probe_or_m_has_no_rows(made):
    variants = {"baseline": {}, "branch": BRANCHES["branch"]}
    others = {4.0: trajectory(4.0, size=2 * SIZE), 8.0: trajectory(8.0, size=2 * SIZE)}
    assert made(variants, baseline=BASELINE, branch=others).empty
    alone = {16.0: trajectory(16.0)}
    assert made(variants, baseline=BASELINE, branch=alone).empty
