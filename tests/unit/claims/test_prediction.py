"""Departures, and what foretells them: both verdicts of every claim."""

import math
from collections.abc import Callable

import pytest
from claim_sweep import (
    Tables,
    change,
    made_up,
    verdict,
    without,
)

from transience.claims import verdicts
from transience.claims.claim import FAILS, NOT_TESTABLE


def no_order(made: Tables) -> None:
    made["free_energy_agreement"].loc[:, "low"] = -0.1


def no_better_for_sure(made: Tables) -> None:
    made["departure_prediction_scores"].loc[:, "advantage_low"] = -0.1


def no_predictions(made: Tables) -> None:
    made["departure_prediction_scores"] = made["departure_prediction_scores"].iloc[:0]


def no_known_order(made: Tables) -> None:
    made["free_energy_agreement"].loc[:, "rank_correlation"] = math.nan


@pytest.mark.parametrize(
    ("claim", "spoil"),
    [
        ("crossover_predicts_departures", change("free_energy", "predicted_high", 64, 50_000.0)),
        ("crossover_orders_departures", no_order),
        ("rational_model_predicts_unseen_departures", no_better_for_sure),
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
        ("rational_model_predicts_unseen_departures", no_predictions),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_claim_is_not_testable_where_the_sweep_lacks_what_it_needs(claim: str, spoil: Callable):
    assert verdict(claim, spoil) == NOT_TESTABLE


def test_the_better_law_is_named_whichever_it_is():
    made = made_up()
    rows = made["departure_prediction_scores"]
    of_law = rows["predictor"] == "rational_description_length"
    rows.loc[of_law, ["error", "log_probability", "advantage_low"]] = [0.9, -5.0, -4.0]
    table = verdicts.check(made).set_index("claim")
    text = table.at["rational_model_predicts_unseen_departures", "this_sweep_shows"]
    assert "Most probable: a power law of M; least error: a power law of M." in text
    assert text.endswith(
        "For seeds not seen a power law of M is better; errors of both are 0.90 and 0.20."
    )
    made["departure_prediction_scores"] = rows[rows["held_out"] != "seed"]
    text = verdicts.check(made).set_index("claim")["this_sweep_shows"]
    assert text["rational_model_predicts_unseen_departures"].endswith("there are none.")
