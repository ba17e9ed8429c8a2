"""All claims, checked on the tables of a sweep."""

from __future__ import annotations

import pandas as pd

from transience.claims import behaviour, complexity, function_space, prediction
from transience.claims.claim import Claim
from transience.claims.sweep_tables import Sweep
from transience.files.selections import main_variant

MODULES = (behaviour, function_space, complexity, prediction)
CLAIMS = [one for module in MODULES for one in vars(module).values() if isinstance(one, Claim)]


def check(tables: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Table `claims` from the other tables of a sweep, main variant."""
    sweep = Sweep.of(tables, main_variant(tables["transient_ridge"]))
    return pd.DataFrame([claim.row(sweep) for claim in CLAIMS])
