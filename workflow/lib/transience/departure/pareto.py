"""How far predictors are from the best that can be had on q_M and q_inf at once (ours).

The reference is the table `front`: over ε, the predictors with the least mixed loss
(1-ε) · loss on q_M + ε · loss on q_inf, from dMMSE_M (ε = 0) to ridge (ε = 1).
"""

from __future__ import annotations

import numpy as np
import pandas as pd


def regrets(
    front: pd.DataFrame, training_loss: np.ndarray, gaussian_loss: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Loss on q_M less that of dMMSE_M, and loss on q_inf less that of ridge: (n,), (n,).

    Args:
        front: rows of table `front` of one run.
        training_loss: losses (n,) on q_M, in label².
        gaussian_loss: losses (n,) of the same predictors on q_inf, in label².
    """
    _, least = _front(front)
    return np.asarray(training_loss) - least[0, 0], np.asarray(gaussian_loss) - least[-1, 1]


def above_front(
    front: pd.DataFrame, training_loss: np.ndarray, gaussian_loss: np.ndarray
) -> np.ndarray:
    """By how much both losses could be lowered at once, (n,) in label²; 0 on the front (ours).

    The least over ε of the mixed loss of a predictor less that of the front. At every ε none has
    less than the front, so it is not negative but for the sampling noise of the test set, most of
    which cancels, as points and front share it. Losses that lie on or above all lines of equal
    mixed loss that touch the front can be had; lowering both by t lowers each mixed loss by t; so
    the least difference is the largest t. The greatest over ε would say nothing new: the
    difference is convex in ε, so its maximum is the larger of both `regrets`.

    The grid of ε makes it a little too large: the front is taken for the corner of two tangents
    between neighbours.

    Args:
        front: rows of table `front` of one run.
        training_loss: losses (n,) on q_M, in label².
        gaussian_loss: losses (n,) of the same predictors on q_inf, in label².
    """
    fractions, least = _front(front)
    weights = np.stack([1 - fractions, fractions])  # 2 E
    mixed = np.stack([training_loss, gaussian_loss], axis=1) @ weights  # n 2 @ 2 E -> n E
    return (mixed - (least * weights.T).sum(axis=1)).min(axis=1)


def _front(front: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """ε (E,), ascending, and losses (E, 2) on q_M and q_inf."""
    by_fraction = front.pivot(index="fresh_fraction", columns="distribution", values="loss")
    return by_fraction.index.to_numpy(), by_fraction[["training", "gaussian"]].to_numpy()
