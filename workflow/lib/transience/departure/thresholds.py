"""M_1/2: the task diversity at which a model ends halfway between dMMSE_M and ridge (ours).

At smaller M it has become dMMSE_M, at larger M it is still nearer to ridge. It grows while models
are trained, so it is read at shares of training too. Nothing asks how near a model is to either:
where it is far from both, as before it has learned anything, M_1/2 says little.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import pandas as pd

from transience.departure.observed import HALFWAY, relative_distance
from transience.files.selections import mean_over_positions

SHARES = (0.25, 0.5, 1.0)  # of training, at which it is read
AVERAGED = 0.125  # of the steps up to there: of their checkpoints distances are means
COLUMNS = ["variant", "seed", "share", "step", "value", "low", "high"]


def thresholds_table(evaluation: pd.DataFrame) -> pd.DataFrame:
    """M_1/2 of every variant and seed at `SHARES` of training, with bounds: `COLUMNS`.

    No row where runs of a seed end at different steps, or a share has no checkpoint.
    """
    on_own_tasks = mean_over_positions(evaluation, "training")
    finite = on_own_tasks[np.isfinite(on_own_tasks["num_tasks"])]
    finite = finite.assign(relative=relative_distance(finite)).dropna(subset=["relative"])
    rows = [
        (*key, *found)
        for key, runs in finite.groupby(["variant", "seed"])
        for found in _of_seed(runs)
    ]
    return pd.DataFrame(rows, columns=COLUMNS)


def _of_seed(runs: pd.DataFrame) -> Iterator[tuple]:
    """Share, step, threshold and its bounds."""
    ends = runs.groupby("num_tasks")["step"].max()
    if ends.nunique() > 1:
        return
    for share in SHARES:
        step = share * ends.iloc[0]
        late = runs[runs["step"].between((1 - AVERAGED) * step, step) & (runs["step"] > 0)]
        means = late.groupby("num_tasks")["relative"].mean()
        if len(means) == len(ends):
            found = threshold(means.index.to_numpy(), means.to_numpy())
            yield share, max(1, round(step)), *found


def threshold(num_tasks: np.ndarray, relative: np.ndarray) -> tuple[float, float, float]:
    """M_1/2 and the bounds (low, high) of it from relative distances (n,) at M (n,), ascending.

    ``low`` is the largest M nearer to dMMSE_M, 0 if there is none, ``high`` the next M, inf if
    there is none; between them the distance is linear in log M. NaN where a bound is missing.
    """
    nearer = np.flatnonzero(relative < HALFWAY)
    if not len(nearer):
        return math.nan, 0.0, float(num_tasks[0])
    last = nearer[-1]
    low = float(num_tasks[last])
    if last + 1 == len(num_tasks):
        return math.nan, low, math.inf
    high, (below, above) = float(num_tasks[last + 1]), relative[last : last + 2]
    part = (HALFWAY - below) / (above - below)
    return low * (high / low) ** part, low, high
