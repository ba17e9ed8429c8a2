"""How M_1/2, t_crit and the departure go with one setting each, and what that foretells (ours).

Of all *knobs* together (`knobs`) a power law is fitted to the ends of trainings. How M_1/2 goes
with the number of steps is told by each training's own course. What lies beyond all M, or beyond
the end of training, is left out, which draws exponents towards 0. Extrapolated, the laws tell what
to expect at the paper's size, of which nothing was fitted.
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
from transience.departure.knobs import (
    LENGTH,
    MAIN,
    OTHER,
    SECTIONS,
    WIDTH,
    Sections,
    Values,
    is_plain,
    knobs,
    values_of,
)
from transience.departure.observed import departures
from transience.departure.power_law import Interval, PowerLaw, exponential, fit, interval
from transience.departure.thresholds import thresholds_table
from transience.departure.variants import variant_section
from transience.files.tables import RUN_KEYS, read_metadata, read_table, write_table
from transience.model.settings import ModelSettings
from transience.problem.settings import TaskSettings
from transience.settings import main_variant
from transience.training.settings import TrainingSettings

QUANTITIES = ("threshold", "t_crit", "departure")
TASKS = "num_tasks"
AT = "at_num_tasks"  # column: M of a run, 0 of a quantity that is of all
PAPER = {  # Appendix B; its MLP is as wide as the model, and it warms up for longer
    "task.task_dimension": 8,
    "task.num_examples": 16,
    "task.noise_variance": 0.125,
    WIDTH: 512,
    "model.num_layers": 2,
    "training.batch_size": 1024,
    "training.learning_rate": 3.0e-3,
    LENGTH: 150_000,
}
PAPER_TASKS = (32.0, 128.0, 512.0)  # M of which times are foretold
POINTS = ["quantity", "variant", AT, "seed", "share", "step", "knob", "knob_value", "main_value"]
POINTS += ["value", "low", "high"]
FITTED = ["quantity", "knob", "exponent", "low", "high", "num_values", "num_points"]
FITTED += ["num_left_out", "main_value", "main_quantity", "paper_value"]
FORETOLD = ["quantity", AT, "value", "low", "high"]


class ScalingReads(flags.Reads):
    """What the fit depends on."""

    task: TaskSettings
    model: ModelSettings
    training: TrainingSettings
    variants: dict[str, dict[str, Any]]  # sections by variant, with its own values only


def main() -> None:
    """Fit how thresholds and times go with each setting; write three tables."""
    parser = flags.parser(main.__doc__, ScalingReads)
    inputs = ("evaluation", "transient_ridge")
    outputs = ("scaling_points", "scaling", "extrapolation")
    flags.add_files(parser, *inputs, *outputs)
    args = parser.parse_args()
    settings = {
        variant: {name: variant_section(args.settings, variant, name) for name in SECTIONS}
        for variant in args.settings.variants
    }
    tables = [read_table(getattr(args, name), name) for name in inputs]
    points = points_table(*tables, settings)
    made = (points, *scaling_tables(points, settings[main_variant(settings)]))
    metadata = provenance.of_sweep(args, [read_metadata(args.evaluation)])
    for name, table in zip(outputs, made, strict=True):
        write_table(getattr(args, name), name, table, metadata)


# What is seen


def points_table(
    evaluation: pd.DataFrame,
    transient_ridge: pd.DataFrame,
    settings: Mapping[str, Sections],
) -> pd.DataFrame:
    """Table `scaling_points`; ``settings`` are sections by variant.

    A longer training has the times of a shorter one, so they don't count by its length. Variants
    of one knob and value are the same runs where they share seeds: these count once.
    """
    main, turned = main_variant(settings), knobs(settings)
    found = {
        "threshold": thresholds_table(evaluation).assign(**{AT: 0.0}),
        "t_crit": _t_crit(transient_ridge).rename(columns={TASKS: AT}),
        "departure": _departure(evaluation).rename(columns={TASKS: AT}),
    }
    table = pd.concat([rows.assign(quantity=name) for name, rows in found.items()])
    table["knob"] = table["variant"].map({name: knob for name, (knob, _) in turned.items()})
    table["knob_value"] = table["variant"].map({name: value for name, (_, value) in turned.items()})
    of_length = (table["knob"] == LENGTH) & (table["quantity"] != "threshold")
    table.loc[of_length, ["knob", "knob_value"]] = OTHER, math.nan
    table["main_value"] = table["knob"].map(values_of(settings[main])).astype(float)
    plain = table["variant"].map({name: is_plain(own) for name, own in settings.items()})
    table = table[plain.astype(bool) | (table["share"] == 1.0)]
    return _each_once(table, main)[POINTS].reset_index(drop=True)


def _each_once(table: pd.DataFrame, main: str) -> pd.DataFrame:
    """Without rows of variants that are another one of the same knob, value and seed."""
    table = table.sort_values("variant", key=lambda names: names.ne(main), kind="stable")
    same = ["quantity", "knob", "knob_value", AT, "seed", "share"]
    return table[(table["knob"] == OTHER) | ~table.duplicated(same)]


def _t_crit(transient_ridge: pd.DataFrame) -> pd.DataFrame:
    """t_crit of transient runs: of others it is that of a bound, or of chance."""
    rows = transient_ridge.query("transient and t_crit > 0 and num_tasks < inf")
    step = rows["t_crit"].astype(float)
    found = rows[RUN_KEYS].assign(share=1.0, step=rows["t_crit"])
    return found.assign(value=step, low=step, high=step)


def _departure(evaluation: pd.DataFrame) -> pd.DataFrame:
    """Departure of runs that left: the geometric mean of its bounds."""
    rows = departures(evaluation).query("outcome == 'left' and low > 0")
    found = rows[[*RUN_KEYS, "low", "high"]].assign(share=1.0, step=rows["high"].astype(int))
    return found.assign(value=np.sqrt(rows["low"] * rows["high"]))


# What it says


@dataclass(frozen=True)
class Growth:
    """Exponent of M_1/2 in the number of steps: mean over trainings, and their variance."""

    exponent: float
    variance: float  # between trainings; NaN of one
    count: int

    @property
    def interval(self) -> Interval:
        """The mean and its 95 % interval."""
        return interval(self.exponent, math.sqrt(self.variance / self.count), self.count - 1)


def growth(points: pd.DataFrame) -> Growth | None:
    """From the slopes of trainings whose M_1/2 is known at two shares or more."""
    rows = points[points["quantity"].eq("threshold") & points["knob"].ne(OTHER)]
    slopes = [
        np.polyfit(np.log(own["step"]), np.log(own["value"]), 1)[0]
        for _, own in rows.dropna(subset=["value"]).groupby(["variant", "seed"])
        if own["step"].nunique() > 1
    ]
    if not slopes:
        return None
    variance = float(np.var(slopes, ddof=1)) if len(slopes) > 1 else math.nan
    return Growth(float(np.mean(slopes)), variance, len(slopes))


def design(points: pd.DataFrame) -> pd.DataFrame:
    """Rows for `fit`, of one quantity at the end of training: seed, value, logs of factors."""
    names = [name for name in points["knob"].unique() if name != MAIN]
    factor = points["knob_value"] / points["main_value"]
    logs = {name: np.log(factor.where(points["knob"] == name, 1.0)) for name in names}
    if (points[AT] > 0).any():
        logs[TASKS] = np.log(points[AT])
    return pd.DataFrame({"seed": points["seed"], "value": points["value"], **logs})


def at_the_end(points: pd.DataFrame, quantity: str) -> pd.DataFrame:
    """Rows that a law is fitted to, and those of them that are missing: beyond all M."""
    rows = points[points["quantity"].eq(quantity) & points["share"].eq(1.0)]
    return rows[~rows["knob"].isin([OTHER, LENGTH])]


def scaling_tables(points: pd.DataFrame, main: Sections) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Tables `scaling` and `extrapolation`, from `points_table` and the main variant's sections."""
    fitted, foretold, start = [], [], values_of(main)
    grown = growth(points)
    for quantity in QUANTITIES:
        rows = at_the_end(points, quantity)
        law = fit(design(rows.dropna(subset=["value"])))
        if law is not None:
            fitted += [_fitted(quantity, law, knob, rows, start) for knob in law.factors]
        if quantity == "threshold" and grown is not None:
            fitted.append(_of_length(grown, law, points, start))
        if law is not None and main["task"].family == "linear" and is_plain(main):
            foretold += _of_paper(quantity, law, grown, start)
    return pd.DataFrame(fitted, columns=FITTED), pd.DataFrame(foretold, columns=FORETOLD)


def _fitted(quantity: str, law: PowerLaw, knob: str, rows: pd.DataFrame, start: Values) -> tuple:
    """A row of table `scaling`."""
    own = rows[rows["knob"].isin([knob, MAIN])] if knob != TASKS else rows
    known = own["value"].notna()
    value = own["knob_value"].fillna(start.get(knob, math.nan)) if knob != TASKS else own[AT]
    counts = (value[known].nunique(), int(known.sum()), int((~known).sum()))
    told = (start.get(knob, math.nan), law.constant, PAPER.get(knob, math.nan))
    return quantity, knob, *law.exponent(knob), *counts, *told


def _of_length(grown: Growth, law: PowerLaw | None, points: pd.DataFrame, start: Values) -> tuple:
    """The row of table `scaling` on the number of steps."""
    rows = points[points["quantity"].eq("threshold") & points["knob"].ne(OTHER)]
    known = rows["value"].notna()
    counts = (rows["share"].nunique(), int(known.sum()), int((~known).sum()))
    constant = law.constant if law else math.nan
    return "threshold", LENGTH, *grown.interval, *counts, start[LENGTH], constant, PAPER[LENGTH]


def _of_paper(quantity: str, law: PowerLaw, grown: Growth | None, start: Values) -> list[tuple]:
    """Rows of table `extrapolation`; none if the paper differs in what is no knob of the law."""
    found = []
    for num_tasks in (0.0,) if quantity == "threshold" else PAPER_TASKS:
        goal = {key: value for key, value in PAPER.items() if key != LENGTH}
        steps = None
        if quantity == "threshold":
            steps = PAPER[LENGTH]
        else:
            goal[TASKS] = num_tasks
        values = foretell(law, grown, goal, start | {TASKS: 1.0}, steps)
        if values is not None:
            found.append((quantity, num_tasks, *values))
    return found


def foretell(
    law: PowerLaw, grown: Growth | None, goal: Values, start: Values, steps: float | None = None
) -> Interval | None:
    """A quantity of one more run at other values than those at the start, after ``steps``.

    None if ``goal`` differs in what is no factor of the law. The spread of growth between trainings
    counts in full, as the new one has a growth of its own. Fewer degrees of freedom decide.
    """
    logs = {key: math.log(value / start[key]) for key, value in goal.items()}
    if any(log and key not in law.factors for key, log in logs.items()):
        return None
    value, variance = law.at(logs)
    freedom = law.freedom
    if steps is not None and steps != start[LENGTH]:
        if grown is None:
            return None
        longer = math.log(steps / start[LENGTH])
        value += grown.exponent * longer
        variance += grown.variance * (1 + 1 / grown.count) * longer**2
        freedom = min(freedom, grown.count - 1)
    ends = interval(value, math.sqrt(variance), freedom)
    return tuple(map(exponential, ends))


if __name__ == "__main__":
    ends_in_one_line(main)
