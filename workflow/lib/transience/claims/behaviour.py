"""Claims about where models end, and about the rise and fall of ridge."""

from __future__ import annotations

import math

from transience.claims.claim import (
    Finding,
    by_m_text,
    claim,
    infinity_undertrained,
    numbers_text,
    tasks_text,
    undertrained,
)
from transience.claims.sweep_tables import Sweep

# All ours:
IN_BETWEEN = (1 / 3, 2 / 3)  # relative distances that count as between dMMSE_M and ridge
NEAR = 1.25  # most of a loss over that of ridge, of a model that counts as near it
STAYS = 1.05  # final over least OOD loss of a run that keeps ridge


@claim("Models of low M (up to 128) end near dMMSE_M.")
def low_ends_near_dmmse(sweep: Sweep) -> Finding:
    """The lowest M ends at a relative distance of at most 1/3 (0 at dMMSE_M, 1 at ridge), in every
    seed. Not testable if it ends with more than 1.5 times the loss of ridge on q_M: undertrained.
    """
    if not sweep.finite:
        return Finding.not_testable("The sweep has no finite M.")
    losses = sweep.final_losses.loc[sweep.finite[0]]
    if reason := undertrained(f"M = {sweep.finite[0]:g}", "q_M", losses["model"] / losses["ridge"]):
        return reason
    relative = sweep.by_m("relative_distance_at_end").loc[sweep.finite]
    near = [m for m in sweep.finite if (relative.loc[m] <= IN_BETWEEN[0]).all()]
    return Finding.of_numbers(
        sweep.finite[0] in near,
        f"Relative distance at the end, by seed: {by_m_text(relative)}. At most 1/3 in every seed: "
        f"{tasks_text(near)}.",
        relative.loc[sweep.finite[0]],
    )


@claim("Models of high M (from 362) end near ridge.")
def infinity_ends_near_ridge(sweep: Sweep) -> Finding:
    """M = inf ends nearer to ridge than to any dMMSE_M of the sweep on the probe, and with at most
    1.25 times the OOD loss of ridge, in every seed. Not testable above 1.5 times: undertrained.
    """
    if not (sweep.finite and sweep.has_infinity):
        return Finding.not_testable("The sweep lacks M = inf or has no finite M.")
    if reason := infinity_undertrained(sweep):
        return reason
    ratio = sweep.ood_loss_over_ridge.loc[math.inf]
    ridge = sweep.by_m("root_distance_to_ridge_at_end").loc[math.inf]
    dmmse = sweep.by_m("root_distance_to_nearest_dmmse_at_end").loc[math.inf]
    return Finding.of(
        bool((ridge < dmmse).all() and (ratio <= NEAR).all()),
        f"On the root task M = inf ends at a distance of {numbers_text(ridge)} from ridge and "
        f"{numbers_text(dmmse)} from the nearest dMMSE_M; its OOD loss is {numbers_text(ratio)} "
        "times that of ridge, by seed.",
    )


@claim("A few M at the threshold (182 and 256) end in between.")
def some_end_in_between(sweep: Sweep) -> Finding:
    """Some M end at a mean relative distance of 1/3 to 2/3, and they are above all M that end
    below, and below all that end above. Not testable without such M, or if M = inf ends with more
    than 1.5 times the OOD loss of ridge: undertrained models are far from both.
    """
    if not sweep.finite:
        return Finding.not_testable("The sweep has no finite M.")
    if sweep.has_infinity and (reason := infinity_undertrained(sweep)):
        return reason
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
    """At least two intermediate M are transient in every seed: their OOD loss falls by 10 % or more
    before half of training, and then rises by 10 % or more. How near to ridge they come is told.
    """
    if len(sweep.intermediate) < 2:
        return Finding.not_testable("The sweep has fewer than two intermediate M.")
    rises = sweep.by_m("rise").loc[sweep.intermediate]
    least = (sweep.by_m("least_ood_loss") / sweep.by_m("ridge_ood_loss")).loc[sweep.transient]
    words = (
        f"So it does in every seed for {tasks_text(sweep.transient)}. Final over least OOD loss, "
        f"by seed: {by_m_text(rises)}."
    )
    if least.size:
        low, high = least.to_numpy().min(), least.to_numpy().max()
        words += " At its least the OOD loss of these M is still "
        words += f"{low:.2g} to {high:.2g} times that of ridge."
    return Finding.of(len(sweep.transient) >= 2, words)


@claim("For high M the OOD loss falls towards that of ridge and stays.")
def infinity_keeps_ridge(sweep: Sweep) -> Finding:
    """The OOD loss of M = inf ends within 5 % of its least, in every seed. Not testable if that is
    more than 1.5 times the loss of ridge: what was not reached can't be kept.
    """
    if not sweep.has_infinity:
        return Finding.not_testable("The sweep lacks M = inf.")
    if reason := infinity_undertrained(sweep):
        return reason
    rise = sweep.by_m("rise").loc[math.inf]
    return Finding.of(
        bool((rise <= STAYS).all()),
        f"OOD loss of M = inf at the end over its least, by seed: {numbers_text(rise)}.",
    )


@claim("The dip towards ridge is partial at the lower of these M (6 and 8).")
def dip_deepens(sweep: Sweep) -> Finding:
    """The least OOD loss over that of ridge falls from each transient M to the next (mean over
    seeds).
    """
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
    """Of transient M one rises most. The largest finite M rises less than it, and M = inf by at
    most 5 % (means over seeds).
    """
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
