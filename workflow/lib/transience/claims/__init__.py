"""The paper's claims (its sections 4 and 5), each as a function of a sweep's tables.

- `behaviour`: where models end, and whether ridge is transient
- `function_space`: trajectories and principal components
- `complexity`: losses and learning coefficients
- `prediction`: whether loss and complexity predict departures from ridge; not in the paper, ours

The paper names M at its own scale (D = 8). Here a claim is put in terms of the sweep's own M:
the *lowest*, the *intermediate* (finite, above the lowest), and infinity. Where a sweep has not
what a claim needs, the verdict is `not testable`.
"""

from __future__ import annotations

import pandas as pd

from transience.claims import behaviour, complexity, function_space, prediction
from transience.claims.sweep import Claim, Sweep

MODULES = (behaviour, function_space, complexity, prediction)
CLAIMS = [one for module in MODULES for one in vars(module).values() if isinstance(one, Claim)]


def check(tables: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Table `claims` from the other tables of a sweep: `baseline`, or its first variant."""
    variants = tables["transience"]["variant"].unique().tolist()
    sweep = Sweep.of(tables, "baseline" if "baseline" in variants else variants[0])
    return pd.DataFrame([claim.row(sweep) for claim in CLAIMS])
