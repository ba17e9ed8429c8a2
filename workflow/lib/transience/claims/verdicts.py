"""All claims, checked on the tables of a sweep."""

from __future__ import annotations

import pandas as pd

from transience.claims import behaviour, complexity, function_space, interventions, prediction
from transience.claims.claim import Claim
from transience.claims.sweep_tables import Sweep

MODULES = (behaviour, function_space, complexity, prediction, interventions)
CLAIMS = [one for module in MODULES for one in vars(module).values() if isinstance(one, Claim)]


def check(tables: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Table `claims` from the other tables of a sweep, each claim for each variant it is about."""
    variants = sorted(tables["transient_ridge"]["variant"].unique())
    sweeps = {variant: Sweep.of(tables, variant) for variant in variants}
    return pd.DataFrame(
        {"variant": variant} | claim.row(sweep)
        for variant, sweep in sweeps.items()
        for claim in CLAIMS
        if claim.is_about(sweep)
    )
