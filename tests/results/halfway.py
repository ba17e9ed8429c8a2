"""M_1/2 and departures of sweeps that are kept here, for tests of several pages."""

import math

import numpy as np
import pandas as pd
from wording import reference

from transience.departure.observed import departures
from transience.departure.thresholds import thresholds_table


def thresholds_of(folder: str) -> pd.DataFrame:
    """Table of M_1/2 by variant, seed and share of training."""
    return thresholds_table(reference(folder, "evaluation"))


def threshold_at_the_end(folder: str) -> float:
    """M_1/2 of a sweep of one seed."""
    return thresholds_of(folder).query("share == 1")["value"].item()


def growth_exponent(rows: pd.DataFrame) -> float:
    """Slope of log M_1/2 in log steps, of one training's readings."""
    known = rows.dropna(subset=["value"])
    return float(np.polyfit(np.log(known["step"]), np.log(known["value"]), 1)[0])


def departure_bounds(folder: str, num_tasks: float) -> tuple[float, float]:
    """Last step before, and first after, a run left ridge."""
    found = departures(reference(folder, "evaluation")).set_index("num_tasks").loc[num_tasks]
    assert found["outcome"] == "left"
    return found["low"], found["high"]


def departure_step(folder: str, num_tasks: float) -> float:
    """Their geometric mean."""
    return math.sqrt(math.prod(departure_bounds(folder, num_tasks)))
