"""Claims and their numbers in words."""

import math

import pandas as pd
import pytest
from claim_sweep import DIVERSITIES, INF, SEEDS, Tables, made_up

from transience.claims import verdicts
from transience.claims.claim import (
    FAILS,
    HOLDS,
    NOT_TESTABLE,
    Finding,
    along_text,
    by_m_text,
    claim,
    numbers_text,
    rank_correlation,
    tasks_text,
)
from transience.claims.sweep_tables import Sweep


def test_a_claim_is_a_row_of_the_table():
    @claim("Pigs fly.")
    def pigs_fly(sweep: Sweep) -> Finding:
        """The lowest M
        is above 1.
        """
        return Finding.of(sweep.finite[0] > 1, f"The lowest M is {sweep.finite[0]:g}.")

    assert pigs_fly.row(Sweep.of(made_up(), "baseline")) == {
        "claim": "pigs_fly",
        "paper_says": "Pigs fly.",
        "criterion": "The lowest M is above 1.",
        "this_sweep_shows": "The lowest M is 1.",
        "verdict": "fails",
    }
    assert Finding.not_testable("No pigs.") == Finding("No pigs.", "not testable")


def test_a_missing_number_or_none_at_all_is_no_verdict():
    frame = pd.DataFrame({0: [1.0, 2.0]})
    assert Finding.of_numbers(True, "A.", frame, [3.0]) == Finding("A.", "holds")
    assert Finding.of_numbers(False, "A.", frame) == Finding("A.", "fails")
    missing = Finding.of_numbers(True, "A.", frame, pd.Series([math.nan]))
    assert missing == Finding("A. Of these, some are missing.", "not testable")
    assert Finding.of_numbers(True, "A.", []).verdict == "not testable"


def test_numbers_are_put_into_words():
    assert (tasks_text([2.0, math.inf]), tasks_text([])) == ("M = 2, inf", "no M")
    assert numbers_text([1.2345, 100.0]) == "1.23 / 100"
    assert numbers_text([1.5, math.nan]) == "1.5 / missing"
    frame = pd.DataFrame({0: [1.2, 1.5], 1: [1.3, 1.4]}, index=[8.0, 16.0])
    assert by_m_text(frame) == "1.2 / 1.3 (M = 8), 1.5 / 1.4 (M = 16)"


def test_rank_correlation_is_spearmans():
    assert rank_correlation([1, 2, 3], [10, 11, 99]) == pytest.approx(1)
    assert rank_correlation([1, 2, 3, 4], [1, 2, 4, 3]) == pytest.approx(0.8)


# Verdicts along h*


def test_verdicts_are_told_by_method_and_h_star() -> None:
    found = {
        ("sgld", 0.1): HOLDS, ("sgld", 10.0): FAILS, ("sgld", 1.0): FAILS,
        ("quadrature", 0.1): NOT_TESTABLE,
    }  # fmt: skip
    assert along_text(found) == (
        " Along h*: by SGLD it holds at 0.1 and fails at 10, 1; "
        "by quadrature it can't be tested at 0.1."
    )
    assert along_text({}) == ""


def shows(tables: Tables, claim: str) -> str:
    return verdicts.check(tables).set_index("claim").at[claim, "this_sweep_shows"]


def test_a_claim_may_hold_at_one_h_star_and_fail_at_another() -> None:
    tables = made_up()
    curve = tables["llc_curve"]
    raised = (curve["num_tasks"] == INF) & (curve["h_star"] == 1.0)
    tables["llc_curve"] = curve.assign(llc=curve["llc"].where(~raised, 1000.0))
    assert shows(tables, "llc_crosses_infinity").endswith(
        " Along h*: by SGLD it holds at 0.1; by quadrature it holds at 0.1 and fails at 1."
    )


@pytest.mark.parametrize("claim", ["llc_rises", "llc_converges", "crossover_predicts_departures"])
def test_what_is_missing_on_the_curve_is_not_made_up(claim: str) -> None:
    tables = made_up()
    tables["llc_curve"] = tables["llc_curve"].assign(llc=float("nan"))
    assert "by quadrature it can't be tested at 1, 0.1." in shows(tables, claim)


def test_the_crossover_is_looked_at_along_the_curve() -> None:
    """n* = n where Δλ log n / n = -Δℓ, and the made-up runs leave after 1000 M samples."""
    tables = made_up()
    one = tables["free_energy"]["num_tasks"] == 16.0
    tables["free_energy"] = tables["free_energy"][one].assign(delta_loss=-9.68 / 16_000)
    values = dict.fromkeys(DIVERSITIES, 80.0) | {16.0: 81.0, INF: 80.0}
    curve = tables["llc_curve"]
    right = curve["num_tasks"].map(values).where(curve["h_star"] == 1.0, 80.0)
    tables["llc_curve"] = curve.assign(llc=right)
    assert len(tables["free_energy"]) == len(SEEDS)
    found = shows(tables, "crossover_predicts_departures")
    assert "by quadrature it holds at 1 and fails at 0.1." in found
