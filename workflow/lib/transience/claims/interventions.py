"""What was expected of interventions, written down before any result of the study was looked at.

None of it is in the paper: a claim says whose it is. Each is about the runs of which a variant is
the control (table `interventions`, whose words these are), is listed where there are some of its
kind, and is decided by the numbers in its docstring. A run counts as changed *from the start* if it
is so from step 0 to the end, *at t_crit* if from then, or from up to 10 % later. Where a claim is
about departures, only runs count whose control left ridge.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import pandas as pd

from transience.claims.claim import (
    FAILS,
    HOLDS,
    NOT_TESTABLE,
    Claim,
    Finding,
    by_m_text,
    claim,
    numbers_text,
)
from transience.claims.sweep_tables import ANY, Sweep
from transience.departure.scores import bootstrapped_mean

OURS = "Expected (ours)"
MANY, FEW = 0.1, 0.01  # shares of new tasks
HALF, COST = 0.5, 1.1  # part of the rise that few preserve; cost on q_M at most, as a ratio
LATE = 1.1  # over t_crit: still at t_crit
SHORT = 0.1  # part of the control's steps that a short branch has at most
SLOW = 0.1  # factor of the learning rate
SPAN = 10.0  # factor between a rate of drift and 1 / departure
STAGED = 1.05  # loss on q_M after stages of M over that without
AS_MUCH = 0.8  # part of what decay throughout preserves
WORTH = 0.05  # gain over the control's least loss on new tasks
RUN = ["num_tasks", "seed"]


def expected(whose: str, what: str, *, kind: str) -> Callable[[Callable], Claim]:
    """Make the function below a claim about interventions of a kind."""
    return claim(f"Not in the paper. {whose}: {what}", kind=kind)


# New tasks


@expected(
    OURS,
    "new tasks keep runs near ridge: the largest share from the start, 0.1 or more, prevents the "
    "departure in every run.",
    kind="fresh_fraction",
)
def fresh_tasks_prevent(sweep: Sweep) -> Finding:
    """The largest share of new tasks from the start, 0.1 or more, ends `prevented` in every run."""
    rows = _from_the_start(_of_departures(sweep, "fresh_fraction"))
    rows = rows[rows["value"] >= MANY]
    rows = rows[rows["value"] == rows["value"].max()]
    return _every_run(rows, "prevented", "0.1 of new tasks or more from the start")


@expected(
    OURS,
    "new tasks bring runs back: a share of 0.1 or more from after the departure on rescues all.",
    kind="fresh_fraction",
)
def fresh_tasks_rescue(sweep: Sweep) -> Finding:
    """Shares of 0.1 or more that begin after the departure end `rescued` in every run."""
    rows = _of_departures(sweep, "fresh_fraction")
    rows = rows[(rows["value"] >= MANY) & (rows["onset"] >= rows["control_high"])]
    return _every_run(rows, "rescued", "0.1 of new tasks or more after the departure")


@expected(
    OURS,
    "few new tasks are enough: a share of 0.01 from the start preserves half of the rise or more, "
    "at 1.1 times the loss on q_M or less, in the mean over runs.",
    kind="fresh_fraction",
)
def few_fresh_tasks_are_enough(sweep: Sweep) -> Finding:
    """A share of 0.01 from the start: mean `preserved` 0.5 or more, loss on q_M 1.1 times at most.

    Means over runs; the loss is that at the end over the control's.
    """
    rows = _from_the_start(sweep.interventions("fresh_fraction")).dropna(subset="preserved")
    rows = rows[rows["value"] == FEW]
    if rows.empty:
        return Finding.not_testable("No run has 0.01 of new tasks from the start, and a rise.")
    preserved, cost = rows["preserved"], rows["final_loss"] / rows["control_final_loss"]
    return Finding.of(
        preserved.mean() >= HALF and cost.mean() <= COST,
        f"Mean part preserved {_mean_text(preserved)}, loss on q_M over the control's "
        f"{_mean_text(cost)}; preserved, by seed: {_by_m(rows, 'preserved')}.",
    )


# The learning rate


@expected(
    OURS,
    "a short cooldown at t_crit beats stopping: it gains in more than half of the runs.",
    kind="learning_rate_factor",
)
def cooldown_beats_stopping(sweep: Sweep) -> Finding:
    """`gain` > 0 in more than half of the runs led to rate 0 in a short branch at t_crit.

    Short: at most 0.1 of the control's steps.
    """
    rows = _at_t_crit(sweep.interventions("learning_rate_factor"))
    short = rows["steps"] - rows["onset"] <= SHORT * rows["control_steps"]
    rows = rows[(rows["value"] == 0) & short].dropna(subset="gain")
    if rows.empty:
        return Finding.not_testable("No short branch at t_crit leads the rate to 0.")
    better = rows["gain"] > 0
    return Finding.of(
        better.mean() > 0.5,
        f"{better.sum()} of {len(rows)} runs end below the control's path; mean gain "
        f"{_mean_text(rows['gain'])}, by seed: {_by_m(rows, 'gain')}.",
    )


@expected(
    OURS,
    "a lower learning rate only slows: at a tenth of it or less, from t_crit on, no run leaves "
    "later in rate summed over steps.",
    kind="learning_rate_factor",
)
def lower_rate_only_slows(sweep: Sweep) -> Finding:
    """No run at 0.1 of the rate or less, from t_crit on and before the departure, leaves later.

    Later in learning rate summed over steps: `delayed`, or still near ridge when that sum is past
    the control's at its departure. A run that ends near ridge before says nothing.
    """
    rows = _at_t_crit(_of_departures(sweep, "learning_rate_factor"))
    chosen = rows["value"].between(0, SLOW, inclusive="right") & rows["release"].isna()
    rows = rows[chosen & (rows["onset"] < rows["control_high"])]
    past = (rows["outcome"] == "stays") & (rows["rate_time"] >= rows["control_rate_time"])
    later, known = past | (rows["verdict"] == "delayed"), past | (rows["outcome"] != "stays")
    if rows.empty:
        return Finding.not_testable(
            "No run has 0.1 of the rate or less from t_crit on, which its control left later."
        )
    shows = f"{_verdicts_text(rows)}. In rate summed over steps {later.sum()} leave later"
    if not known.any():
        return Finding.not_testable(f"{shows}, but all end near ridge before that could show.")
    return Finding.of(not later.any(), f"{shows}; {(~known).sum()} end too early to tell.")


# Tasks that wander


@expected(
    OURS,
    "tasks that wander prevent the departure from a rate on, within a factor of 10 of one over its "
    "step in every run, and at all greater ones.",
    kind="task_drift",
)
def drift_has_a_threshold(sweep: Sweep) -> Finding:
    """In every run the least rate that ends `prevented` is 1/`control_high` within a factor of 10.

    Every greater one prevents as well. Not testable where the sweep's rates don't reach so far.
    """
    rows = _from_the_start(_of_departures(sweep, "task_drift"))
    found = {run: _threshold(own.sort_values("value")) for run, own in rows.groupby(RUN)}
    if not found:
        return Finding.not_testable("No run has tasks that wander from the start.")
    texts = [
        f"{least} (M = {run[0]:g}, seed {run[1]}; 1/departure {scale:.2g})"
        for run, (least, scale, _) in found.items()
    ]
    shows = f"Least rate that prevents: {', '.join(texts)}."
    return _together([verdict for _, _, verdict in found.values()], shows)


def _threshold(rows: pd.DataFrame) -> tuple[str, float, str]:
    """Least rate of drift that prevents, in words, what it should be, and one run's verdict."""
    rates, prevents = rows["value"], rows["verdict"] == "prevented"
    scale = 1 / rows["control_high"].iloc[0]
    if not prevents.any():
        reached = rates.max() >= SPAN * scale
        return f"none up to {rates.max():g}", scale, FAILS if reached else NOT_TESTABLE
    least = rates[prevents].min()
    if not prevents[rates >= least].all():
        return f"{least:g}, but not all above", scale, FAILS
    if scale / SPAN <= least <= SPAN * scale:
        return f"{least:g}", scale, HOLDS
    below_all = least == rates.min() and least > SPAN * scale
    return f"{least:g}", scale, NOT_TESTABLE if below_all else FAILS


# Task diversity in stages


@expected(
    OURS,
    "M in stages, from few tasks up to M, ends no higher than M throughout on new tasks, and at "
    "1.05 times it on q_M or less, in every run.",
    kind="num_tasks",
)
def stages_up_end_lower(sweep: Sweep) -> Finding:
    """In every run losses end at most at the control's on new tasks, at 1.05 times that on q_M."""
    rows = sweep.interventions("num_tasks")
    rows = rows[(rows["value"] < rows["num_tasks"]) & (rows["onset"] == 0)]
    rows = rows[rows["release"].notna()]
    if rows.empty:
        return Finding.not_testable("No run begins with fewer tasks and goes up to M.")
    ood = rows["final_ood_loss"] / rows["control_final_ood_loss"]
    own = rows["final_loss"] / rows["control_final_loss"]
    texts = [_by_m(rows.assign(ratio=ratio), "ratio") for ratio in (ood, own)]
    return Finding.of(
        bool((ood <= 1).all() and (own <= STAGED).all()),
        f"Final loss over the control's, by seed: on new tasks {texts[0]}; on q_M {texts[1]}.",
    )


@expected(
    OURS,
    "many tasks first, and M after that, delay: every run leaves more steps after the change than "
    "its control after the start.",
    kind="num_tasks",
)
def diversity_first_delays(sweep: Sweep) -> Finding:
    """In every run that begins with more tasks it takes more steps from there to the departure.

    Counted from `release`, its interval lies past the control's, which is counted from step 0. A
    run that is still near ridge when it ends before that says nothing.
    """
    rows = _of_departures(sweep, "num_tasks")
    rows = rows[(rows["value"] > rows["num_tasks"]) & (rows["onset"] == 0)]
    rows = rows[rows["release"].notna()]
    if rows.empty:
        return Finding.not_testable("No run begins with more tasks, and has a control that left.")
    rows = rows.assign(after=rows["low"] - rows["release"])
    later, early = rows["after"] >= rows["control_high"], rows["outcome"] == "stays"
    verdicts = [
        HOLDS if one else NOT_TESTABLE if end else FAILS
        for one, end in zip(later, early, strict=True)
    ]
    return _together(
        verdicts,
        f"Steps near ridge from the release on, at least, by seed: {_by_m(rows, 'after')}; of the "
        f"controls from step 0, at most: {_by_m(rows, 'control_high')}.",
    )


# Weight decay


@expected(
    "Singh et al. (arXiv 2311.08360)",
    "L2 regularisation may keep in-context learning from fading. Nguyen and Reddy "
    "(arXiv 2412.00104): regularisation is why it fades. Tested is the sign: the least "
    "decay of all weights preserves something in every run.",
    kind="weight_decay",
)
def small_decay_preserves(sweep: Sweep) -> Finding:
    """`preserved` > 0 in every run at the least decay of all weights from the start."""
    rows = _decay_from_the_start(sweep)
    rows = rows[rows["value"] == rows["value"].min()]
    if rows.empty:
        return Finding.not_testable("No run has decay of all weights from the start, and a rise.")
    return Finding.of(
        bool((rows["preserved"] > 0).all()),
        f"Part preserved at a decay of {rows['value'].iloc[0]:g}, by seed: "
        f"{_by_m(rows, 'preserved')}; mean {_mean_text(rows['preserved'])}.",
    )


@expected(
    OURS,
    "the stronger the decay of all weights, the less it preserves, in the mean over runs.",
    kind="weight_decay",
)
def strong_decay_preserves_less(sweep: Sweep) -> Finding:
    """Mean `preserved` over runs falls from each decay of all weights to the next greater."""
    means = _decay_from_the_start(sweep).groupby("value")["preserved"].mean()
    if len(means) < 2:
        return Finding.not_testable("The sweep has fewer than two decays of all weights.")
    listed = ", ".join(f"{mean:.3g} at {value:g}" for value, mean in means.items())
    return Finding.of(bool((means.diff().dropna() < 0).all()), f"Mean part preserved: {listed}.")


@expected(
    "arXiv 2605.04396, of compositional tasks",
    "weight decay in one window of a quarter of training does as much as throughout. Tested: the "
    "best window preserves 0.8 times as much or more, in the mean over runs.",
    kind="weight_decay",
)
def one_window_is_enough(sweep: Sweep) -> Finding:
    """Mean `preserved` of the best window is 0.8 or more of that of the same decay throughout.

    Means over runs that have both, windows of all weights, at the greatest decay that has both. Not
    testable where decay throughout preserves nothing.
    """
    rows = _with_rise(sweep.interventions("weight_decay"))
    rows = rows[rows["weight_decay_of"] == "all"]
    whole, windows = _from_the_start(rows), rows[rows["release"].notna()]
    pairs = windows.merge(whole, on=[*RUN, "value"], suffixes=("", "_whole"))
    pairs = pairs[pairs["value"] == pairs["value"].max()]
    if pairs.empty:
        return Finding.not_testable("No window has a run of the same decay throughout beside it.")
    means = pairs.groupby("variant")[["preserved", "preserved_whole"]].mean()
    best = means.loc[means["preserved"].idxmax()]
    listed = ", ".join(f"{name} {row['preserved']:.3g}" for name, row in means.iterrows())
    shows = (
        f"Mean part preserved at a decay of {pairs['value'].iloc[0]:g}: {listed}; throughout "
        f"{best['preserved_whole']:.3g}, in the same runs as the best."
    )
    if best["preserved_whole"] <= 0:
        return Finding.not_testable(f"{shows} There is nothing to do as much as.")
    return Finding.of(bool(best["preserved"] >= AS_MUCH * best["preserved_whole"]), shows)


# Any of them


@expected(
    OURS,
    "some intervention is worth it: at some M all its runs gain over stopping early, by more than "
    "0.05 of the control's least loss on new tasks.",
    kind=ANY,
)
def some_intervention_is_worth_it(sweep: Sweep) -> Finding:
    """At some M every run of some variant has a `gain` above 0.05 of the control's least OOD loss.

    Where tasks wander, q_M at the end is of other tasks than the control's: those are left out.
    """
    rows = sweep.interventions()
    rows = rows[~rows["kind"].str.contains("task_drift")]
    rows = rows.assign(part=rows["gain"] / rows["control_least_ood_loss"])
    groups = rows.groupby(["variant", "num_tasks"])["part"]
    least = groups.min()[groups.count() == groups.size()]  # with a gain in every run
    if least.empty:
        return Finding.not_testable("No variant is as good on q_M as a checkpoint of its control.")
    name, num_tasks = best = least.idxmax()
    return Finding.of(
        bool(least[best] > WORTH),
        f"So much in every run: {(least > WORTH).sum()} of {len(least)} pairs of variant and M. "
        f"Most in its least run: {name} at M = {num_tasks:g}, gains over the control's least loss "
        f"{numbers_text(groups.get_group(best))}, mean {groups.get_group(best).mean():.3g}.",
    )


# Runs


def _of_departures(sweep: Sweep, kind: str) -> pd.DataFrame:
    """Runs of a kind whose control left ridge."""
    rows = sweep.interventions(kind)
    return rows[rows["control_outcome"] == "left"]


def _with_rise(rows: pd.DataFrame) -> pd.DataFrame:
    """Runs whose control's loss on new tasks rises, so that something can be preserved."""
    return rows.dropna(subset="preserved")


def _from_the_start(rows: pd.DataFrame) -> pd.DataFrame:
    """Runs that are changed from step 0 to the end."""
    return rows[(rows["onset"] == 0) & rows["release"].isna()]


def _at_t_crit(rows: pd.DataFrame) -> pd.DataFrame:
    """Runs that are changed from the control's t_crit on, or from a state soon after it."""
    return rows[rows["onset"].between(rows["control_t_crit"], LATE * rows["control_t_crit"])]


def _decay_from_the_start(sweep: Sweep) -> pd.DataFrame:
    """Runs with decay of all weights throughout."""
    rows = _with_rise(_from_the_start(sweep.interventions("weight_decay")))
    return rows[rows["weight_decay_of"] == "all"]


# Findings


def _every_run(rows: pd.DataFrame, verdict: str, what: str) -> Finding:
    """Whether every run ends with a verdict."""
    if rows.empty:
        return Finding.not_testable(f"No run has {what}, and a control that left ridge.")
    shares = ", ".join(f"{value:g}" for value in sorted(rows["value"].unique()))
    text = f"With a share of {shares}, {_verdicts_text(rows)}."
    return Finding.of(bool((rows["verdict"] == verdict).all()), text)


def _together(verdicts: Sequence[str], shows: str) -> Finding:
    """What fails in one run fails; what can't be told of one can't be told of all."""
    worst = next(one for one in (FAILS, NOT_TESTABLE, HOLDS) if one in verdicts)
    return Finding(shows, worst)


def _verdicts_text(rows: pd.DataFrame) -> str:
    """`prevented: 3 of 4 runs (M = 8, 16); unchanged: 1 of 4 runs (M = 16)`."""
    return "; ".join(
        f"{verdict}: {len(own)} of {len(rows)} runs "
        f"(M = {', '.join(f'{m:g}' for m in sorted(own['num_tasks'].unique()))})"
        for verdict, own in rows.groupby("verdict")
    )


def _by_m(rows: pd.DataFrame, column: str) -> str:
    """Values by variant, M and seed; the variants' names where there are several."""
    return "; ".join(_by_variant(rows, column))


def _by_variant(rows: pd.DataFrame, column: str) -> Iterator[str]:
    several = rows["variant"].nunique() > 1
    for variant, own in rows.groupby("variant"):
        text = by_m_text(own.pivot(index="num_tasks", columns="seed", values=column))
        yield f"{variant} {text}" if several else text


def _mean_text(values: pd.Series) -> str:
    """`0.52 (0.31 to 0.7)`: with its 95 % interval, by bootstrap over runs."""
    low, high = bootstrapped_mean(values.to_numpy(float))
    return f"{values.mean():.3g} ({low:.3g} to {high:.3g})"
