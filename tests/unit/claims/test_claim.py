"""Claims and their numbers in words."""

import math

import pandas as pd
import pytest
from claim_sweep import made_up

from transience.claims.claim import (
    Finding,
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
        return Finding.of(sweep.finite[0] > 1, f"The lowest M is {sweep.finite[0]:g}.")

    assert pigs_fly.row(Sweep.of(made_up(), "baseline")) == {
        "claim": "pigs_fly",
        "paper_says": "Pigs fly.",
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
