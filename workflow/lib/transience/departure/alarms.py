"""Alarms that a run leaves ridge: how early, how often wrongly, what stopping there costs (ours).

Detectors are those of `training.detectors`, on the rows of a training's log, and one that has a
test set:

- `ood_loss`: the loss on new tasks over its least so far, less 1, at checkpoints after warm-up.

Thresholds are set by reference runs: those of M = inf and of the largest finite M of the first
seed, unless that M leaves. A threshold is the larger of `MARGIN` times the largest sum there, and
of `DEVIATIONS` standard deviations of the numbers in the second half of these runs (the customary
choice for a CUSUM, Montgomery 2009). So whether it fits other seeds and other M is a test; the rows
of reference runs say that they are such.

- *lead*: t_crit, the step of least loss on new tasks, less the step of the alarm; and the same for
  the first bound of the departure. Negative is late.
- *false*: an alarm in a run that stays near ridge, never comes there, or has M = inf
  (`observed.departure`). Where a run passed ridge by, an alarm is neither false nor early.
- What stopping costs is told at the first checkpoint at or after the alarm.
"""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from transience.command import flags, provenance
from transience.command.entry import ends_in_one_line
from transience.departure.observed import departures
from transience.files.selections import mean_over_positions
from transience.files.tables import RUN_KEYS, read_metadata, read_table, write_table
from transience.training.detectors import DETECTORS, Alarm

MARGIN = 1.25  # of a threshold over the largest sum in the reference runs
DEVIATIONS = 5.0
STAYS = ("reference", "stays", "neither")  # outcomes in which an alarm is false
WITH_TEST_SET = "ood_loss"
KNOWS = {WITH_TEST_SET: "test set"} | {name: one.knows for name, one in DETECTORS.items()}


def main() -> None:
    """Raise alarms in every run of a sweep; write the table alarms."""
    parser = flags.parser(main.__doc__)
    inputs = ("evaluation", "training", "signals")
    flags.add_files(parser, *inputs, "alarms")
    args = parser.parse_args()
    tables = [read_table(getattr(args, name), name) for name in inputs]
    metadata = provenance.of_sweep(args, [read_metadata(args.evaluation)])
    write_table(args.alarms, "alarms", alarms_table(*tables), metadata)


def alarms_table(
    evaluation: pd.DataFrame, training: pd.DataFrame, signals: pd.DataFrame
) -> pd.DataFrame:
    """Table `alarms`: a row for each run and detector."""
    outcomes = departures(evaluation).set_index(RUN_KEYS)
    seen = _seen(evaluation, training, signals)
    losses = {
        name: dict(iter(mean_over_positions(evaluation, name).groupby(RUN_KEYS)))
        for name in ("training", "gaussian")
    }
    rows = []
    for _, of_variant in outcomes.groupby("variant"):
        setting = reference_runs(of_variant)
        for detector in KNOWS:
            threshold = _threshold([seen[detector][run] for run in setting])
            for run, outcome in of_variant.iterrows():
                step = _first_above(seen[detector][run]["sum"], threshold)
                courses = [losses[name][run].set_index("step")["loss"] for name in losses]
                keys = dict(zip(RUN_KEYS, run, strict=True)) | {"detector": detector}
                keys |= {"knows": KNOWS[detector], "threshold": threshold}
                rows.append(keys | {"sets_it": run in setting} | _alarm(step, outcome, *courses))
    return pd.DataFrame(rows)


def reference_runs(outcomes: pd.DataFrame) -> list[tuple]:
    """Runs of a variant that set thresholds, by `RUN_KEYS`, from their outcomes."""
    runs = [run for run in outcomes.index if run[2] == min(seed for _, _, seed in outcomes.index)]
    largest = max((m for _, m, _ in runs if math.isfinite(m)), default=math.nan)
    return [
        run for run in runs
        if run[1] in (largest, math.inf) and outcomes.at[run, "outcome"] in STAYS
    ]  # fmt: skip


def _alarm(
    step: float, outcome: pd.Series, own: pd.Series, ood: pd.Series
) -> dict[str, float | bool]:
    """What an alarm at a step means for a run; its losses by step, on q_M and on new tasks."""
    left, t_crit = outcome["outcome"] == "left", int(ood.idxmin())
    raised = math.isfinite(step)
    at = ood.index[ood.index >= step][:1]
    return {
        "alarm": step,
        "t_crit": t_crit,
        "outcome": outcome["outcome"],
        "lead_on_t_crit": t_crit - step,
        "lead_on_departure": outcome["low"] - step if left else math.nan,
        "false_alarm": raised and outcome["outcome"] in STAYS,
        "ood_loss_at_alarm": ood[at].squeeze() if len(at) else math.nan,
        "least_ood_loss": ood[t_crit],
        "final_ood_loss": ood.iloc[-1],
        "loss_at_alarm": own[at].squeeze() if len(at) else math.nan,
        "loss_at_t_crit": own[t_crit],
        "final_loss": own.iloc[-1],
    }


def _threshold(reference: list[pd.DataFrame]) -> float:
    """Set by what a detector has seen in the reference runs; missing without any."""
    if not reference:
        return math.nan
    late = pd.concat([one["number"].iloc[len(one) // 2 :] for one in reference])
    return max(MARGIN * max(one["sum"].max() for one in reference), DEVIATIONS * late.std())


def _first_above(sums: pd.Series, threshold: float) -> float:
    """The first step at which a sum is above a threshold; missing if at none."""
    above = np.flatnonzero(sums.to_numpy() > threshold)
    return float(sums.index[above[0]]) if len(above) else math.nan


def _seen(
    evaluation: pd.DataFrame, training: pd.DataFrame, signals: pd.DataFrame
) -> dict[str, dict[tuple, pd.DataFrame]]:
    """What each detector has seen of each run: `number` and `sum`, by step."""
    log = training.merge(signals, on=[*RUN_KEYS, "step", "batch_loss"]).sort_values("step")
    logs = dict(iter(log.groupby(RUN_KEYS)))
    found = {name: {run: seen(name, rows) for run, rows in logs.items()} for name in DETECTORS}
    ood = mean_over_positions(evaluation, "gaussian").sort_values("step").groupby(RUN_KEYS)
    return found | {WITH_TEST_SET: {run: _rise(rows, logs[run]) for run, rows in ood}}


def _rise(rows: pd.DataFrame, log: pd.DataFrame) -> pd.DataFrame:
    warm = log.set_index("step")["learning_rate"].idxmax()
    losses = rows.set_index("step")["loss"].loc[warm:]
    rise = losses / losses.cummin() - 1
    return pd.DataFrame({"number": rise, "sum": rise})


def seen(detector: str, log: pd.DataFrame) -> pd.DataFrame:
    """`number` and `sum` of a detector after every row of a run's log, by step."""
    alarm, found = Alarm(detector), []
    for row in log.to_dict("records"):
        alarm.see(row)
        found.append((alarm.number, alarm.sum))
    return pd.DataFrame(found, columns=["number", "sum"], index=log["step"], dtype=float)


if __name__ == "__main__":
    ends_in_one_line(main)
