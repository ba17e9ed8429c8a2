"""What an evaluation measured, as the tables `evaluation`, `predictors` and `probe`."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch

from transience.evaluation.evaluate import DISTRIBUTIONS, MEASURES, EvaluationSet

PREDICTORS = ("dmmse", "ridge", "zero")


def evaluation_table(
    steps: Sequence[int], measures: np.ndarray, run: dict[str, Any]
) -> pd.DataFrame:
    """Table `evaluation` of measures (C, distributions, measures, K)."""
    frame = _by_position(measures, MEASURES)
    return frame.assign(**run, step=np.repeat(np.asarray(steps), len(frame) // len(steps)))


def predictors_table(sets: dict[str, EvaluationSet], run: dict[str, Any]) -> pd.DataFrame:
    """Table `predictors`: losses of dMMSE_M, ridge and 0 on the three test sets."""
    losses = [
        torch.stack([one.measure(p)[0] for p in (one.dmmse, one.ridge, torch.zeros_like(one.ys))])
        for one in (sets[distribution] for distribution in DISTRIBUTIONS)
    ]
    frame = _by_position(torch.stack(losses)[None].cpu().numpy(), PREDICTORS)
    index = ["distribution", "position"]
    return frame.melt(index, var_name="predictor", value_name="loss").assign(**run)


def probe_table(
    steps: Sequence[int], predictions: np.ndarray, probe: EvaluationSet, run: dict[str, Any]
) -> pd.DataFrame:
    """Table `probe`: predictions (C, B K) of the checkpoints, then those of dMMSE_M and ridge."""
    ideal = [probe.dmmse.flatten().cpu().numpy(), probe.ridge.flatten().cpu().numpy()]
    return pd.DataFrame(
        run
        | {
            "step": pd.array([*steps, None, None], dtype="Int64"),
            "predictor": [*[None] * len(steps), "dmmse", "ridge"],
            "predictions": [*predictions, *ideal],
        }
    )


def _by_position(values: np.ndarray, names: Sequence[str]) -> pd.DataFrame:
    """Long table of values (C, distributions, names, K), with the mean over positions as null."""
    num_checkpoints, _, _, num_examples = values.shape
    whole = np.concatenate([values, values.mean(axis=3, keepdims=True)], axis=3)
    columns = np.moveaxis(whole, 2, 0).reshape(len(names), -1)  # names, (C dist. K+1)
    position = np.tile(np.arange(num_examples + 1), num_checkpoints * len(DISTRIBUTIONS))
    distribution = np.tile(np.repeat(DISTRIBUTIONS, num_examples + 1), num_checkpoints)
    return pd.DataFrame(
        {
            "distribution": distribution,
            "position": pd.arrays.IntegerArray(position, position == num_examples),
            **dict(zip(names, columns, strict=True)),
        }
    )
