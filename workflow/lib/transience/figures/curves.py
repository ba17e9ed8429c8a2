"""Curves over training: losses and distances, per M, with the seeds shown."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from transience.figures import style
from transience.figures.style import DiversityScale

Tables = dict[str, pd.DataFrame]


def by_seed(frame: pd.DataFrame, column: str) -> pd.DataFrame:
    """One M's curves as a table (steps, seeds)."""
    return frame.pivot(index="step", columns="seed", values=column)


def smooth(curve: pd.Series, window: int) -> pd.Series:
    """Centred running mean over `window` checkpoints, shorter at the ends; 1 changes nothing."""
    return curve if window == 1 else curve.rolling(window, center=True, min_periods=1).mean()


def smoothed_steps(steps: pd.Index | pd.Series, window: int) -> np.ndarray:
    """Steps at which `smooth` of a curve is drawn: the same mean, of log(1 + step).

    With the steps left as they are, two checkpoints that nearly coincide, one of each schedule,
    would make a cliff in the curve.
    """
    if window == 1:
        return np.asarray(steps)
    return np.expm1(smooth(pd.Series(np.log1p(steps)), window).to_numpy())


def draw_curves(
    axes: Axes, frame: pd.DataFrame, column: str, scale: DiversityScale, *, window: int
) -> None:
    """For each M: thin raw lines (or a band) for the seeds, and their smoothed mean."""
    for num_tasks, rows in frame.groupby("num_tasks"):
        draw_seeds(axes, by_seed(rows, column), scale.line(num_tasks), window=window)


def draw_seeds(axes: Axes, seeds: pd.DataFrame, look: dict[str, Any], *, window: int) -> None:
    """One table of curves (steps, seeds), with the arguments of its lines."""
    if seeds.shape[1] > style.MAX_SEEDS_APART:
        low, high = seeds.min(axis=1), seeds.max(axis=1)
        axes.fill_between(seeds.index, low, high, color=look["color"], alpha=0.15, linewidth=0)
    elif seeds.shape[1] > 1 or window > 1:
        axes.plot(seeds.index, seeds.to_numpy(), **look, linewidth=0.5, alpha=0.45)
    mean = smooth(seeds.dropna().mean(axis=1), window)
    axes.plot(smoothed_steps(mean.index, window), mean, **look)
