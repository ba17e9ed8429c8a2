"""Claims about where models end, and about the rise and fall of ridge."""

from __future__ import annotations

import math

from transience.claims.claim import Finding, by_m_text, claim, numbers_text, tasks_text
from transience.claims.sweep_tables import Sweep

IN_BETWEEN = (1 / 3, 2 / 3)  # relative distances that count as between dMMSE_M and ridge (ours)
STAYS = 1.05  # final over least OOD loss of a run that keeps ridge (ours)


@claim("Models of low M (up to 128) end near dMMSE_M.")
def low_ends_near_dmmse(sweep: Sweep) -> Finding:
    """The lowest M ends nearer to dMMSE_M than to ridge on q_M, in every seed."""
    if not sweep.finite:
        return Finding.not_testable("The sweep has no finite M.")
    relative = sweep.by_m("relative_distance_at_end").loc[sweep.finite]
    near = [m for m in sweep.finite if (relative.loc[m] < 0.5).all()]
    return Finding.of_numbers(
        sweep.finite[0] in near,
        f"Relative distance at the end (0 at dMMSE_M, 1 at ridge), by seed: {by_m_text(relative)}. "
        f"Nearer to dMMSE_M in every seed: {tasks_text(near)}.",
        relative.loc[sweep.finite[0]],
    )


@claim("Models of high M (from 362) end near ridge.")
def infinity_ends_near_ridge(sweep: Sweep) -> Finding:
    """M = inf ends nearer to ridge than to any dMMSE_M of the sweep on the probe."""
    if not (sweep.finite and sweep.has_infinity):
        return Finding.not_testable("The sweep lacks M = inf or has no finite M.")
    ridge = sweep.by_m("root_distance_to_ridge_at_end").loc[math.inf]
    dmmse = sweep.by_m("root_distance_to_nearest_dmmse_at_end").loc[math.inf]
    return Finding.of(
        bool((ridge < dmmse).all()),
        f"On the root task M = inf ends at a distance of {numbers_text(ridge)} from ridge and "
        f"{numbers_text(dmmse)} from the nearest dMMSE_M, by seed.",
    )


@claim("A few M at the threshold (182 and 256) end in between.")
def some_end_in_between(sweep: Sweep) -> Finding:
    """Some M end between dMMSE_M and ridge, above all that end near dMMSE_M."""
    if not sweep.finite:
        return Finding.not_testable("The sweep has no finite M.")
    relative = sweep.by_m("relative_distance_at_end").loc[sweep.finite].mean(axis="columns")
    low, high = IN_BETWEEN
    groups = [relative < low, relative.between(low, high), relative > high]
    near_dmmse, between, near_ridge = (relative.index[group].tolist() for group in groups)
    shows = (
        f"Mean relative distance at the end below {low:.2f}: {tasks_text(near_dmmse)}; up to "
        f"{high:.2f}: {tasks_text(between)}; above: {tasks_text(near_ridge)}."
    )
    if not between or len(sweep.finite) < 2:
        return Finding.not_testable(f"{shows} The threshold lies between the sweep's M.")
    ordered = [*near_dmmse, *between, *near_ridge]
    return Finding.of_numbers(ordered == sorted(ordered), shows, relative)


@claim(
    "For intermediate M (16 to 128) the OOD loss falls towards that of ridge, then rises "
    "towards that of dMMSE_M: ridge is transient."
)
def ood_loss_rises_again(sweep: Sweep) -> Finding:
    """At least two intermediate M are transient in every seed."""
    if len(sweep.intermediate) < 2:
        return Finding.not_testable("The sweep has fewer than two intermediate M.")
    rises = sweep.by_m("rise").loc[sweep.intermediate]
    return Finding.of(
        len(sweep.transient) >= 2,
        "The OOD loss falls by 10 % or more before half of training, then rises by 10 % or more, "
        f"in every seed, for {tasks_text(sweep.transient)}. Final over least OOD loss, by seed: "
        f"{by_m_text(rises)}.",
    )


@claim("For high M the OOD loss falls towards that of ridge and stays.")
def infinity_keeps_ridge(sweep: Sweep) -> Finding:
    """The OOD loss of M = inf ends within 5 % of its least."""
    if not sweep.has_infinity:
        return Finding.not_testable("The sweep lacks M = inf.")
    rise = sweep.by_m("rise").loc[math.inf]
    return Finding.of(
        bool((rise <= STAYS).all()),
        f"OOD loss of M = inf at the end over its least, by seed: {numbers_text(rise)}.",
    )


@claim("The dip towards ridge is partial at the lower of these M (6 and 8).")
def dip_deepens(sweep: Sweep) -> Finding:
    """The least OOD loss of transient M comes nearer to that of ridge as M grows."""
    if len(sweep.transient) < 2:
        return Finding.not_testable("Fewer than two M are transient in every seed.")
    least = sweep.by_m("least_ood_loss") / sweep.by_m("ridge_ood_loss")
    least = least.loc[sweep.transient]
    return Finding.of(
        least.mean(axis="columns").is_monotonic_decreasing,
        f"Least OOD loss over that of ridge, by seed: {by_m_text(least)}.",
    )


@claim("The rise away from ridge is partial at the higher of these M (182 and 256).")
def rise_fades(sweep: Sweep) -> Finding:
    """Past the M whose OOD loss rises most, it rises less, and hardly at M = inf."""
    if not sweep.transient:
        return Finding.not_testable("No M is transient in every seed.")
    rises = sweep.by_m("rise").mean(axis="columns")
    peak = rises.loc[sweep.transient].idxmax()
    above = rises[rises.index > peak]
    if not (sweep.has_infinity and len(above) >= 2):
        return Finding.not_testable(
            f"The sweep has no finite M above M = {peak:g}, which rises most, or no M = inf."
        )
    return Finding.of(
        bool(above.iloc[-2] < rises[peak] and above.iloc[-1] <= STAYS),
        f"Mean of final over least OOD loss: {rises[peak]:.3g} at its peak M = {peak:g}, "
        f"{above.iloc[-2]:.3g} at M = {above.index[-2]:g}, {above.iloc[-1]:.3g} at M = inf.",
    )
