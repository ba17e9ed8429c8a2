"""The least losses that can be had together on q_M and q_inf, as the table `front` (ours).

See `problem.mixture`: the best predictor for a part ε of new tasks, at every ε of a fixed grid, on
the test sets of the run.
"""

import numpy as np
import pandas as pd
import torch

from transience.evaluation.evaluate import EvaluationSet
from transience.problem.mixture import mixture
from transience.run import Run

LEAST, COUNT = 1e-6, 25  # of the ε between 0 and 1: their log odds are evenly spaced
SETS = ("training", "gaussian")


def fresh_fractions() -> np.ndarray:
    """The grid of ε (COUNT + 2,), ascending from 0 to 1 and symmetric about 1/2."""
    most = np.log((1 - LEAST) / LEAST)
    inside = 1 / (1 + np.exp(most * np.linspace(1, -1, COUNT)))
    return np.array([0.0, *inside, 1.0])


def front_table(sets: dict[str, EvaluationSet], run: Run) -> pd.DataFrame:
    """Table `front` of a run: loss of each predictor, mean over positions, on q_M and q_inf.

    ``sets`` are the test sets of `evaluate.evaluation_sets` for this run.
    """
    grid, tasks = fresh_fractions(), run.tasks()

    def losses(one: EvaluationSet) -> np.ndarray:
        predictions = mixture(
            one.xs, one.ys, tasks,
            noise_variance=run.task.noise_variance, family=run.task.family,
            fresh_fractions=grid.tolist(),
        )  # E B K  # fmt: skip
        squares = (predictions - one.ys).square()
        return torch.mean(squares, dim=(1, 2), dtype=torch.float64).cpu().numpy()

    found = {one: losses(one) for one in dict.fromkeys(sets[name] for name in SETS)}
    frames = [
        pd.DataFrame({"fresh_fraction": grid, "distribution": name, "loss": found[sets[name]]})
        for name in SETS
    ]
    return pd.concat(frames, ignore_index=True).assign(**run.keys)
