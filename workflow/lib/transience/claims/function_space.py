"""Claims about trajectories in function space and the components of their joint PCA."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from transience.claims.claim import (
    Finding,
    by_m_text,
    claim,
    infinity_undertrained,
    numbers_text,
    rank_correlation,
    tasks_text,
)
from transience.claims.sweep_tables import Sweep
from transience.trajectories.trajectory import path_and_ideals

STRONG = 0.5  # least correlation that counts as one (ours)
CHANCE = 0.05  # most of the random orders that may bend as far (ours)
NO_PLANE = "The checkpoints span no plane: they are all equal, or lie on a line."
STAYS = 1.25  # final over least distance to ridge of a trajectory that stays there (ours)


@claim(
    "Trajectories go straight to dMMSE_M for low M, and are deflected towards ridge for "
    "intermediate M."
)
def intermediate_deflect(sweep: Sweep) -> Finding:
    """At least two intermediate M bend further to ridge than the lowest M, and end nearer to
    dMMSE_M than to ridge (relative distance below 1/2), in every seed.
    """
    if len(sweep.intermediate) < 2:
        return Finding.not_testable("The sweep has fewer than two intermediate M.")
    bends, ends = sweep.by_m("ridge_deflection"), sweep.by_m("relative_distance_at_end")
    lowest = bends.loc[sweep.finite[0]]
    found = [
        m for m in sweep.intermediate if (bends.loc[m] > lowest).all() and (ends.loc[m] < 0.5).all()
    ]
    return Finding.of_numbers(
        len(found) >= 2,
        f"Deflection towards ridge (0 straight, 1 as far as ridge), by seed: "
        f"{by_m_text(bends.loc[sweep.finite])}. More than the lowest M, and then nearer to dMMSE_M "
        f"at the end, in every seed: {tasks_text(found)}.",
        bends.loc[sweep.finite],
    )


@claim(
    "Not in the paper (ours): they are deflected further than the same increments in random order "
    "would be."
)
def deflection_exceeds_chance(sweep: Sweep) -> Finding:
    """For at least two intermediate M, in every seed, at most 5 % of random orders bend as far."""
    if len(sweep.intermediate) < 2:
        return Finding.not_testable("The sweep has fewer than two intermediate M.")
    rows = sweep.tables["trajectory_subspace"].query("quantity == 'reordered_share'")
    shares = rows.assign(num_tasks=rows["setting"].astype(float))
    shares = shares.pivot(index="num_tasks", columns="seed", values="value")
    found = [m for m in sweep.intermediate if (shares.loc[m] <= CHANCE).all()]
    return Finding.of_numbers(
        len(found) >= 2,
        f"Share of random orders that bend as far towards ridge, by seed: "
        f"{by_m_text(shares.loc[sweep.finite])}. At most 5 % in every seed: {tasks_text(found)}.",
        shares.loc[sweep.intermediate],
    )


@claim("Trajectories of high M go straight to ridge and stay.")
def infinity_goes_to_ridge(sweep: Sweep) -> Finding:
    """In the kept components M = inf ends at less than half of its first distance to ridge, and at
    most 25 % above its least, in every seed. Not testable if its OOD loss ends above 1.5 times that
    of ridge: undertrained.
    """
    if not sweep.has_infinity:
        return Finding.not_testable("The sweep lacks M = inf.")
    if reason := infinity_undertrained(sweep):
        return reason
    table = sweep.tables["trajectory_pca"]
    infinite = table[np.isinf(table["num_tasks"])].groupby("seed")
    distances = [_distances_to_ridge(points) for _, points in infinite]
    travelled = [path[-1] / (path[0] or math.nan) for path in distances]
    returned = [path[-1] / (path.min() or math.nan) for path in distances]
    return Finding.of_numbers(
        all(t < 0.5 and r <= STAYS for t, r in zip(travelled, returned, strict=True)),
        f"Distance of M = inf to ridge at the end, over that at the start: "
        f"{numbers_text(travelled)}; over the least: {numbers_text(returned)}, by seed.",
        travelled,
        returned,
    )


def _distances_to_ridge(points: pd.DataFrame) -> np.ndarray:
    """Distances of one run's checkpoints to ridge in the kept components, ascending in step."""
    path, _, ridge = path_and_ideals(points)
    return np.linalg.norm(path - ridge, axis=1)


@claim("PC2 orders dMMSE_M, by M, and ridge.")
def pc2_orders_predictors(sweep: Sweep) -> Finding:
    """The rank correlation of PC2 with M, over dMMSE_M and ridge as M = inf, is at least 0.8 in
    every seed.
    """
    if len(sweep.finite) < 3:
        return Finding.not_testable("The sweep has fewer than three finite M.")
    table = sweep.tables["trajectory_pca"]
    if table["pc2"].isna().all():
        return Finding.not_testable(NO_PLANE)
    ideal = table[(table["predictor"] == "dmmse") & np.isfinite(table["num_tasks"])]
    ridge = table[table["predictor"] == "ridge"].groupby("seed")["pc2"].first()
    correlations = []
    for seed, own in ideal.groupby("seed"):
        diversities, heights = [*own["num_tasks"], math.inf], [*own["pc2"], ridge[seed]]
        correlations.append(rank_correlation(diversities, heights))
    return Finding.of_numbers(
        all(correlation >= 0.8 for correlation in correlations),
        "Rank correlation of PC2 with M over dMMSE_M and ridge, by seed: "
        f"{numbers_text(correlations)}.",
        correlations,
    )


@claim("PC2 correlates with OOD loss.")
def pc2_follows_ood_loss(sweep: Sweep) -> Finding:
    """Over all checkpoints PC2 and OOD loss have a correlation of at most -0.5, in every seed:
    towards ridge the loss is lower.
    """
    return _component_follows_loss(sweep, "pc2", "gaussian", "OOD loss")


@claim("PC1 correlates with the loss on q_1.")
def pc1_follows_root_loss(sweep: Sweep) -> Finding:
    """Over all checkpoints PC1 and the loss on the root task have a correlation of at most -0.5, in
    every seed.
    """
    return _component_follows_loss(sweep, "pc1", "root", "loss on q_1")


def _component_follows_loss(sweep: Sweep, component: str, distribution: str, what: str) -> Finding:
    if sweep.points[component].isna().all():
        return Finding.not_testable(NO_PLANE)
    by_seed = sweep.points.groupby("seed")
    correlations = [points[component].corr(points[distribution]) for _, points in by_seed]
    return Finding.of_numbers(
        all(correlation <= -STRONG for correlation in correlations),
        f"Correlation of {component.upper()} with {what} over all checkpoints, by seed: "
        f"{numbers_text(correlations)}.",
        correlations,
    )


@claim("Early positions load more on PC2 than late ones.")
def early_positions_load_on_pc2(sweep: Sweep) -> Finding:
    """The first half of the positions holds more than half of the squared loadings of PC2, in every
    seed.
    """
    table = sweep.tables["trajectory_pca_components"].query("component == 2")
    if table.empty:
        return Finding.not_testable(NO_PLANE)
    early = table["position"] < (table["position"].max() + 1) / 2
    squares = table["loading"] ** 2
    share = squares[early].groupby(table["seed"]).sum() / squares.groupby(table["seed"]).sum()
    return Finding.of_numbers(
        bool((share > 0.5).all()),
        "Part of the squared loadings of PC2 in the first half of the positions, by seed: "
        f"{numbers_text(share)}.",
        share,
    )
