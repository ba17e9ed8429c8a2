"""Transient ridge: when each run is nearest to the general solution, and what becomes of it.

From the tables of a sweep: t_crit, the step of least out-of-distribution (OOD) loss (paper,
section 5), distances to dMMSE_M and ridge then and at the end, and the bend of the trajectory
towards ridge. A run is *transient* by its OOD loss alone, which falls and rises again; whether it
came near ridge and left is its *outcome* (`observed`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from transience.command import flags, provenance
from transience.command.entry import ends_in_one_line
from transience.departure.observed import t_crit
from transience.files.selections import mean_over_positions
from transience.files.tables import RUN_KEYS, read_metadata, read_table, write_table
from transience.trajectories.trajectory import (
    Trajectory,
    deflection,
    group_runs,
    path_and_ideals,
    read_trajectory,
)

FALL = 0.10  # least part of the OOD loss by which a transient run falls from the start, and
RISE = 0.10  # then rises again (ours: the paper's curves do so by far more)


def main() -> None:
    """Find what became of the general solution in each run; write transient_ridge."""
    parser = flags.parser(main.__doc__)
    inputs = ("evaluation", "predictors", "trajectory_pca")
    flags.add_files(parser, *inputs, "transient_ridge", lists=["probes"])
    args = parser.parse_args()
    tables = [read_table(getattr(args, name), name) for name in inputs]
    table = transient_ridge_table(*tables, probe_end_distances(args.probes))
    metadata = provenance.of_sweep(args, [read_metadata(args.evaluation)])
    write_table(args.transient_ridge, "transient_ridge", table, metadata)


def transient_ridge_table(
    evaluation: pd.DataFrame,
    predictors: pd.DataFrame,
    trajectory: pd.DataFrame,
    probe_ends: pd.DataFrame,
) -> pd.DataFrame:
    """Table `transient_ridge` from the sweep's tables and `probe_end_distances`."""
    by_run = evaluation.sort_values("step").groupby(RUN_KEYS, sort=False)
    rows = [dict(zip(RUN_KEYS, run, strict=True)) | _course(frame) for run, frame in by_run]
    ridge = mean_over_positions(predictors, "gaussian")
    ridge = (
        ridge[ridge["predictor"] == "ridge"].set_index(RUN_KEYS)["loss"].rename("ridge_ood_loss")
    )
    bends = {run: ridge_deflection(points) for run, points in trajectory.groupby(RUN_KEYS)}
    bends = pd.Series(bends, name="ridge_deflection").rename_axis(RUN_KEYS)
    table = pd.DataFrame(rows).join(ridge, on=RUN_KEYS).join(bends, on=RUN_KEYS)
    return table.join(probe_ends.set_index(RUN_KEYS), on=RUN_KEYS)


def _course(run: pd.DataFrame) -> dict[str, float]:
    """OOD loss and distances of one run, from its rows of `evaluation`, ascending in step."""
    ood = mean_over_positions(run, "gaussian").set_index("step")["loss"]
    near = mean_over_positions(run, "training").set_index("step")
    best, end = t_crit(ood.index.to_numpy(), ood.to_numpy()), ood.index[-1]
    initial, least, final = ood.iloc[0], ood[best], ood[end]
    course = {
        "t_crit": best,
        "initial_ood_loss": initial,
        "least_ood_loss": least,
        "final_ood_loss": final,
        "rise": final / least,
    }
    for moment, step in (("t_crit", best), ("end", end)):
        dmmse, ridge = (near.at[step, f"distance_to_{name}"] for name in ("dmmse", "ridge"))
        course |= {f"distance_to_dmmse_at_{moment}": dmmse, f"distance_to_ridge_at_{moment}": ridge}
        finite = math.isfinite(run["num_tasks"].iloc[0]) and dmmse + ridge > 0
        course[f"relative_distance_at_{moment}"] = dmmse / (dmmse + ridge) if finite else math.nan
    falls_first = best < end / 2 and least <= (1 - FALL) * initial
    return course | {"transient": bool(falls_first and final >= (1 + RISE) * least)}


def ridge_deflection(points: pd.DataFrame) -> float:
    """`deflection` of one run's rows of `trajectory_pca`; NaN for M = inf: ridge is on the line."""
    if math.isinf(points["num_tasks"].iloc[0]):
        return math.nan
    return deflection(*path_and_ideals(points))


def probe_end_distances(paths: Sequence[Path]) -> pd.DataFrame:
    """Distances of every run's last checkpoint on the probe: to ridge, and to the nearest dMMSE_M.

    The nearest is of all finite M of the sweep, which share the probe within a seed.
    """
    rows = []
    for (variant, seed), probes in group_runs(paths).items():
        ends = [_end(probe.path) for probe in probes]
        finite = [one.ideal[0] for one in ends if math.isfinite(one.num_tasks)]
        for one in ends:
            to_dmmse = [_distance(one.checkpoints[0], ideal) for ideal in finite]
            row = {"variant": variant, "num_tasks": one.num_tasks, "seed": seed}
            row["root_distance_to_ridge_at_end"] = _distance(one.checkpoints[0], one.ideal[1])
            row["root_distance_to_nearest_dmmse_at_end"] = min(to_dmmse, default=math.nan)
            rows.append(row)
    return pd.DataFrame(rows)


def _end(path: Path) -> Trajectory:
    """The last point of a trajectory, without the memory of the others."""
    one = read_trajectory(path)
    return replace(one, checkpoints=one.checkpoints[-1:].copy(), ideal=one.ideal.copy())


def _distance(predictions: np.ndarray, others: np.ndarray) -> float:
    return float(np.square(predictions - others, dtype=np.float64).mean())


if __name__ == "__main__":
    ends_in_one_line(main)
