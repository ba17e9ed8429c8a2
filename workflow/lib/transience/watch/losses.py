"""Losses of the checkpoints of a run on test sets, of an evaluation or of `measure`."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

NAMES = ("training", "gaussian", "root")  # q_M, q_inf and q_1


@dataclass
class Losses:
    """Of the checkpoints of one run, as means over positions."""

    source: str = ""  # whose they are: what tells one training of a run from the next
    sequences: int = 0  # in each test set; 0: from tables
    by_step: dict[int, list[float]] = field(default_factory=dict)  # on NAMES; relative distance
    ridge: list[float] = field(default_factory=list)  # on NAMES
    dmmse: list[float] = field(default_factory=list)
    problem: str = ""  # why checkpoints can't be measured, in a line

    def columns(self) -> tuple[np.ndarray, np.ndarray]:
        """Steps (C,), ascending, and values (C, 4)."""
        steps = sorted(self.by_step)
        values = [self.by_step[step] for step in steps]
        return np.array(steps), np.array(values, float).reshape(len(steps), 4)


def of_tables(evaluation: Path, predictors: Path) -> Losses:
    """From the tables of an evaluation; InputError if they are damaged."""
    from transience.files.selections import mean_over_positions
    from transience.files.tables import read_table

    frames = read_table(evaluation, "evaluation"), read_table(predictors, "predictors")
    of_model, of_ideal = ([mean_over_positions(one, name) for name in NAMES] for one in frames)
    columns = [one.set_index("step")["loss"] for one in of_model]
    near = of_model[0].set_index("step")
    total = near["distance_to_dmmse"] + near["distance_to_ridge"]
    columns.append(near["distance_to_dmmse"] / total.where(total > 0))
    steps = columns[0].index
    rows = np.stack([one.reindex(steps).to_numpy(float) for one in columns], axis=1)
    ideal = {
        name: [float(one[one["predictor"] == name]["loss"].iloc[0]) for one in of_ideal]
        for name in ("ridge", "dmmse")
    }
    by_step = dict(zip(steps.astype(int).tolist(), rows.tolist(), strict=True))
    return Losses("tables", 0, by_step, **ideal)
