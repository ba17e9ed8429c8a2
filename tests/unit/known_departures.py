"""Tables of a sweep whose departures from ridge are known, and by a right Δλ predicted as well."""

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd

from transience.departure.free_energy import free_energy_table

Tables = dict[str, pd.DataFrame]
NATS = {"baseline": 64.0}
DIVERSITIES = (1.0, 8.0, 16.0, 64.0, math.inf)
DEPARTURES = {8.0: 1000, 16.0: 4000, 64.0: None}  # steps; M = 1 never comes near, 64 stays
GAPS = {1.0: 0.9, 8.0: 0.3, 16.0: 0.2, 64.0: 0.1, math.inf: 0.0}
CHECKPOINTS = np.arange(0, 10_001, 100)


def right_difference(m: float, seed: int) -> float:
    """Δλ for which eq. 8 is right."""
    sequences = 32 * (DEPARTURES.get(m) or 20_000) * (1 + seed)
    return 64 * GAPS[m] * sequences / math.log(sequences) if m in DEPARTURES else 0.0


def made_up(
    difference: Callable[[float, int], float] = right_difference,
    error: float = 1.0,
    diversities: Sequence[float] = DIVERSITIES,
) -> Tables:
    """Tables of two seeds, in batches of 32; seed 1 departs at twice the step of seed 0."""
    frames: dict[str, list] = {"evaluation": [], "predictors": [], "llc": [], "training": []}
    for m in diversities:
        for seed in (0, 1):
            run = {"variant": "baseline", "num_tasks": m, "seed": seed}
            frames["evaluation"].append(evaluation(m, seed).assign(**run))
            frames["training"].append(training(32).assign(**run))
            losses = {"dmmse": 1 - GAPS[m], "ridge": 1.0, "zero": 4.0}
            for name, loss in losses.items():
                row = {"distribution": "training", "position": None, "predictor": name}
                frames["predictors"].append(pd.DataFrame([run | row | {"loss": loss}]))
            value = 100 + (0 if math.isinf(m) else difference(m, seed))
            spread = np.array([-1, -1, 1, 1]) * error * math.sqrt(3)  # standard error `error`
            frames["llc"].append(
                pd.DataFrame({"step": 10_000, "chain": range(4), "centred_llc": value + spread})
                .assign(**run, llc=value, diverged=False, flags="")
                .assign(**dict.fromkeys(["rhat", "ess", "descent", "distance", "acceptance"], 1.0))
                .assign(first_half_llc=1.0, second_half_llc=1.0, loss_rise_fraction=0.01)
            )
    return {name: pd.concat(each, ignore_index=True) for name, each in frames.items()}


def evaluation(m: float, seed: int) -> pd.DataFrame:
    """Mean rows on q_M of one run."""
    leaves = DEPARTURES.get(m) or math.inf
    far = 1.0 if m == 1 else 0.1
    to_ridge = np.where(CHECKPOINTS < 300, 1.0, far)
    left = (300 if m == 1 else leaves * (1 + seed)) <= CHECKPOINTS
    return pd.DataFrame(
        {
            "step": CHECKPOINTS, "distribution": "training", "position": None, "loss": 1.0,
            "distance_to_ridge": to_ridge, "distance_to_dmmse": to_ridge * np.where(left, 0.5, 2),
        }
    )  # fmt: skip


def training(batch_size: int, *, from_500_on: int | None = None) -> pd.DataFrame:
    """Rows of one run, with another batch size from step 500 on."""
    later = (from_500_on or batch_size) * (CHECKPOINTS - 500)
    sequences = np.where(CHECKPOINTS <= 500, batch_size * CHECKPOINTS, 500 * batch_size + later)
    columns = {"step": CHECKPOINTS, "sequences": sequences.astype(float)}
    return pd.DataFrame(columns).iloc[1:].assign(learning_rate=1.0, seconds=1.0)


def table_of(made: Tables, nats: Mapping[str, float] = NATS) -> pd.DataFrame:
    """Table `free_energy`."""
    sources = [made[name] for name in ("evaluation", "predictors", "llc", "training")]
    return free_energy_table(*sources, nats)


def row_of(table: pd.DataFrame, m: float, seed: int, estimate: str = "centred_llc") -> pd.Series:
    """The row of one run and form of the LLC."""
    chosen = (table["num_tasks"] == m) & (table["seed"] == seed) & (table["estimate"] == estimate)
    (row,) = (row for _, row in table[chosen].iterrows())
    return row
