"""What a run did about ridge, its *outcome*, and when: between which checkpoints it left.

Whether its loss on new tasks fell and rose again, *transient*, is another question
(`transient_ridge`). A run can be transient and have passed ridge by: it turned towards ridge and
away again without coming near.
"""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from transience.files.selections import mean_over_positions
from transience.files.tables import RUN_KEYS

HALFWAY = 0.5  # relative distance: as far from dMMSE_M as from ridge
NEAR = 0.25  # distance to ridge, as a part of that at the start, of a run that has come near it
OUTCOMES = {  # all words for what became of a run, and no others
    "left": "came near ridge, ends nearer to dMMSE_M",
    "stays": "came near ridge, ends nearer to it",
    "passed_by": "never near ridge, ends nearer to dMMSE_M",
    "neither": "never near ridge, and not nearer to dMMSE_M at the end",
    "reference": "M = inf",
}


def t_crit(steps: np.ndarray, ood_loss: np.ndarray) -> int:
    """The step of the least loss on new tasks (paper, section 5), from arrays by checkpoint."""
    return int(steps[np.argmin(ood_loss)])


def relative_distance(frame: pd.DataFrame) -> np.ndarray:
    """d_dMMSE / (d_dMMSE + d_ridge) of rows of `evaluation`; NaN where both are 0."""
    dmmse, ridge = (frame[f"distance_to_{name}"].to_numpy() for name in ("dmmse", "ridge"))
    total = dmmse + ridge
    return np.divide(dmmse, total, out=np.full(len(frame), math.nan), where=total > 0)


def departure(steps: np.ndarray, relative: np.ndarray, to_ridge: np.ndarray) -> tuple:
    """Outcome of a run, and the bounds (low, high] of the step at which it leaves ridge (ours).

    Arrays by checkpoint: step, relative distance (1 at ridge), distance to ridge; on q_M. A run is
    *near ridge* where it is nearer to ridge than to dMMSE_M and its distance to ridge is at most
    `NEAR` of that at the start (an untrained model is about as far from both, so being nearer means
    nothing yet). ``low`` is the last checkpoint before it first falls below `HALFWAY` after that,
    ``high`` the first from which it stays below to the end; they differ by more than a checkpoint
    where the run hovers.

    Outcomes are those of `OUTCOMES`: for `stays` high is inf, for `passed_by` low is 0, for
    `neither` they are 0 and inf.
    """
    above = relative >= HALFWAY
    last = int(np.flatnonzero(above)[-1]) + 1 if above.any() else 0
    high = float(steps[last]) if last < len(steps) else math.inf
    arrived = np.flatnonzero(above & (to_ridge <= NEAR * to_ridge[0]))
    if not len(arrived):
        return ("passed_by" if math.isfinite(high) else "neither"), 0.0, high
    below = np.flatnonzero(~above)
    below = below[below > arrived[0]]
    low = float(steps[below[0] - 1] if len(below) else steps[-1])
    return ("left" if math.isfinite(high) else "stays"), low, high


def departures(evaluation: pd.DataFrame) -> pd.DataFrame:
    """`departure` of every run of table `evaluation`: `RUN_KEYS`, outcome, low and high in steps.

    Outcome `reference` for M = inf, without bounds.
    """
    rows = []
    on_own_tasks = mean_over_positions(evaluation, "training").sort_values("step")
    for run, frame in on_own_tasks.groupby(RUN_KEYS):
        found = ("reference", math.nan, math.nan)
        if math.isfinite(run[1]):
            steps, to_ridge = (frame[c].to_numpy() for c in ("step", "distance_to_ridge"))
            found = departure(steps, relative_distance(frame), to_ridge)
        rows.append((*run, *found))
    return pd.DataFrame(rows, columns=[*RUN_KEYS, "outcome", "low", "high"])
