"""Orders of M under two settings, on tables whose orders are known."""

import math

import numpy as np
import pytest
from made_up_calibration import made_up

from transience.complexity.calibration.ordering import ordering_table, rank_correlation


def test_equal_orders_are_the_same() -> None:
    ordering = ordering_table(made_up())
    assert len(ordering) == 2 * 2 * 5 * 3  # steps, forms, other settings, pairs of M
    assert set(ordering["order"]) == {"same"}
    assert set(ordering["rank_correlation"]) == {1.0}


def test_a_reversed_pair_is_found_and_no_other() -> None:
    shift = {("fourfold_nbeta", 8.0): 25.0, ("fourfold_nbeta", 1.0): -1.0}
    ordering = ordering_table(made_up(shift))
    found = ordering[ordering["order"] == "reversed"]
    assert set(found["setting"]) == {"fourfold_nbeta"}
    assert set(zip(found["num_tasks"], found["other_num_tasks"], strict=True)) == {(8.0, math.inf)}
    assert len(found) == 4  # two steps, two forms
    row = found.iloc[0]
    assert (row["configured_difference"], row["difference"]) == pytest.approx((10.0, -15.0))
    assert row["rank_correlation"] == pytest.approx(0.5)


def test_a_reversal_within_the_errors_is_unresolved() -> None:
    ordering = ordering_table(made_up({("half_step_size", 8.0): 10.05}, spread=1.0))
    changed = ordering[ordering["order"] != "same"]
    assert set(changed["order"]) == {"unresolved"}
    assert set(changed["other_num_tasks"]) == {math.inf}


def test_errors_of_a_difference_are_of_chains_and_of_seeds() -> None:
    calibration = made_up(num_tasks=(1.0, 8.0))
    calibration.loc[(calibration["num_tasks"] == 8.0) & (calibration["seed"] == 1), "llc"] += 2.0
    row = ordering_table(calibration).query("estimate == 'llc'").iloc[0]
    # chains differ by ±0.1, so each of two seeds has an error of 0.2/√3/√4
    assert row["configured_error"] == pytest.approx(0.1 / math.sqrt(3) / math.sqrt(2))
    assert row["configured_seed_error"] == pytest.approx(1.0)
    assert row["configured_difference"] == pytest.approx(11.0)
    one = ordering_table(made_up(seeds=1))
    assert one["seed_error"].isna().all() and one["error"].notna().all()


def test_a_diverged_chain_leaves_its_orders_missing() -> None:
    calibration = made_up()
    bad = (calibration["setting"] == "quarter_nbeta") & (calibration["num_tasks"] == 8.0)
    calibration.loc[bad, ["llc", "centred_llc"]] = math.nan
    ordering = ordering_table(calibration)
    missing = ordering[ordering["order"] == "missing"]
    assert set(missing["setting"]) == {"quarter_nbeta"}
    assert len(missing) == 2 * 2 * 2  # steps, forms, pairs with M = 8


def test_rank_correlation_takes_means() -> None:
    one = {1.0: np.array([[1.0, 3.0]]), 2.0: np.array([[4.0, 4.0]]), 3.0: np.array([[9.0, 8.0]])}
    other = {1.0: np.array([[5.0]]), 2.0: np.array([[9.0]]), 3.0: np.array([[7.0]])}
    assert rank_correlation(one, other) == pytest.approx(0.5)
    assert math.isnan(rank_correlation({1.0: one[1.0]}, {1.0: other[1.0]}))
