"""What an intervention did: each run of a variant beside an untouched one of the same M and seed.

The control is the variant from which it branches, at the end of all branches, else the main one.
The two share inputs and noise. Definitions that are ours:

- A run *left*, *stays* and so on as in `observed.departure`.
- `prevented`: the control left, this run came near ridge and stays, and its loss on new tasks is
  less than 10 % above its least at the end. Up to the end of training, which says nothing beyond.
- `delayed`: both left, and the intervals of their departures are apart, in steps and in rate time;
  `slowed`: in steps only, as with a lower rate everything takes more steps; `hastened`: it left
  before; `unchanged`: the intervals overlap.
- `rescued`: the intervention began after the control's departure, and the run ends nearer to ridge.
- `stopped`: the run ends before the control's departure begins.
- `relapsed`: it left after an intervention had been over.

A phase with as many tasks as the run has, M, changes nothing: stages are over when M is reached.

The loss on q_M stands beside all of it, as freezing prevents everything. What stopping early buys
for nothing are the points of the control's own path in the plane (loss on q_M, loss on new tasks).
An intervention is worth it if it ends below that path: `gain` is the least loss on new tasks of a
checkpoint of the control that is as good on q_M, less that of the end. The control has many
checkpoints to choose the least from and the run has one, so small gains are understated. How much
was possible is told by the front (`pareto`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from transience.command import flags, provenance
from transience.command.entry import ends_in_one_line
from transience.departure.course import Course
from transience.departure.observed import departures, t_crit
from transience.departure.paired import effects_table
from transience.departure.pareto import above_front, regrets
from transience.departure.transient_ridge import RISE
from transience.departure.variants import control_of, last_in_common, variant_section
from transience.files.selections import mean_over_positions
from transience.files.tables import RUN_KEYS, read_metadata, read_table, write_table
from transience.settings import main_variant
from transience.training.phases import bounds
from transience.training.settings import PhaseSettings, TrainingSettings

# What a phase may change, but for where and how.
KINDS = ("num_tasks", "fresh_fraction", "task_drift", "weight_decay", "learning_rate_factor")
KINDS += ("batch_size",)


class InterventionReads(flags.Reads):
    """What the comparison depends on."""

    training: TrainingSettings
    variants: dict[str, dict[str, Any]]  # sections by variant, with its own values only


def main() -> None:
    """Compare every run of a variant with its control; write runs, and means over seeds."""
    parser = flags.parser(main.__doc__, InterventionReads)
    inputs = ("evaluation", "training", "front")
    flags.add_files(parser, *inputs, "interventions", "intervention_effects")
    args = parser.parse_args()
    tables = [read_table(getattr(args, name), name) for name in inputs]
    settings = {
        variant: variant_section(args.settings, variant, "training")
        for variant in args.settings.variants
    }
    table = interventions_table(*tables, settings)
    metadata = provenance.of_sweep(args, [read_metadata(args.evaluation)])
    write_table(args.interventions, "interventions", table, metadata)
    effects = effects_table(table)
    write_table(args.intervention_effects, "intervention_effects", effects, metadata)


@dataclass(frozen=True)
class Path:
    """The course of one run through the plane of the two losses, by checkpoint."""

    steps: np.ndarray
    own: np.ndarray  # loss on q_M
    ood: np.ndarray  # loss on new tasks
    outcome: str
    low: float  # bounds of the departure, in steps
    high: float
    nearer_to_ridge: bool  # at the end
    course: Course
    regrets: tuple[np.ndarray, np.ndarray]  # on q_M and on new tasks
    above_front: np.ndarray

    @property
    def rise(self) -> float:
        """By what part the loss on new tasks is above its least at the end."""
        return self.ood[-1] / self.ood.min() - 1


def interventions_table(
    evaluation: pd.DataFrame,
    training: pd.DataFrame,
    front: pd.DataFrame,
    settings: Mapping[str, TrainingSettings],
) -> pd.DataFrame:
    """Table `interventions`: a row for each run whose control is in the sweep."""
    paths, main, rows = _paths(evaluation, training, front), main_variant(settings), []
    for (variant, num_tasks, seed), path in paths.items():
        control = control_of(variant, settings, main)
        other = paths.get((control, num_tasks, seed))
        if variant == control or other is None or math.isinf(num_tasks):
            continue
        start = _start(path, other) if settings[variant].branch.variant else 0
        what = described(settings[variant], num_tasks, start, int(path.steps[-1]))
        keys = dict(zip(RUN_KEYS, (variant, num_tasks, seed), strict=True))
        rows.append(keys | {"control": control} | what | compared(path, other, what))
    return pd.DataFrame(rows, columns=[*RUN_KEYS, "control", *DESCRIBED, *COMPARED])


DESCRIBED = ("kind", "value", "weight_decay_of", "onset", "release")


def described(
    settings: TrainingSettings, num_tasks: float, start: int, stop: int
) -> dict[str, Any]:
    """What a variant does to a training with M tasks from ``start`` to ``stop``, and when.

    `kind` names what its phases change, and `stop_when` where an alarm ended it (`none` if nothing:
    another setting, or no alarm); `value` is the last phase's, if one thing is changed by phases
    alone. `weight_decay_of` names the weights that decay, if some do. `onset` and `release` are the
    first step at which something is changed, that of the alarm included, and that at which it is
    over, or missing if it lasts to the end.
    """
    spans = zip(settings.phases, bounds(settings.phases, start, stop), strict=True)
    active = [(phase, *span) for phase, span in spans if changes(phase, num_tasks)]
    kinds = list(dict.fromkeys(k for phase, _, _ in active for k in changes(phase, num_tasks)))
    decaying = dict.fromkeys(one.weight_decay_of for one, _, _ in active if one.weight_decay)
    begins, end = [begin for _, begin, _ in active], active[-1][2] if active else stop
    if settings.stop_when.detector and stop < settings.last_step(start):
        kinds.append("stop_when")
        begins, end = [*begins, stop - (settings.stop_when.cooldown_steps or 0)], stop
    value = getattr(active[-1][0], kinds[0]) if active and len(kinds) == 1 else math.nan
    return {
        "kind": "+".join(kinds) or "none",
        "value": float(value),
        "weight_decay_of": "+".join(decaying),
        "onset": min(begins, default=start),
        "release": float(end) if end < stop else math.nan,
    }


def changes(phase: PhaseSettings, num_tasks: float) -> list[str]:
    """What a phase changes in a run with M tasks."""
    plain = PhaseSettings()
    found = [kind for kind in KINDS if getattr(phase, kind) != getattr(plain, kind)]
    same = phase.num_tasks is not None and float(phase.num_tasks) == num_tasks
    return [kind for kind in found if not (same and kind == "num_tasks")]


COMPARED = (
    "verdict", "relapsed", "outcome", "low", "high", "control_outcome", "control_low",
    "control_high", "control_rate_time", "control_t_crit", "steps", "control_steps", "sequences",
    "rate_time", "seconds", "final_loss", "control_final_loss", "least_ood_loss", "final_ood_loss",
    "control_least_ood_loss", "control_final_ood_loss", "rise", "control_rise", "preserved", "gain",
    "regret", "ood_regret", "above_front", "control_least_above_front",
)  # fmt: skip


def compared(path: Path, control: Path, what: Mapping[str, Any]) -> dict[str, Any]:
    """A run beside its control; see the top of the module, and the table's columns."""
    end, released = path.steps[-1], not math.isnan(what["release"])
    values = {
        "verdict": verdict(path, control, what["onset"]),
        "relapsed": released and path.outcome == "left" and path.low >= what["release"],
        "control_rate_time": control.course.at(control.high, "rate_time"),
        "control_t_crit": t_crit(control.steps, control.ood),
        "steps": int(end),
        "control_steps": int(control.steps[-1]),
        "preserved": preserved(path, control),
        "gain": gain(path, control),
        "regret": path.regrets[0][-1],
        "ood_regret": path.regrets[1][-1],
        "above_front": path.above_front[-1],
        "control_least_above_front": control.above_front.min(),
    }
    values |= {name: path.course.at(end, name) for name in ("sequences", "rate_time", "seconds")}
    for prefix, one in (("", path), ("control_", control)):
        values |= {f"{prefix}{name}": getattr(one, name) for name in ("outcome", "low", "high")}
        values |= {
            f"{prefix}final_loss": one.own[-1],
            f"{prefix}least_ood_loss": one.ood.min(),
            f"{prefix}final_ood_loss": one.ood[-1],
            f"{prefix}rise": one.rise,
        }
    return {name: values[name] for name in COMPARED}


def verdict(path: Path, control: Path, onset: int) -> str:
    """In a word, what the intervention did to the departure of the control."""
    if control.outcome != "left":
        same = path.outcome == control.outcome
        return "unchanged" if same else f"{control.outcome}, now {path.outcome}"
    if onset >= control.high:
        return "rescued" if path.nearer_to_ridge else "unchanged"
    if path.steps[-1] <= control.low:
        return "stopped"
    if path.outcome == "stays":
        return "prevented" if path.rise < RISE else "stays, worse on new tasks"
    if path.outcome != "left":
        return f"left, now {path.outcome}"
    if path.high <= control.low:
        return "hastened"
    if path.low < control.high:
        return "unchanged"
    later = path.course.at(path.low, "rate_time") >= control.course.at(control.high, "rate_time")
    return "delayed" if later else "slowed"


def preserved(path: Path, control: Path) -> float:
    """Part of the control's rise of loss on new tasks that this run was spared.

    1 if it ends at the least of the control, 0 if where the control ends; missing where the
    control rises by less than 10 %.
    """
    rise = control.ood[-1] - control.ood.min()
    return (control.ood[-1] - path.ood[-1]) / rise if control.rise >= RISE else math.nan


def gain(path: Path, control: Path) -> float:
    """How far the run ends below the control's path; missing if that is nowhere as good on q_M."""
    as_good = control.ood[control.own <= path.own[-1]]
    return as_good.min() - path.ood[-1] if len(as_good) else math.nan


def _paths(
    evaluation: pd.DataFrame, training: pd.DataFrame, front: pd.DataFrame
) -> dict[tuple, Path]:
    """The path of every run, by `RUN_KEYS`."""
    fronts = dict(iter(front.groupby(RUN_KEYS)))
    left = departures(evaluation).set_index(RUN_KEYS)
    courses = {run: Course.of(rows) for run, rows in training.groupby(RUN_KEYS)}
    own = dict(iter(mean_over_positions(evaluation, "training").groupby(RUN_KEYS)))
    paths = {}
    for run, frame in mean_over_positions(evaluation, "gaussian").groupby(RUN_KEYS):
        ood, on_own = frame.sort_values("step"), own[run].sort_values("step")
        end, found = on_own.iloc[-1], left.loc[run]
        losses = on_own["loss"].to_numpy(), ood["loss"].to_numpy()
        paths[run] = Path(
            steps=ood["step"].to_numpy(), own=losses[0], ood=losses[1],
            regrets=regrets(fronts[run], *losses), above_front=above_front(fronts[run], *losses),
            outcome=found["outcome"], low=found["low"], high=found["high"], course=courses[run],
            nearer_to_ridge=bool(end["distance_to_ridge"] <= end["distance_to_dmmse"]),
        )  # fmt: skip
    return paths


def _start(path: Path, control: Path) -> int:
    """Last checkpoint up to which a branch and the run that it leaves are the same."""
    return last_in_common(path.steps, path.ood, control.steps, control.ood)


if __name__ == "__main__":
    ends_in_one_line(main)
