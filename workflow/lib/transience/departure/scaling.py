"""How M_1/2, t_crit and the departure go with one setting each, and what that foretells (ours).

A variant counts if all that it changes are numbers of the task, the model or the training, all by
the same factor: they are one *knob*, named by the first (a model twice as wide in all its parts).
Of all knobs together a power law is fitted, by least squares in logarithms with a constant for each
seed, so that what one law does not say of a knob counts as error of all. Extrapolated, it tells
what to expect at the paper's size, where nothing of it was fitted.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from transience.command import flags, provenance
from transience.command.entry import ends_in_one_line
from transience.departure.agreement import CONFIDENCE
from transience.departure.observed import departures
from transience.departure.thresholds import thresholds_table
from transience.departure.variants import variant_section
from transience.files.tables import RUN_KEYS, read_metadata, read_table, write_table
from transience.model.settings import ModelSettings
from transience.problem.settings import TaskSettings
from transience.settings import Settings, main_variant
from transience.training.settings import TrainingSettings

SECTIONS = ("task", "model", "training")
LENGTH, TASKS = "training.num_steps", "num_tasks"
AT = "at_num_tasks"  # column: M of a run, 0 of a quantity that is of all
MAIN, OTHER = "", "other"  # in the place of a knob
QUANTITIES = ("threshold", "t_crit", "departure")
PAPER = {  # its settings, Appendix B, and M of which times are foretold
    "task.task_dimension": 8,
    "task.num_examples": 16,
    "task.noise_variance": 0.125,
    "model.width": 512,
    "model.num_layers": 2,
    "training.batch_size": 1024,
    "training.learning_rate": 3.0e-3,
    LENGTH: 150_000,
}
PAPER_TASKS = (32.0, 128.0, 512.0)
FITTED = ["quantity", "knob", "exponent", "low", "high", "num_values", "main_value", "paper_value"]
POINTS = ["quantity", "variant", AT, "seed", "step", "knob", "knob_value", "value", "low", "high"]
FORETOLD = ["quantity", AT, "value", "low", "high"]

Values = dict[str, float]  # by dotted key


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
    points = points_table(*tables, knobs(settings))
    made = (points, *scaling_tables(points, numbers(settings[main_variant(settings)])))
    metadata = provenance.of_sweep(args, [read_metadata(args.evaluation)])
    for name, table in zip(outputs, made, strict=True):
        write_table(getattr(args, name), name, table, metadata)


def scaling_tables(points: pd.DataFrame, start: Values) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Tables `scaling` and `extrapolation` from `points_table` and the main variant's numbers."""
    fitted, foretold = [], []
    for quantity in QUANTITIES:
        known = points[(points["quantity"] == quantity) & (points["knob"] != OTHER)]
        rows = design(known.dropna(subset=["value"]), start)
        if (law := fit(rows)) is None:
            continue
        fitted += [_fitted(quantity, knob, law, rows, start) for knob in law.knobs]
        of_time = quantity != "threshold"
        for num_tasks in PAPER_TASKS if of_time else (0.0,):
            goal = PAPER | {TASKS: num_tasks} | ({LENGTH: start[LENGTH]} if of_time else {})
            if (values := law.at(goal, start | {TASKS: 1.0})) is not None:
                foretold.append((quantity, num_tasks, *values))
    return pd.DataFrame(fitted, columns=FITTED), pd.DataFrame(foretold, columns=FORETOLD)


def numbers(sections: Mapping[str, Settings]) -> Values:
    """All numbers above 0 of sections, by dotted key."""
    each = _by_key(sections)
    return {key: value for key, value in each.items() if type(value) in (int, float) and value > 0}


def _by_key(sections: Mapping[str, Settings]) -> dict[str, Any]:
    return {
        f"{name}.{key}": value
        for name, section in sections.items()
        for key, value in section.model_dump().items()
    }


def knobs(settings: Mapping[str, Mapping[str, Settings]]) -> dict[str, tuple[str, float]]:
    """Knob of each variant and its value; `MAIN` of those that change nothing, else `OTHER`."""
    start = settings[main_variant(settings)]
    old, found = numbers(start), {}
    for variant, sections in settings.items():
        new, before = numbers(sections), _by_key(start)
        changed = [key for key, value in _by_key(sections).items() if value != before[key]]
        known = all(key in old and key in new for key in changed)
        factors = [new[key] / old[key] for key in changed] if known else []
        if not changed:
            found[variant] = (MAIN, math.nan)
        elif factors and all(math.isclose(factor, factors[0]) for factor in factors):
            found[variant] = (changed[0], new[changed[0]])
        else:
            found[variant] = (OTHER, math.nan)
    return found


@dataclass(frozen=True)
class PowerLaw:
    """Least squares of log quantity on logs of knobs, whose covariance is ``(p, p)``."""

    knobs: list[str]  # p - seeds of them; the other coefficients are constants of seeds
    coefficients: np.ndarray  # (p,)
    covariance: np.ndarray  # (p, p), NaN where no degree of freedom is left
    variance: float  # of the error
    freedom: int

    @property
    def quantile(self) -> float:
        """Of Student's t, for an interval of `CONFIDENCE`."""
        return float(stats.t.ppf((1 + CONFIDENCE) / 2, self.freedom)) if self.freedom else math.nan

    def exponent(self, knob: str) -> tuple[float, float, float]:
        """Exponent of a knob, and the ends of its interval; NaN where nothing is left over."""
        place = self.knobs.index(knob)
        value, error = self.coefficients[place], math.sqrt(self.covariance[place, place])
        return value, value - self.quantile * error, value + self.quantile * error

    def at(self, goal: Values, start: Values) -> tuple[float, float, float] | None:
        """The quantity of one more run with other values, and the ends of its interval.

        None if they differ from those at the start in what is no knob of the law.
        """
        ratios = {key: math.log(goal[key] / start[key]) for key in goal if goal[key] > 0}
        if any(ratio and key not in self.knobs for key, ratio in ratios.items()):
            return None
        seeds = len(self.coefficients) - len(self.knobs)
        point = np.array([*(ratios.get(key, 0.0) for key in self.knobs), *[1 / seeds] * seeds])
        middle = float(point @ self.coefficients)
        error = math.sqrt(point @ self.covariance @ point + self.variance)
        ends = (middle, middle - self.quantile * error, middle + self.quantile * error)
        return tuple(math.exp(min(end, math.log(1e300))) for end in ends)


def fit(rows: pd.DataFrame) -> PowerLaw | None:
    """Power law of rows with columns seed, value, and the log of each knob's factor.

    None where two or more knobs, or a knob and the seeds, can't be told apart.
    """
    logs = rows.drop(columns=["seed", "value"])
    logs = logs.loc[:, (logs != 0).any()]
    seeds = pd.get_dummies(rows["seed"]).to_numpy(float)
    design = np.hstack([logs.to_numpy(float), seeds])  # n p
    count, size = design.shape
    if logs.empty or np.linalg.matrix_rank(design) < size:
        return None
    target, freedom = np.log(rows["value"].to_numpy(float)), count - size
    coefficients, *_ = np.linalg.lstsq(design, target)
    rest = target - design @ coefficients
    variance = float(rest @ rest) / freedom if freedom else math.nan
    covariance = variance * np.linalg.inv(design.T @ design)
    return PowerLaw([*logs.columns], coefficients, covariance, variance, freedom)


def design(points: pd.DataFrame, start: Values) -> pd.DataFrame:
    """Rows for `fit` of rows of `points_table` of one quantity."""
    names = [name for name in points["knob"].unique() if name != MAIN]
    logs = {
        name: np.log((points["knob_value"] / start[name]).where(points["knob"] == name, 1.0))
        for name in names
    }
    if (points[AT] > 0).any():
        logs[TASKS] = np.log(points[AT])
    return pd.DataFrame({"seed": points["seed"], "value": points["value"], **logs})


def points_table(
    evaluation: pd.DataFrame,
    transient_ridge: pd.DataFrame,
    turned: Mapping[str, tuple[str, float]],
) -> pd.DataFrame:
    """Table `scaling_points`; ``turned`` is from `knobs`.

    Of variants like the main one M_1/2 counts at a part of training as at the end of a shorter one.
    The times of a longer training are those of a shorter one, so they don't count by its length.
    """
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
    ends = table.groupby("variant")["step"].transform("max")
    early = (table["quantity"] == "threshold") & (table["step"] < ends)
    as_shorter = early & (table["knob"] == MAIN)
    table.loc[as_shorter, "knob"] = LENGTH
    table.loc[as_shorter, "knob_value"] = table.loc[as_shorter, "step"].astype(float)
    return table[as_shorter | ~early][POINTS].reset_index(drop=True)


def _fitted(quantity: str, knob: str, law: PowerLaw, rows: pd.DataFrame, start: Values) -> tuple:
    """A row of table `scaling`."""
    told = (start.get(knob, math.nan), PAPER.get(knob, math.nan))
    values = rows[knob].nunique()  # 0, the main one's, is always among them
    return quantity, knob, *law.exponent(knob), values, *told


def _t_crit(transient_ridge: pd.DataFrame) -> pd.DataFrame:
    """t_crit of transient runs: of others it is that of a bound, or of chance."""
    rows = transient_ridge.query("transient and t_crit > 0 and num_tasks < inf")
    step = rows["t_crit"].astype(float)
    return rows[RUN_KEYS].assign(step=rows["t_crit"], value=step, low=step, high=step)


def _departure(evaluation: pd.DataFrame) -> pd.DataFrame:
    """Departure of runs that left: the geometric mean of its bounds."""
    rows = departures(evaluation).query("outcome == 'left' and low > 0")
    middle = np.sqrt(rows["low"] * rows["high"])
    return rows[[*RUN_KEYS, "low", "high"]].assign(step=rows["high"].astype(int), value=middle)


if __name__ == "__main__":
    ends_in_one_line(main)
