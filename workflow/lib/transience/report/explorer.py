"""Data of the report's explorer: joint trajectories, and how every checkpoint shown does."""

import json
import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import matplotlib.colors
import numpy as np
import pandas as pd
from markupsafe import Markup

from transience.figures.curves import smooth
from transience.figures.settings import MAIN, variant_shown
from transience.figures.style import RIDGE_COLOUR, DiversityScale
from transience.files.selections import mean_over_positions
from transience.problem.diversity import symbol

MAX_CHECKPOINTS = 7_000  # of all runs together, about 60 bytes each
LOSSES = {"training": "own", "gaussian": "ood"}
DISTANCES = {"distance_to_dmmse": "toDmmse", "distance_to_ridge": "toRidge"}  # on its own tasks
KEY = ["num_tasks", "step"]


class Look(NamedTuple):
    """How trajectories are drawn: the colours of M, and checkpoints in a moving average."""

    scale: DiversityScale
    window: int


def explorer(
    tables: Mapping[str, pd.DataFrame],
    window: int,
    *,
    first: str = MAIN,
    max_checkpoints: int = MAX_CHECKPOINTS,
) -> dict[str, Any]:
    """A plane for each (variant, seed): its runs, predictors and explained variance.

    Those of the variant ``first`` come first. Lines are smoothed over `window` checkpoints as in
    the figures, points never.

    Sweeps with more than `max_checkpoints` keep every run's first and last checkpoint and t_crit,
    and of the others so many as fit, evenly by rank. `shown` and `of` count what is left of all.
    """
    points = tables["trajectory_pca"]
    look = Look(DiversityScale.of(points["num_tasks"]), window)
    total = int(points["predictor"].isna().sum())
    share = min(1.0, max_checkpoints / max(total, 1))
    shown = variant_shown(first, points["variant"].unique())
    groups = sorted(points.groupby(["variant", "seed"]), key=lambda g: (g[0][0] != shown, g[0]))
    planes = [_plane(tables, *name, group, look, share) for name, group in groups]
    kept = sum(len(run["steps"]) for plane in planes for run in plane["runs"])
    return {"planes": planes, "ridge": RIDGE_COLOUR, "shown": kept, "of": total}


def _plane(
    tables: Mapping[str, pd.DataFrame],
    variant: str,
    seed: int,
    points: pd.DataFrame,
    look: Look,
    share: float,
) -> dict[str, Any]:
    explained, losses, t_crit = (
        frame[(frame["variant"] == variant) & (frame["seed"] == seed)]
        for frame in (
            tables["trajectory_pca_components"], _losses(tables["evaluation"]),
            tables["transient_ridge"],
        )
    )  # fmt: skip
    fractions = explained.groupby("component")["explained_variance_fraction"].first()
    names = [f"pc{number}" for number in fractions.index]
    critical = t_crit.set_index("num_tasks")["t_crit"]
    paths = points[points["predictor"].isna()].merge(losses, on=KEY, how="left")
    ridge = points[points["predictor"] == "ridge"]
    return {
        "variant": variant,
        "seed": int(seed),
        "explained": _numbers(fractions),
        "ridge": _numbers(ridge[names].mean()),
        "runs": [
            _run(num_tasks, path, points, names, look, critical.get(num_tasks), share)
            for num_tasks, path in paths.groupby("num_tasks")
        ],
    }


def _run(
    num_tasks: float,
    path: pd.DataFrame,
    points: pd.DataFrame,
    names: list[str],
    look: Look,
    t_crit: int | None,
    share: float,
) -> dict[str, Any]:
    path = path.sort_values("step").reset_index(drop=True)
    lines = {name: smooth(path[name], look.window) for name in names}
    path = _thinned(path, t_crit, share)
    dmmse = points[(points["predictor"] == "dmmse") & (points["num_tasks"] == num_tasks)]
    return {
        "m": symbol(num_tasks),
        "colour": matplotlib.colors.to_hex(look.scale.colour(num_tasks)),
        "infinite": math.isinf(num_tasks),
        "tCrit": None if t_crit is None else int(t_crit),
        "dmmse": [] if math.isinf(num_tasks) or dmmse.empty else _numbers(dmmse[names].iloc[0]),
        "steps": path["step"].astype(int).tolist(),
        "at": [_numbers(path[name]) for name in names],
        "line": [_numbers(lines[name][path.index]) for name in names] if look.window > 1 else None,
        **{name: _numbers(path[name]) for name in (*LOSSES.values(), *DISTANCES.values())},
    }


def _losses(evaluation: pd.DataFrame) -> pd.DataFrame:
    """Losses of each checkpoint on the run's own tasks and out of distribution, and distances."""
    own, ood = (
        mean_over_positions(evaluation, distribution).rename(columns={"loss": name} | DISTANCES)
        for distribution, name in LOSSES.items()
    )
    run = ["variant", "seed", *KEY]
    return own[[*run, "own", *DISTANCES.values()]].merge(ood[[*run, "ood"]], on=run)


def _thinned(path: pd.DataFrame, t_crit: int | None, share: float) -> pd.DataFrame:
    if share == 1:
        return path
    kept = max(2, int(share * len(path)))
    ranks = np.linspace(0, len(path) - 1, kept).round().astype(int)
    return path[np.isin(np.arange(len(path)), ranks) | (path["step"] == t_crit)]


def _numbers(values: Any) -> list[float | None]:
    """Four significant digits, as the page shows them; null where there is none."""
    return [float(f"{x:.4g}") if math.isfinite(x) else None for x in map(float, values)]


def as_script(data: Any) -> Markup:
    """JSON that may stand in a script element."""
    text = json.dumps(data, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return Markup(text.replace("<", "\\u003c"))
