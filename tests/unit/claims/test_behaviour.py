"""Where models end, and the rise and fall of ridge: both verdicts of every claim."""

from collections.abc import Callable

import pytest
from claim_sweep import INF, SEEDS, change, every, made_up, verdict, without

from transience.claims import verdicts
from transience.claims.claim import FAILS, NOT_TESTABLE

UNDERTRAINED = change("transient_ridge", "final_ood_loss", INF, 1.6 * 1.6)


@pytest.mark.parametrize(
    ("claim", "spoil"),
    [
        ("low_ends_near_dmmse", change("transient_ridge", "relative_distance_at_end", 1, 0.4)),
        ("infinity_ends_near_ridge", change("transient_ridge", "final_ood_loss", INF, 1.3 * 1.6)),
        (
            "infinity_ends_near_ridge",
            change("transient_ridge", "root_distance_to_ridge_at_end", INF, 0.4),
        ),
        (
            "some_end_in_between",
            every(
                *(change("transient_ridge", "relative_distance_at_end", 8, 0.9, s) for s in SEEDS)
            ),
        ),
        (
            "ood_loss_rises_again",
            every(*(change("transient_ridge", "transient", m, False) for m in (8, 16, 64))),
        ),
        ("infinity_keeps_ridge", change("transient_ridge", "rise", INF, 1.06)),
        ("dip_deepens", change("transient_ridge", "least_ood_loss", 128, 4.0)),
        ("rise_fades", change("transient_ridge", "rise", 256, 3.0)),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_claim_fails_where_one_seed_says_otherwise(claim: str, spoil: Callable):
    assert verdict(claim, spoil) == FAILS


@pytest.mark.parametrize(
    ("claim", "spoil"),
    [
        ("infinity_ends_near_ridge", without(INF)),
        ("infinity_keeps_ridge", without(INF)),
        ("some_end_in_between", without(128)),
        ("rise_fades", without(64, 128, 256)),
        ("ood_loss_rises_again", without(8, 16, 64, 128)),
        ("dip_deepens", without(16, 64, 128)),
        ("low_ends_near_dmmse", change("evaluation", "loss", 1, 3.0)),
        ("infinity_ends_near_ridge", UNDERTRAINED),
        ("infinity_keeps_ridge", UNDERTRAINED),
        ("some_end_in_between", UNDERTRAINED),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_claim_is_not_testable_where_the_sweep_lacks_what_it_needs(claim: str, spoil: Callable):
    assert verdict(claim, spoil) == NOT_TESTABLE


def test_sentences_give_the_numbers_of_every_seed():
    made = made_up()
    change("transient_ridge", "rise", INF, 1.0432)(made)
    sentences = verdicts.check(made).set_index("claim")["this_sweep_shows"]
    assert sentences["infinity_keeps_ridge"].endswith("by seed: 1.01 / 1.04.")
    assert "1.3 / 1.3 (M = 8), 1.6 / 1.6 (M = 16)" in sentences["ood_loss_rises_again"]
    assert sentences["low_ends_near_dmmse"].endswith("in every seed: M = 1, 8, 16, 64.")
