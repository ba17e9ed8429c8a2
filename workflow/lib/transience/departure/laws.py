"""What foretells when a run leaves ridge: the rational model, eq. 8, and M alone.

Each has at most three free numbers besides the standard deviation of log n, which all have. Priors
are weak and ours: exponents around 1 within 10, α and β anywhere between 0 and 1.
"""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from scipy.special import expit

from transience.departure.censored import Columns, Law
from transience.departure.rational import RIDGE_BITS, description_length, gamma_of, log_crossing

SCALE = (math.log(1e5), 10.0)  # prior of the log of a number of sequences
EXPONENT = (1.0, 5.0)
LOGIT = (0.0, 1.5)
OF_LAWS = (
    "gain",
    "mean_gain",
    "bits",
    "ridge_bits",
    "cost",
    "reference_cost",
    "no_cost",
    "log_num_tasks",
)
OF_LAWS += ("relative_num_tasks",)


def with_features(runs: pd.DataFrame, task_dimension: int) -> pd.DataFrame:
    """Rows of table `free_energy` of one variant, finite M, with what the laws need of them.

    `gain`: ΔL in nats per sequence; `mean_gain`: its mean over the seeds of an M. `bits`:
    description length of dMMSE_M. `cost` and `reference_cost`: λ̂ of the run and of M = inf, as
    complexities: at least 0. `log_predicted`: log n* of eq. 8. `log_num_tasks`, and
    `relative_num_tasks`: M by the mean M of the runs. `middle_...` are medians over runs.
    """
    with np.errstate(divide="ignore"):
        log_predicted = np.log(runs["predicted_samples"].to_numpy(float))
    runs = runs.assign(
        gain=-runs["delta_loss"],
        mean_gain=-runs.groupby("num_tasks")["delta_loss"].transform("mean"),
        bits=description_length(runs["num_tasks"].to_numpy(), task_dimension),
        ridge_bits=float(RIDGE_BITS),
        cost=runs["run_llc"].clip(lower=0),
        reference_cost=runs["reference_llc"].clip(lower=0),
        no_cost=0.0,
        log_predicted=log_predicted,
        log_num_tasks=np.log(runs["num_tasks"]),
        relative_num_tasks=runs["num_tasks"] / runs["num_tasks"].mean(),
    )
    return runs.assign(**{f"middle_{name}": runs[name].median() for name in OF_LAWS})


def _rational(dmmse: str, ridge: str, gain: str = "gain") -> Law:
    """The rational model of these columns; numbers: logits of α and β, log n in the middle.

    γ is told by the log n of a run with the median gain and complexities: it is then as good as
    independent of α and β. Where such a run has no trade-off, by the unit of `log_crossing`.
    """

    def unpacked(numbers: np.ndarray, columns: Columns) -> dict[str, np.ndarray]:
        alpha, beta = (expit(numbers[:, i, None]) for i in (0, 1))
        of_middle = (columns[f"middle_{name}"][:1] for name in (gain, dmmse, ridge))
        middle = log_crossing(*of_middle, alpha=alpha, beta=beta, log_unit=0.0)
        log_unit = numbers[:, 2, None] - np.where(np.isfinite(middle), middle, 0.0)
        return {"alpha": alpha, "beta": beta, "log_unit": log_unit}

    def predict(numbers: np.ndarray, columns: Columns) -> np.ndarray:
        of_runs = (columns[name] for name in (gain, dmmse, ridge))
        return log_crossing(*of_runs, **unpacked(numbers, columns))

    def report(numbers: np.ndarray, columns: Columns) -> dict[str, np.ndarray]:
        alpha, beta, log_unit = (each[:, 0] for each in unpacked(numbers, columns).values())
        return {"alpha": alpha, "beta": beta, "gamma": gamma_of(alpha, log_unit)}

    needs = (gain, dmmse, ridge)
    needs += tuple(f"middle_{name}" for name in needs)
    return Law(predict, needs, (LOGIT, LOGIT, SCALE), report)


def _line(column: str) -> Law:
    """log n linear in a column; numbers: log n in the middle, slope."""
    middle = f"middle_{column}"

    def predict(numbers: np.ndarray, columns: Columns) -> np.ndarray:
        return numbers[:, :1] + numbers[:, 1:] * (columns[column] - columns[middle])

    def report(numbers: np.ndarray, columns: Columns) -> dict[str, np.ndarray]:
        log_n, slope = numbers.T
        return {"c": np.exp(log_n - slope * columns[middle][0]), "a": slope}

    return Law(predict, (column, middle), (SCALE, EXPONENT), report)


def _constant_number(numbers: np.ndarray, columns: Columns) -> dict[str, np.ndarray]:
    return {"c": np.exp(numbers[:, 0])}


LAWS = {
    "rational_description_length": _rational("bits", "ridge_bits"),
    "rational_mean_gap": _rational("bits", "ridge_bits", "mean_gain"),
    "rational_llc": _rational("cost", "reference_cost"),
    "rational_llc_of_dmmse": _rational("cost", "no_cost"),
    "power_law": _line("log_num_tasks"),
    "exponential": _line("relative_num_tasks"),
    "constant": Law(lambda numbers, columns: numbers, (), (SCALE,), _constant_number),
    "equation_8": Law(lambda numbers, columns: columns["log_predicted"][None], ("log_predicted",)),
}
