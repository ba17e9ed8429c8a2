"""What a page draws of a training: curves of few points, and a layout of plots (ours).

Points are means of what lies between edges that are denser at early steps, so that both a
logarithmic and a linear axis have some. Numbers have three digits.
"""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np

from transience.watch.watched import Watched

MOST_POINTS, LEAST_POINTS = 200, 40  # of a curve
BYTES = 2_300_000  # of all curves of a page
PER_POINT = 75  # bytes of a point of all curves of a run
# Of a run of the sweep: title, unit, scale, curves (key, name, colour), and constants. Colours are
# names in the page's style; x is `l` for logged steps, `t` for checkpoints on test sets.
SWEEP = [
    {
        "title": "Losses on test sets", "unit": "label²", "log": True, "small": True,
        "curves": [["t0", "on q_M", "own"], ["t1", "on q_∞", "new"], ["t2", "on q_1", "root"],
                   ["batch_loss", "batch", "faint"]],
        "constants": [["r1", "ridge on q_∞", "new"], ["d0", "dMMSE_M on q_M", "own"],
                      ["r2", "ridge on q_1", "root"]],
    },
    {
        "title": "Between ridge (0) and dMMSE_M (1)", "unit": "", "log": False, "small": True,
        "range": [-0.1, 1.1],
        "curves": [["projection", "projection", "own"], ["t3", "1 - relative distance", "root"]],
        "constants": [["zero", "", "faint"], ["one", "", "faint"]],
    },
    {
        "title": "Gradient variance", "unit": "", "log": True, "small": True,
        "curves": [["gradient_variance", "gradient variance", "own"]], "constants": [],
    },
    {
        "title": "Losses on its batches", "unit": "label²", "log": True,
        "curves": [["batch_loss", "model", "own"], ["ridge_loss", "ridge", "new"],
                   ["dmmse_loss", "dMMSE_M", "root"]],
        "constants": [],
    },
    {
        "title": "Off the line from ridge to dMMSE_M", "unit": "label²", "log": True,
        "curves": [["residual", "residual", "own"]], "constants": [],
    },
    {
        "title": "Gradient norm", "unit": "", "log": True,
        "curves": [["gradient_norm", "gradient norm", "own"]], "constants": [],
    },
    {
        "title": "Learning rate", "unit": "", "log": False,
        "curves": [["learning_rate", "learning rate", "own"]], "constants": [],
    },
]  # fmt: skip
COLOURS = ("own", "new", "root", "more", "faint")


def layout(one: Watched) -> list[dict[str, Any]]:
    """The plots of a training."""
    if not one.place.own_lines or one.course is None:
        return SWEEP
    header = one.course.header
    losses = [name for name in header.get("losses") or [] if name in one.course.values]
    references = [name for name in header.get("references") or {} if name in losses]
    shown = {name: COLOURS[min(i, 4)] for i, name in enumerate(losses)}
    key = _key_of_loop
    plots = [{
        "title": "Losses", "unit": "", "log": True, "small": True,
        "curves": [[key(name), name, colour] for name, colour in shown.items()],
        "constants": [[f"ref {name}", f"reference of {name}", shown[name]] for name in references],
    }]  # fmt: skip
    told = {"step", "time", "seconds", *losses}
    for name in [name for name in one.course.values if name not in told]:
        plots.append({
            "title": name, "unit": "", "log": False, "small": True,
            "curves": [[key(name), name, "own"]], "constants": [],
        })  # fmt: skip
    return plots


def _key_of_loop(name: str) -> str:
    """Key of a curve whose name was chosen by anyone: apart from our own, such as `l` and `t`."""
    return f"own {name}"


def curves(one: Watched, num_points: int) -> dict[str, Any]:
    """Points of all curves of a training: `l` and `t` are steps, and values have the keys above."""
    if one.course is None:
        return {}
    course, (steps, values) = one.course, one.losses.columns()
    found: dict[str, Any] = {}
    logged = _thinned(course.column("step"), num_points)
    at = np.array(course.values["step"])
    found["l"] = _numbers(_means(at, logged), 6)
    key, hidden = (_key_of_loop, ()) if one.place.own_lines else (str, ("sequences",))
    for name in course.values.keys() - {"step", "time", "seconds", *hidden}:
        found[key(name)] = _numbers(_means(course.column(name), logged))
    if len(steps):
        edges = _thinned(steps, num_points)
        found["t"] = _numbers(_means(steps, edges), 6)
        values[:, 3] = 1 - values[:, 3]  # as the projection runs
        values[:, 3] = math.nan if one.place.num_tasks == math.inf else values[:, 3]
        for number in range(4):
            found[f"t{number}"] = _numbers(_means(values[:, number], edges))
        found |= {f"r{i}": _number(value) for i, value in enumerate(one.losses.ridge)}
        found |= {f"d{i}": _number(value) for i, value in enumerate(one.losses.dmmse)}
    references = course.header.get("references") or {} if one.place.own_lines else {}
    found |= {f"ref {name}": _number(value) for name, value in references.items()}
    return found | {"zero": 0, "one": 1}


def points_each(num_runs: int) -> int:
    """Points of a curve, so that a page of so many runs is not too large."""
    return int(min(MOST_POINTS, max(LEAST_POINTS, BYTES / (PER_POINT * max(1, num_runs)))))


def as_json(value: Any) -> str:
    """JSON that may stand in a script element."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.replace("<", "\\u003c")


def _thinned(steps: np.ndarray, most: int) -> np.ndarray:
    """Edges of groups of indices (at most ``most`` of them), ascending, the last one apart."""
    count = len(steps)
    if count <= most:
        return np.arange(count + 1)
    early = np.geomspace(1, count - 1, most // 2)
    even = np.linspace(0, count - 1, most - most // 2)
    return np.unique([*np.round(early).astype(int), *np.round(even).astype(int), count])


def _means(values: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Mean of the known values of each group; NaN where there are none."""
    if len(edges) < 2:
        return np.zeros(0)
    known = np.isfinite(values)
    starts = edges[:-1]
    sums = np.add.reduceat(np.where(known, values, 0.0), starts)
    counts = np.add.reduceat(known.astype(float), starts)
    return np.divide(sums, counts, out=np.full(len(starts), math.nan), where=counts > 0)


def _numbers(values: np.ndarray, digits: int = 3) -> list[float | int | None]:
    return [_number(value, digits) for value in values.tolist()]


def _number(value: float, digits: int = 3) -> float | int | None:
    if not math.isfinite(value):
        return None
    number = float(f"{value:.{digits}g}")
    return int(number) if number == int(number) else number
