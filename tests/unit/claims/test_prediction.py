"""Departures, and what foretells them: both verdicts of every claim."""

import math
from collections.abc import Callable

import pytest
from claim_sweep import (
    Tables,
    change,
    verdict,
    without,
)

from transience.claims.claim import FAILS, NOT_TESTABLE


def no_order(made: Tables) -> None:
    made["free_energy_agreement"].loc[:, "low"] = -0.1


def no_known_order(made: Tables) -> None:
    made["free_energy_agreement"].loc[:, "rank_correlation"] = math.nan


@pytest.mark.parametrize(
    ("claim", "spoil"),
    [
        ("crossover_predicts_departures", change("free_energy", "predicted_high", 64, 50_000.0)),
        ("crossover_orders_departures", no_order),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_claim_fails_where_one_seed_says_otherwise(claim: str, spoil: Callable):
    assert verdict(claim, spoil) == FAILS


@pytest.mark.parametrize(
    ("claim", "spoil"),
    [
        ("crossover_predicts_departures", without(8, 16, 64, 128)),
        ("crossover_orders_departures", no_known_order),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_claim_is_not_testable_where_the_sweep_lacks_what_it_needs(claim: str, spoil: Callable):
    assert verdict(claim, spoil) == NOT_TESTABLE
