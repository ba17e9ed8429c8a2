"""How predictors order departures: with what was cut off, and where the answer is known."""

import math

import numpy as np
import pandas as pd
import pytest
from known_departures import made_up, table_of
from scipy.stats import kendalltau

from transience.departure import agreement
from transience.departure.agreement import agreement_table, known_order, orderings


def slow_concordance(predicted: np.ndarray, low: np.ndarray, high: np.ndarray) -> float:
    score = pairs = 0
    for i in range(len(low)):
        for j in range(i):
            sure = 1 if low[i] >= high[j] else -1 if low[j] >= high[i] else 0
            if sure and not np.isnan(predicted[[i, j]]).any():
                pairs += 1
                score += sure * int(np.sign(predicted[i] - predicted[j]))
    return score / pairs if pairs else math.nan


def concordance(predicted, low, high) -> float:
    order = known_order(np.asarray(low, float), np.asarray(high, float))
    predicted = np.asarray(predicted, float)[None]
    return float(agreement.concordance(predicted, order, np.ones_like(predicted))[0])


def test_concordance_is_kendalls_tau_where_nothing_is_cut_off_or_equal():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 25))
    assert concordance(x, y, y + 1e-9) == pytest.approx(kendalltau(x, y).statistic)


def test_concordance_is_that_of_all_pairs_whose_order_is_sure():
    rng = np.random.default_rng(1)
    for _ in range(20):
        predicted = rng.integers(4, size=9).astype(float)
        predicted[rng.integers(9)] = math.nan
        low = rng.integers(10, size=9).astype(float)
        high = low + rng.integers(1, 6, size=9)
        high[rng.integers(9)] = math.inf
        expected = slow_concordance(predicted, low, high)
        assert concordance(predicted, low, high) == pytest.approx(expected, nan_ok=True)


def test_runs_cut_off_on_the_same_side_say_nothing_of_their_order():
    assert math.isnan(concordance([1, 2], [400, 400], [math.inf, math.inf]))
    assert math.isnan(concordance([1, 2], [0, 0], [10, 20]))
    assert concordance([1, 2], [0, 400], [10, math.inf]) == 1


def test_the_same_prediction_for_all_orders_nothing():
    assert concordance([0, 0, 0], [0, 2, 4], [1, 3, 5]) == 0


def test_a_weight_is_that_many_copies_of_a_run():
    rng = np.random.default_rng(2)
    predicted, low = rng.normal(size=(2, 6))
    counts = np.array([2, 0, 1, 3, 0, 1])
    copies = np.repeat(np.arange(6), counts)
    weighted = agreement.concordance(predicted[None], known_order(low, low + 1e-9), counts[None])
    assert weighted[0] == pytest.approx(
        slow_concordance(predicted[copies], low[copies], low[copies] + 1e-9)
    )


def test_orderings_are_greater_the_later_a_run_should_leave():
    found = orderings(np.array([-1.0, -2.0, 0.5]), np.array([[400.0, 400.0, 400.0]]))
    np.testing.assert_array_equal(found["ratio"], [[400, 200, math.inf]])
    np.testing.assert_array_equal(found["loss_gap"], [[-1, -2, 0.5]])
    np.testing.assert_array_equal(found["llc_difference"], [[400, 400, 400]])
    early, late = found["crossover"][0, [1, 0]]
    assert math.e < early < late < found["crossover"][0, 2] == math.inf
    missing = orderings(np.array([-1.0]), np.array([[math.nan]]))
    assert [name for name, values in missing.items() if not np.isnan(values).all()] == ["loss_gap"]


# The table


def test_a_right_prediction_orders_all_departures():
    found = agreement_table(table_of(made_up())).set_index(["estimate", "predictor", "scope"])
    row = found.loc[("centred_llc", "crossover", "all")]
    assert (row["rank_correlation"], row["low"], row["high"]) == (1, 1, 1)
    assert (row["num_runs"], row["num_pairs"]) == (8, 26)  # of 28; two pairs are cut off alike
    num_tasks = found.loc[("centred_llc", "num_tasks", "all")]
    assert num_tasks["rank_correlation"] == pytest.approx(24 / 26)  # the seeds of an M are equal
    assert math.isnan(found.loc[("llc", "num_tasks", "same_num_tasks"), "rank_correlation"])


def test_a_wider_error_of_the_llc_widens_the_interval_of_the_correlation():
    def width(error: float) -> float:
        found = agreement_table(table_of(made_up(error=error)))
        row = found[found["predictor"] == "llc_difference"].iloc[0]
        return row["high"] - row["low"]

    assert width(3e5) > width(1.0)


def test_the_same_seed_gives_the_same_intervals():
    table = table_of(made_up(error=1e5))
    first, again, other = (agreement_table(table, seed=s) for s in (0, 0, 1))
    pd.testing.assert_frame_equal(first, again)
    assert not first["low"].equals(other["low"])


def test_no_higher_llc_predicts_no_order_and_says_so():
    table = table_of(made_up(lambda m, seed: -5.0 + 0.01 * m))
    found = agreement_table(table).query("scope == 'all' and estimate == 'centred_llc'")
    found = found.set_index("predictor")["rank_correlation"]
    assert found["crossover"] == 0
    assert found["llc_difference"] == pytest.approx(24 / 26)


def test_one_chain_has_no_error_and_correlations_all_the_same():
    made = made_up()
    made["llc"] = made["llc"][made["llc"]["chain"] == 0]
    assert agreement_table(table_of(made))["rank_correlation"].notna().any()


def test_what_needs_no_llc_keeps_the_runs_whose_chains_diverged():
    made = made_up()
    made["llc"].loc[made["llc"]["num_tasks"] == 8, ["diverged", "centred_llc"]] = [True, math.nan]
    assert set(agreement_table(table_of(made))["num_runs"]) == {6, 8}  # M and Δℓ need no LLC
