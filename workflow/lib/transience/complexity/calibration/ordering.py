"""Do other SGLD settings than the configured one put task diversities in another order?

For every pair of M the difference of their LLC (mean over seeds and chains) under the configured
setting is set beside that under each other setting of `calibrate`.

Errors are of two kinds. That of chains is for these models: chain c of every M of a seed has the
same noise and the same choice of minibatches, so differences are taken chain by chain. That of
seeds is for other models trained like these; with two seeds it is a rough one. An order counts as
reversed by the first, which is the stricter test of a setting.
"""

import itertools
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from transience.complexity.calibration.grid import CONFIGURED
from transience.files.tables import schemas

ESTIMATES = ("centred_llc", "llc")
RESOLVED = 2.0  # errors of chains by which a difference must be off 0 to count


def ordering_table(calibration: pd.DataFrame) -> pd.DataFrame:
    """Table `llc_ordering` from table `llc_calibration`; of one M alone there are no rows."""
    rows = []
    for (variant, step), group in calibration.groupby(["variant", "step"]):
        others = [name for name in group["setting"].unique() if name != CONFIGURED]
        for estimate, name in itertools.product(ESTIMATES, others):
            first, second = (_by_diversity(group, s, estimate) for s in (CONFIGURED, name))
            correlation = rank_correlation(first, second)
            keys = {"variant": variant, "step": step, "estimate": estimate, "setting": name}
            for pair in _pairs(first, second):
                rows.append(keys | pair | {"rank_correlation": correlation})
    columns = [column.name for column in schemas()["llc_ordering"].columns]
    return pd.DataFrame(rows, columns=columns)


def _by_diversity(group: pd.DataFrame, setting: str, estimate: str) -> dict[float, np.ndarray]:
    """Estimates (seeds, chains) of each M, ascending."""
    rows = group[group["setting"] == setting]
    grid = rows.pivot_table(
        index=["num_tasks", "seed"], columns="chain", values=estimate, dropna=False
    )
    return {m: part.to_numpy() for m, part in grid.groupby(level="num_tasks")}


def _pairs(
    first: dict[float, np.ndarray], second: dict[float, np.ndarray]
) -> Iterator[dict[str, Any]]:
    for low, high in itertools.combinations(first, 2):
        configured, other = (each[high] - each[low] for each in (first, second))
        difference, error, seed_error = _mean(configured)
        other_difference, other_error, other_seed_error = _mean(other)
        yield {
            "num_tasks": low,
            "other_num_tasks": high,
            "configured_difference": difference,
            "configured_error": error,
            "configured_seed_error": seed_error,
            "difference": other_difference,
            "error": other_error,
            "seed_error": other_seed_error,
            "order": _order((difference, error), (other_difference, other_error)),
        }


def _mean(values: np.ndarray) -> tuple[float, float, float]:
    """Mean of values (seeds, chains), its error from chains, and that from seeds (or NaN)."""
    seeds, chains = values.shape
    error = math.sqrt(values.var(axis=1, ddof=1).sum() / chains) / seeds
    means = values.mean(axis=1)
    seed_error = means.std(ddof=1) / math.sqrt(seeds) if seeds > 1 else math.nan
    return float(means.mean()), error, float(seed_error)


def _order(*both: tuple[float, float]) -> str:
    """How two differences, each with its error, are ordered; see table llc_ordering."""
    if any(math.isnan(difference) for difference, _ in both):
        return "missing"
    first, second = (difference >= 0 for difference, _ in both)
    if first == second:
        return "same"
    resolved = all(abs(difference) > RESOLVED * error for difference, error in both)
    return "reversed" if resolved else "unresolved"


def rank_correlation(first: dict[float, np.ndarray], second: dict[float, np.ndarray]) -> float:
    """Spearman's correlation over M of the means of estimates (seeds, chains); NaN if undefined."""
    means = pd.DataFrame([{m: each[m].mean() for m in first} for each in (first, second)])
    ranks = means.dropna(axis=1).rank(axis=1).to_numpy()
    varied = ranks.size and (ranks.std(axis=1) > 0).all()
    return float(np.corrcoef(ranks)[0, 1]) if varied else math.nan
