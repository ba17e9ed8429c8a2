"""A calibration that never ran: a configured setting, and tables whose verdicts are known."""

import itertools
import math

import pandas as pd

from transience.complexity.calibration.grid import grid, step_size_bound
from transience.complexity.limits import MAX_STIFFNESS
from transience.complexity.settings import LLCSettings

CONFIGURED = LLCSettings(
    checkpoints=[0.5, "final"],
    step_size=2.0e-5,
    nbeta=400.0,
    gamma=2000.0,
    num_chains=2,
    num_draws=200,
    num_burn_in=100,
    batch_size=16,
    data_mode="fixed",
    num_sequences=32,
    lanczos_steps=8,
    lanczos_sequences=16,
)
# the curvature at which the configured ε is the bound
ALLOWED = (4 * MAX_STIFFNESS / CONFIGURED.step_size - CONFIGURED.gamma) / CONFIGURED.nbeta


def made_up(
    shift: dict[tuple[str, float], float] | None = None,
    *,
    num_tasks: tuple[float, ...] = (1.0, 8.0, math.inf),
    seeds: int = 2,
    spread: float = 0.1,
) -> pd.DataFrame:
    """A table llc_calibration in which M number i has the LLC 10 i, plus shift[setting, M]."""
    rows = []
    names = enumerate(num_tasks)
    for (i, m), seed, (name, s) in itertools.product(names, range(seeds), grid(CONFIGURED).items()):
        for chain in range(4):
            value = 10 * (i + 1) + (shift or {}).get((name, m), 0.0) + seed
            value += spread * (-1) ** chain * (1 + i)
            rows += [
                {"variant": "baseline", "num_tasks": m, "seed": seed, "step": step,
                 "setting": name, "chain": chain, "llc": value - s.nbeta / 100,
                 "centred_llc": value, "descent": s.nbeta / 100,
                 "loss_rise_fraction": 12.0 / s.nbeta, "acceptance": 0.9, "rhat": 1.01,
                 "ess": 300.0, "diverged": False, "flags": "", "step_size": s.step_size,
                 "nbeta": s.nbeta, "gamma": s.gamma, "num_burn_in": s.num_burn_in}
                for step in (1000, 25000)
            ]  # fmt: skip
    return pd.DataFrame(rows)


def made_up_curvature(calibration: pd.DataFrame, *, stiffest: float = 60.0) -> pd.DataFrame:
    """A table llc_curvature of the same checkpoints; the fourth has the stiffest."""
    runs = calibration[["variant", "num_tasks", "seed", "step"]].drop_duplicates()
    values = [stiffest - 1 - i for i in range(len(runs))]
    values[3] = stiffest
    return runs.assign(
        largest_curvature=values,
        remaining_curvature=values,
        sequences=16,
        stiffness=[CONFIGURED.stiffness(value) for value in values],
        step_size_bound=[step_size_bound(v, nbeta=400.0, gamma=2000.0) for v in values],
    )
