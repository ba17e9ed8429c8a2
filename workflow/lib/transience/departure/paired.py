"""What an intervention does in the mean over seeds, with an interval (ours).

Where a variant changes the training alone, and not the batch size, a run and its control share
tasks, initial weights and batches, so a seed gives one difference, in which most of what seeds
differ by is gone. The interval is Student's t over seeds alone: that the best of many variants was
chosen widens nothing. `gain` is missing where a run does better on q_M than its control ever does.
"""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from transience.departure.power_law import Interval, interval

KEYS = ["variant", "num_tasks"]
DIFFERENCES = ("preserved", "gain")
RATIOS = {  # geometric means
    "loss_ratio": ("final_loss", "control_final_loss"),
    "ood_loss_ratio": ("final_ood_loss", "control_final_ood_loss"),
}
COLUMNS = [*KEYS, "quantity", "control", "num_seeds", "mean", "low", "high"]


def effects_table(interventions: pd.DataFrame) -> pd.DataFrame:
    """Table `intervention_effects` from table `interventions`."""
    rows = []
    for key, runs in interventions.groupby([*KEYS, "control"]):
        *names, control = key
        for quantity, values in _paired(runs).items():
            known = values[np.isfinite(values)]
            found = mean_and_interval(known)
            if quantity in RATIOS:
                found = tuple(np.exp(found))
            rows.append((*names, quantity, control, len(known), *found))
    return pd.DataFrame(rows, columns=COLUMNS)


def _paired(runs: pd.DataFrame) -> dict[str, np.ndarray]:
    """By quantity, a value for each seed (n,): as it is, or the log of a ratio."""
    found = {name: runs[name].to_numpy(float) for name in DIFFERENCES}
    for name, (own, control) in RATIOS.items():
        found[name] = np.log(runs[own].to_numpy(float) / runs[control].to_numpy(float))
    return found


def mean_and_interval(values: np.ndarray) -> Interval:
    """Mean of values (n,) and its 95 % interval by Student's t; NaN where n is too small."""
    count = len(values)
    mean = float(values.mean()) if count else math.nan
    error = float(values.std(ddof=1)) / math.sqrt(count) if count > 1 else math.nan
    return interval(mean, error, count - 1)
