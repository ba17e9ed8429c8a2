"""Transient ridge: when each run is nearest to the general solution, and what becomes of it.

From the tables of a sweep: t_crit, the step of least out-of-distribution (OOD) loss (paper,
section 5), distances to dMMSE_M and ridge then and at the end, and the bend of the trajectory
towards ridge.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from transience import command
from transience.tables import read_metadata, read_table, write_table
from transience.trajectory_pca import Trajectory, group_runs, path_and_ideals, read_trajectory

RUN = ["variant", "num_tasks", "seed"]
FALL = 0.10  # least part of the OOD loss by which a transient run falls from the start, and
RISE = 0.10  # then rises again (ours: the paper's curves do so by far more)


def transience_table(
    evaluation: pd.DataFrame,
    predictors: pd.DataFrame,
    trajectory: pd.DataFrame,
    probe_ends: pd.DataFrame,
) -> pd.DataFrame:
    """Table `transience` from the sweep's tables and `probe_end_distances`."""
    by_run = _mean_over_positions(evaluation).sort_values("step").groupby(RUN, sort=False)
    rows = [dict(zip(RUN, run, strict=True)) | _course(frame) for run, frame in by_run]
    ridge = _mean_over_positions(predictors).query("distribution == 'gaussian'")
    ridge = ridge[ridge["predictor"] == "ridge"].set_index(RUN)["loss"].rename("ridge_ood_loss")
    bends = {run: ridge_deflection(points) for run, points in trajectory.groupby(RUN)}
    deflection = pd.Series(bends, name="ridge_deflection").rename_axis(RUN)
    table = pd.DataFrame(rows).join(ridge, on=RUN).join(deflection, on=RUN)
    return table.join(probe_ends.set_index(RUN), on=RUN)


def _mean_over_positions(table: pd.DataFrame) -> pd.DataFrame:
    return table[table["position"].isna()]


def _course(run: pd.DataFrame) -> dict[str, float]:
    """OOD loss and distances of one run, from its mean rows of `evaluation`, ascending in step."""
    ood = run[run["distribution"] == "gaussian"].set_index("step")["loss"]
    near = run[run["distribution"] == "training"].set_index("step")
    t_crit, end = int(ood.idxmin()), ood.index[-1]
    initial, least, final = ood.iloc[0], ood[t_crit], ood[end]
    course = {
        "t_crit": t_crit,
        "initial_ood_loss": initial,
        "least_ood_loss": least,
        "final_ood_loss": final,
        "rise": final / least,
    }
    for moment, step in (("t_crit", t_crit), ("end", end)):
        dmmse, ridge = (near.at[step, f"distance_to_{name}"] for name in ("dmmse", "ridge"))
        course |= {f"distance_to_dmmse_at_{moment}": dmmse, f"distance_to_ridge_at_{moment}": ridge}
        finite = math.isfinite(run["num_tasks"].iloc[0]) and dmmse + ridge > 0
        course[f"relative_distance_at_{moment}"] = dmmse / (dmmse + ridge) if finite else math.nan
    falls_first = t_crit < end / 2 and least <= (1 - FALL) * initial
    return course | {"transient": bool(falls_first and final >= (1 + RISE) * least)}


def ridge_deflection(points: pd.DataFrame) -> float:
    """How far a run's trajectory bends towards ridge; rows of `trajectory_pca` of one run.

    Its greatest reach along the direction from the line start - dMMSE_M to ridge, at right angles
    to that line, as a part of ridge's own (ours): 0 straight, 1 as far as ridge. NaN for M = inf,
    where ridge is on the line.
    """
    if math.isinf(points["num_tasks"].iloc[0]):
        return math.nan
    return deflection(*path_and_ideals(points))


def deflection(path: np.ndarray, dmmse: np.ndarray, ridge: np.ndarray) -> float:
    """`ridge_deflection` of a path (C, V), given dMMSE_M (V,) and ridge (V,)."""
    start = path[0]
    line = (dmmse - start) / np.linalg.norm(dmmse - start)
    towards_ridge = ridge - start - ((ridge - start) @ line) * line
    reach = (path - start) @ towards_ridge  # C V @ V -> C
    return float(reach.max() / (towards_ridge @ towards_ridge))


def probe_end_distances(paths: Sequence[str]) -> pd.DataFrame:
    """Distances of every run's last checkpoint on the probe: to ridge, and to the nearest dMMSE_M.

    The nearest is of all finite M of the sweep, which share the probe within a seed.
    """
    rows = []
    for (variant, seed), runs in group_runs(paths).items():
        ends = [_end(path) for path, _ in runs]
        finite = [one.ideal[0] for one in ends if math.isfinite(one.num_tasks)]
        for one in ends:
            to_dmmse = [_distance(one.checkpoints[0], ideal) for ideal in finite]
            row = {"variant": variant, "num_tasks": one.num_tasks, "seed": seed}
            row["root_distance_to_ridge_at_end"] = _distance(one.checkpoints[0], one.ideal[1])
            row["root_distance_to_nearest_dmmse_at_end"] = min(to_dmmse, default=math.nan)
            rows.append(row)
    return pd.DataFrame(rows)


def _end(path: str) -> Trajectory:
    """The last point of a trajectory, without the memory of the others."""
    one = read_trajectory(path)
    return replace(one, checkpoints=one.checkpoints[-1:].copy(), ideal=one.ideal.copy())


def _distance(predictions: np.ndarray, others: np.ndarray) -> float:
    return float(np.square(predictions - others, dtype=np.float64).mean())


# Command


def main() -> None:
    """Write the table transience."""
    flags = command.parser(main.__doc__)
    flags.add_argument("--probes", nargs="+", required=True, metavar="RUN_TABLE")
    inputs = ("evaluation", "predictors", "trajectory_pca")
    for name in (*inputs, "transience"):
        flags.add_argument(f"--{name.replace('_', '-')}", required=True, metavar="FILE")
    args = flags.parse_args()
    tables = [read_table(getattr(args, name), name) for name in inputs]
    table = transience_table(*tables, probe_end_distances(args.probes))
    metadata = read_metadata(args.evaluation)
    metadata = {key: metadata[key] for key in ("variant", "num_tasks", "seed")}
    write_table(args.transience, "transience", table, metadata | command.provenance(args, "cpu"))


if __name__ == "__main__":
    command.run(main)
