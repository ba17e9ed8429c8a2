"""Transient ridge: t_crit, distances and deflection where the right answer is known."""

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from transience.command.entry import ends_in_one_line
from transience.departure.transient_ridge import (
    main,
    probe_end_distances,
    transient_ridge_table,
)
from transience.files import tables

INF = math.inf
STEPS = [0, 10, 40, 100]
OOD = {  # by M: loss on q_inf at STEPS
    8.0: [4.0, 2.0, 2.1, 3.0],  # falls, then rises: transient
    1.0: [4.0, 5.0, 6.0, 8.0],  # rises from the start
    4.0: [4.0, 3.0, 3.1, 3.2],  # rises by less than 10 %
    16.0: [4.0, 3.0, 3.9, 2.0],  # falls until the end
    INF: [4.0, 2.5, 2.0, 2.0],
}
EXPECTED = {  # by M: t_crit, rise, transient
    8.0: (10, 1.5, True),
    1.0: (0, 2.0, False),
    4.0: (10, 3.2 / 3.0, False),
    16.0: (100, 1.0, False),
    INF: (40, 1.0, False),
}


def run_of(num_tasks: float, seed: int = 0) -> dict:
    return {"variant": "baseline", "num_tasks": num_tasks, "seed": seed}


def evaluation() -> pd.DataFrame:
    """Distances on q_M are 1/(1 + index) to dMMSE_M and index + 1 to ridge; decoys elsewhere."""
    frames = []
    for m, losses in OOD.items():
        for distribution in ("training", "gaussian", "root"):
            right = distribution == "training"
            frames.append(
                pd.DataFrame(
                    {
                        "step": STEPS,
                        "distribution": distribution,
                        "loss": losses if distribution == "gaussian" else 1.0,
                        "distance_to_dmmse": [1.0, 1 / 2, 1 / 3, 1 / 4] if right else 77.0,
                        "distance_to_ridge": [1.0, 2.0, 3.0, 4.0] if right else 77.0,
                    }
                ).assign(**run_of(m))
            )
    mean = pd.concat(frames, ignore_index=True).sample(frac=1, random_state=0)
    first = mean.assign(loss=0.5, position=0)
    return pd.concat([mean.assign(position=pd.NA), first]).astype({"position": "Int64"})


def predictors() -> pd.DataFrame:
    rows = [
        run_of(m) | {"distribution": d, "predictor": p, "loss": loss}
        for m in OOD
        for d, p, loss in (
            ("gaussian", "ridge", 1.7),
            ("gaussian", "dmmse", 3.5),
            ("gaussian", "zero", 4.0),
            ("training", "ridge", 0.9),
            ("training", "dmmse", 0.8),
            ("training", "zero", 4.0),
        )
    ]
    mean = pd.DataFrame(rows)
    both = pd.concat([mean.assign(position=pd.NA), mean.assign(loss=9.0, position=0)])
    return both.astype({"position": "Int64"})


def points(path: list, dmmse: list, ridge: list, num_tasks: float = 8.0) -> pd.DataFrame:
    """Rows of `trajectory_pca` of one run, in two components, shuffled."""
    frame = pd.DataFrame([*path, dmmse, ridge], columns=["pc1", "pc2"], dtype=float)
    steps = [*range(0, 10 * len(path), 10), None, None]
    return frame.assign(
        pc3=np.nan,
        pc4=np.nan,
        step=pd.array(steps, dtype="Int64"),
        predictor=[*[None] * len(path), "dmmse", "ridge"],
        **run_of(num_tasks),
    ).sample(frac=1, random_state=1)


def trajectory() -> pd.DataFrame:
    bent = [[0, 0], [4, 2], [9, 0.5], [10, 0]]
    return pd.concat([points(bent, [10, 0], [10, 4], m) for m in OOD], ignore_index=True)


def probe_ends() -> pd.DataFrame:
    rows = [run_of(m) | {"root_distance_to_ridge_at_end": 0.1 * i} for i, m in enumerate(OOD)]
    return pd.DataFrame(rows).assign(root_distance_to_nearest_dmmse_at_end=0.3)


@pytest.fixture
def table() -> pd.DataFrame:
    found = transient_ridge_table(evaluation(), predictors(), trajectory(), probe_ends())
    return found.set_index("num_tasks")


# The table


@pytest.mark.parametrize("m", OOD)
def test_course_of_the_ood_loss(table: pd.DataFrame, m: float):
    t_crit, rise, transient = EXPECTED[m]
    row = table.loc[m]
    assert (row["t_crit"], bool(row["transient"])) == (t_crit, transient)
    assert row["rise"] == pytest.approx(rise)
    assert row["initial_ood_loss"] == 4.0
    assert row["least_ood_loss"] == min(OOD[m]) and row["final_ood_loss"] == OOD[m][-1]
    assert row["ridge_ood_loss"] == 1.7


def test_distances_are_those_on_the_training_distribution(table: pd.DataFrame):
    row = table.loc[8.0]
    assert row["distance_to_dmmse_at_t_crit"] == 1 / 2
    assert row["distance_to_ridge_at_t_crit"] == 2.0
    assert row["relative_distance_at_t_crit"] == pytest.approx(0.5 / 2.5)
    assert row["relative_distance_at_end"] == pytest.approx(0.25 / 4.25)


def test_infinity_has_no_relative_distance_and_no_deflection(table: pd.DataFrame):
    columns = ["relative_distance_at_t_crit", "relative_distance_at_end", "ridge_deflection"]
    assert table.loc[INF, columns].isna().all()
    assert table.drop(index=INF)[columns].notna().all(axis=None)


def test_deflections_are_those_of_the_trajectories(table: pd.DataFrame):
    """To (4, 2) beside the line from (0, 0) to (10, 0); ridge is 4 beside it."""
    np.testing.assert_allclose(table.drop(index=INF)["ridge_deflection"], 0.5)


def test_a_run_is_not_transient_if_its_least_comes_late():
    late = evaluation()
    late["step"] = late["step"].replace({10: 50, 40: 60})
    found = transient_ridge_table(late, predictors(), trajectory(), probe_ends())
    assert not found.set_index("num_tasks").at[8.0, "transient"]


def test_the_table_keeps_to_its_schema(table: pd.DataFrame, tmp_path: Path):
    tables.write_table(tmp_path / "t", "transient_ridge", table.reset_index(), {})
    read = tables.read_table(tmp_path / "t", "transient_ridge")
    assert read["num_tasks"].tolist() == sorted(OOD)


# Distances on the probe, and the command


def write_probe(folder: Path, num_tasks: float, end: float, dmmse: float, seed: int = 0) -> str:
    """A probe of one number, given four times; ridge is at 0."""
    text = "inf" if math.isinf(num_tasks) else f"{num_tasks:.0f}"
    path = folder / f"M{text}_seed{seed}.parquet"
    rows = [np.full(4, value, dtype=np.float32) for value in (99, end, dmmse, 0)]
    frame = pd.DataFrame(
        {
            "step": pd.array([0, 10, None, None], dtype="Int64"),
            "predictor": [None, None, "dmmse", "ridge"],
            "predictions": rows,
            **run_of(num_tasks, seed),
        }
    )
    metadata = {"variant": "baseline", "num_tasks": text, "seed": seed, "settings": {}, "code": ""}
    tables.write_table(path, "probe", frame, metadata)
    return str(path)


def test_distances_on_the_probe(tmp_path: Path):
    seeds = [(0, 1.0), (1, 2.0)]
    paths = [
        write_probe(tmp_path, m, end * scale, dmmse, seed)
        for seed, scale in seeds
        for m, end, dmmse in ((1.0, 2.5, 3.0), (8.0, 1.0, 2.0), (INF, 0.5, 0.0))
    ]
    found = probe_end_distances(paths).set_index(["num_tasks", "seed"])
    to_ridge = found["root_distance_to_ridge_at_end"]
    to_dmmse = found["root_distance_to_nearest_dmmse_at_end"]
    assert to_ridge[1.0, 0] == 2.5**2 and to_ridge[INF, 1] == 1.0
    assert to_dmmse[1.0, 0] == 0.5**2  # from 2.5 to both 2 and 3
    assert to_dmmse[INF, 0] == 1.5**2  # ridge is not among them
    assert to_dmmse[8.0, 1] == 0.0


def test_the_command(tmp_path: Path, monkeypatch):
    sources = {
        "evaluation": evaluation(), "predictors": predictors(), "trajectory_pca": trajectory()
    }  # fmt: skip
    metadata = {"variant": "baseline", "num_tasks": ["1"], "seed": 0}
    flags = ["transient_ridge", "--settings", '{"experiment": "test"}']
    for name, frame in sources.items():
        tables.write_table(tmp_path / name, name, frame, metadata)
        flags += [f"--{name.replace('_', '-')}", str(tmp_path / name)]
    flags += ["--probes", *(str(write_probe(tmp_path, m, 1.0, 2.0)) for m in OOD)]
    flags += ["--transient-ridge", str(tmp_path / "out")]
    monkeypatch.setattr("sys.argv", flags)
    ends_in_one_line(main)
    found = tables.read_table(tmp_path / "out", "transient_ridge").set_index("num_tasks")
    assert found["transient"].to_dict() == {m: transient for m, (*_, transient) in EXPECTED.items()}
