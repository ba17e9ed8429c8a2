"""Losses and LLCs: both verdicts of every claim."""

from collections.abc import Callable

import pytest
from claim_sweep import DIVERSITIES, INF, SEEDS, change, every, verdict, without

from transience.claims.claim import FAILS, NOT_TESTABLE


@pytest.mark.parametrize(
    ("claim", "spoil"),
    [
        (
            "loss_gap_shrinks",
            every(
                *(
                    change("predictors", "loss", m, lambda x: 2 - x, s)
                    for m in DIVERSITIES
                    for s in SEEDS
                )
            ),
        ),
        ("models_reach_predictors", change("evaluation", "loss", INF, 2.0)),
        ("models_reach_predictors", change("evaluation", "loss", 1, 0.2)),
        ("llc_rises", change("llc", "centred_llc", 64, 10.0)),
        ("llc_crosses_infinity", change("llc", "centred_llc", 1, 100.0)),
        (
            "llc_crosses_infinity",
            every(*(change("llc", "centred_llc", m, 70.0) for m in (8, 16, 64, 128))),
        ),
        ("llc_plateaus", every(*(change("llc", "centred_llc", 256, 200.0, s) for s in SEEDS))),
        ("llc_converges", change("llc", "centred_llc", 256, 200.0)),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_claim_fails_where_one_seed_says_otherwise(claim: str, spoil: Callable):
    assert verdict(claim, spoil) == FAILS


@pytest.mark.parametrize(
    ("claim", "spoil"),
    [
        ("models_reach_predictors", without(INF)),
        ("llc_crosses_infinity", without(INF)),
        ("llc_converges", without(INF)),
        ("llc_converges", without(256)),
        ("loss_gap_shrinks", without(16, 64, 128, 256)),
        (
            "loss_gap_shrinks",
            every(*(change("predictors", "loss", m, 1.0, s) for m in DIVERSITIES for s in SEEDS)),
        ),
        ("llc_plateaus", without(256)),
        ("llc_rises", change("llc", "diverged", 1, True)),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_claim_is_not_testable_where_the_sweep_lacks_what_it_needs(claim: str, spoil: Callable):
    assert verdict(claim, spoil) == NOT_TESTABLE
