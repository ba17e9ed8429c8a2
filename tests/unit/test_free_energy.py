"""Predicted and observed departures from ridge: closed forms, slow references, known answers."""

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import brentq
from scipy.stats import kendalltau

from transience import command, tables
from transience import free_energy as fe

Tables = dict[str, pd.DataFrame]
CONFIG = {
    "task": {"num_examples": 16, "noise_variance": 0.125},  # 64 nats per unit of loss
    "training": {"batch_size": 32},
    "variants": {"baseline": {}},
}


# The crossover


@pytest.mark.parametrize("ratio", [1 / math.e - 1e-6, 0.3, 1e-2, 1e-5, 1e-9])
def test_the_crossover_solves_its_equation_and_is_the_larger_root(ratio: float):
    n = float(fe.crossover(-2.0 * ratio, 2.0))
    assert math.log(n) / n == pytest.approx(ratio, rel=1e-9)
    assert n >= math.e
    slow = brentq(lambda x: math.log(x) / x - ratio, math.e, 1e14, rtol=1e-12)
    assert n == pytest.approx(slow, rel=1e-6)


def test_known_crossovers():
    assert float(fe.crossover(-1 / math.e, 1.0)) == pytest.approx(math.e, rel=1e-6)
    assert float(fe.crossover(-math.log(4) / 4, 1.0)) == pytest.approx(4)  # not 2, the other root
    assert float(fe.crossover(-math.log(1e5), 1e5)) == pytest.approx(1e5)


@pytest.mark.parametrize(("delta_loss", "delta_llc"), [(-1e-3, 5.0), (-0.2, 1.0), (-1.0, 400.0)])
def test_ridge_has_less_free_energy_before_the_crossover_and_more_after(delta_loss, delta_llc):
    n = float(fe.crossover(delta_loss, delta_llc))
    gap = [m * delta_loss + delta_llc * math.log(m) for m in (0.99 * n, 1.01 * n)]
    assert gap[0] > 0 > gap[1]


@pytest.mark.parametrize(
    ("delta_loss", "delta_llc", "expected", "word"),
    [
        (-1.0, 2.0, 0.0, "dmmse_at_once"),
        (-1.0, 0.0, 0.0, "no_trade_off"),
        (-1.0, -3.0, 0.0, "no_trade_off"),
        (0.0, 3.0, math.inf, "ridge_stays"),
        (0.1, -3.0, math.inf, "ridge_stays"),
        (-1.0, math.nan, math.nan, "missing"),
        (math.nan, 1.0, math.nan, "missing"),
    ],
)
def test_cases_without_a_crossover_have_a_name(delta_loss, delta_llc, expected, word):
    np.testing.assert_equal(float(fe.crossover(delta_loss, delta_llc)), expected)
    assert fe.prediction(8.0, delta_loss, delta_llc) == word
    assert fe.prediction(math.inf, delta_loss, delta_llc) == "reference"


def test_where_there_is_no_root_the_loss_outweighs_the_complexity_at_every_n():
    n = np.geomspace(1, 1e6, 1000)
    assert (-1.0 * n + 2.0 * np.log(n) < 0).all()
    assert fe.prediction(8.0, -1.0, 2.0) == "dmmse_at_once"


def test_the_crossover_grows_with_the_cost_and_keeps_to_their_ratio():
    costs = np.linspace(-5, 500, 2000)
    found = fe.crossover(np.full(2000, -1.0), costs)
    assert (np.diff(found) >= 0).all()
    np.testing.assert_allclose(fe.crossover(-3.0 * np.ones(2000), 3 * costs), found)


def test_the_needed_difference_puts_the_crossover_there():
    loss, n = np.array([-20.0, -0.5]), np.array([3e5, 40.0])
    np.testing.assert_allclose(fe.crossover(loss, fe.llc_difference_needed(loss, n)), n)
    assert np.isnan(fe.llc_difference_needed(loss, np.array([math.inf, 2.0]))).all()


# The departure

STEPS = np.array([0, 1, 10, 100, 200, 300, 400])
CLOSE = np.array([4.0, 4.0, 2.0, 0.9, 0.5, 0.5, 0.5])


@pytest.mark.parametrize(
    ("relative", "to_ridge", "expected"),
    [
        ([0.5, 0.5, 0.5, 0.6, 0.7, 0.4, 0.2], CLOSE, ("left", 200, 300)),
        ([0.5, 0.5, 0.5, 0.6, 0.4, 0.6, 0.4], CLOSE, ("left", 100, 400)),  # hovers
        ([0.5, 0.4, 0.4, 0.6, 0.7, 0.4, 0.2], CLOSE, ("left", 200, 300)),  # early noise is none
        ([0.5, 0.5, 0.5, 0.6, 0.7, 0.7, 0.7], CLOSE, ("stays", 400, math.inf)),
        ([0.5, 0.5, 0.5, 0.6, 0.4, 0.4, 0.5], CLOSE, ("stays", 100, math.inf)),  # just came back
        ([0.5, 0.5, 0.4, 0.3, 0.2, 0.1, 0.0], CLOSE, ("direct", 0, 10)),
        ([0.4, 0.4, 0.4, 0.3, 0.2, 0.1, 0.0], CLOSE, ("direct", 0, 0)),
        ([0.5, 0.5, 0.5, 0.6, 0.7, 0.4, 0.2], 4 + 0 * CLOSE, ("direct", 0, 300)),
        ([0.5, 0.5, 0.5, 0.6, 0.7, 0.7, 0.7], 4 + 0 * CLOSE, ("neither", 0, math.inf)),
    ],
)
def test_a_departure_lies_between_two_checkpoints_or_is_cut_off(relative, to_ridge, expected):
    assert fe.departure(STEPS, np.array(relative), to_ridge) == expected


def test_more_checkpoints_narrow_the_departure_and_do_not_move_it():
    for number in (20, 80, 320):
        steps = np.linspace(0, 1000, number)
        relative = 0.5 + 0.3 * np.cos(steps / 1000 * np.pi)  # halfway at step 500
        outcome, low, high = fe.departure(steps, relative, np.where(steps < 100, 4.0, 0.5))
        assert outcome == "left"
        assert low <= 500 <= high <= low + 1001 / (number - 1)


def test_an_untrained_model_that_is_far_from_both_is_not_at_ridge():
    noise = np.array([0.51, 0.51, 0.5, 0.51, 0.5, 0.51, 0.5])
    assert fe.departure(STEPS, noise, 4 + 0 * CLOSE)[0] == "neither"


# Order, with what was cut off


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
    order = fe.known_order(np.asarray(low, float), np.asarray(high, float))
    predicted = np.asarray(predicted, float)[None]
    return float(fe.concordance(predicted, order, np.ones_like(predicted))[0])


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
    weighted = fe.concordance(predicted[None], fe.known_order(low, low + 1e-9), counts[None])
    assert weighted[0] == pytest.approx(
        slow_concordance(predicted[copies], low[copies], low[copies] + 1e-9)
    )


# Tables with a known answer

DIVERSITIES = (1.0, 8.0, 16.0, 64.0, math.inf)
DEPARTURES = {8.0: 1000, 16.0: 4000, 64.0: None}  # steps; M = 1 never comes near, 64 stays
GAPS = {1.0: 0.9, 8.0: 0.3, 16.0: 0.2, 64.0: 0.1, math.inf: 0.0}
CHECKPOINTS = np.arange(0, 10_001, 100)


def right_difference(m: float, seed: int) -> float:
    """Δλ for which eq. 8 is right."""
    sequences = 32 * (DEPARTURES.get(m) or 20_000) * (1 + seed)
    return 64 * GAPS[m] * sequences / math.log(sequences) if m in DEPARTURES else 0.0


def made_up(difference: Callable[[float, int], float] = right_difference, error: float = 1.0):
    """Evaluation, predictors and LLC of two seeds; seed 1 departs at twice the step of seed 0."""
    frames: dict[str, list] = {"evaluation": [], "predictors": [], "llc": []}
    for m in DIVERSITIES:
        for seed in (0, 1):
            run = {"variant": "baseline", "num_tasks": m, "seed": seed}
            frames["evaluation"].append(evaluation(m, seed).assign(**run))
            losses = {"dmmse": 1 - GAPS[m], "ridge": 1.0, "zero": 4.0}
            for name, loss in losses.items():
                row = {"distribution": "training", "position": None, "predictor": name}
                frames["predictors"].append(pd.DataFrame([run | row | {"loss": loss}]))
            value = 100 + (0 if math.isinf(m) else difference(m, seed))
            spread = np.array([-1, -1, 1, 1]) * error * math.sqrt(3)  # standard error `error`
            frames["llc"].append(
                pd.DataFrame({"step": 10_000, "chain": range(4), "centred_llc": value + spread})
                .assign(**run, llc=value, diverged=False, flags="")
                .assign(**dict.fromkeys(["rhat", "ess", "descent", "distance", "acceptance"], 1.0))
                .assign(first_half_llc=1.0, second_half_llc=1.0, loss_rise_fraction=0.01)
            )
    return {name: pd.concat(each, ignore_index=True) for name, each in frames.items()}


def evaluation(m: float, seed: int) -> pd.DataFrame:
    leaves = DEPARTURES.get(m) or math.inf
    far = 1.0 if m == 1 else 0.1
    to_ridge = np.where(CHECKPOINTS < 300, 1.0, far)
    left = (300 if m == 1 else leaves * (1 + seed)) <= CHECKPOINTS
    return pd.DataFrame(
        {
            "step": CHECKPOINTS, "distribution": "training", "position": None, "loss": 1.0,
            "distance_to_ridge": to_ridge, "distance_to_dmmse": to_ridge * np.where(left, 0.5, 2),
        }
    )  # fmt: skip


def table_of(made: Tables, config: dict = CONFIG) -> pd.DataFrame:
    return fe.free_energy_table(made["evaluation"], made["predictors"], made["llc"], config)


def row_of(table: pd.DataFrame, m: float, seed: int, estimate: str = "centred_llc") -> pd.Series:
    chosen = (table["num_tasks"] == m) & (table["seed"] == seed) & (table["estimate"] == estimate)
    (row,) = (row for _, row in table[chosen].iterrows())
    return row


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("m", [8.0, 16.0])
def test_a_right_prediction_is_found(m: float, seed: int):
    row = row_of(table_of(made_up()), m, seed)
    step = DEPARTURES[m] * (1 + seed)
    assert (row["outcome"], row["departure_step"]) == ("left", step)
    assert (row["observed_low"], row["observed_high"]) == (32 * (step - 100), 32 * step)
    assert row["delta_loss"] == pytest.approx(-64 * GAPS[m])
    assert row["predicted_samples"] == pytest.approx(32 * step)
    assert row["predicted_low"] < row["predicted_samples"] < row["predicted_high"]
    assert row["llc_difference_needed"] == pytest.approx(row["delta_llc"])
    assert row["prediction"] == "crossover"
    assert (row["seeds_low"], row["seeds_high"]) == (
        32 * (DEPARTURES[m] - 100), 64 * DEPARTURES[m],
    )  # fmt: skip


def test_runs_without_a_departure_are_told_apart():
    table = table_of(made_up())
    stays, direct, reference = (row_of(table, m, 0) for m in (64.0, 1.0, math.inf))
    assert (stays["outcome"], stays["observed_low"], stays["observed_high"]) == (
        "stays", 320_000, math.inf,
    )  # fmt: skip
    assert (direct["outcome"], direct["observed_low"]) == ("direct", 0)
    assert (reference["outcome"], reference["prediction"]) == ("reference", "reference")
    for row in (stays, direct, reference):
        assert math.isnan(row["departure_step"]) and math.isnan(row["llc_difference_needed"])


def test_a_right_prediction_orders_all_departures():
    found = fe.agreement_table(table_of(made_up())).set_index(["estimate", "predictor", "scope"])
    row = found.loc[("centred_llc", "crossover", "all")]
    assert (row["rank_correlation"], row["low"], row["high"]) == (1, 1, 1)
    assert (row["num_runs"], row["num_pairs"]) == (8, 26)  # of 28; two pairs are cut off alike
    num_tasks = found.loc[("centred_llc", "num_tasks", "all")]
    assert num_tasks["rank_correlation"] == pytest.approx(24 / 26)  # the seeds of an M are equal
    assert math.isnan(found.loc[("llc", "num_tasks", "same_num_tasks"), "rank_correlation"])


def test_no_higher_llc_predicts_no_order_and_says_so():
    table = table_of(made_up(lambda m, seed: -5.0 + 0.01 * m))
    finite = table[np.isfinite(table["num_tasks"])]
    assert set(finite["prediction"]) == {"no_trade_off"}
    assert (finite[["predicted_samples", "predicted_low"]] == 0).all(axis=None)
    found = fe.agreement_table(table).query("scope == 'all' and estimate == 'centred_llc'")
    found = found.set_index("predictor")["rank_correlation"]
    assert found["crossover"] == 0
    assert found["llc_difference"] == pytest.approx(24 / 26)


def test_an_interval_that_holds_no_difference_reaches_down_to_no_crossover():
    table = table_of(made_up(lambda m, seed: 100.0, error=50.0), CONFIG | {
        "task": {"num_examples": 1, "noise_variance": 0.5}
    })  # fmt: skip
    row = row_of(table, 8.0, 0)
    assert row["delta_llc_low"] < 0 < row["delta_llc"]
    assert row["predicted_low"] == 0 < row["predicted_samples"] < row["predicted_high"] < math.inf


def test_intervals_are_those_of_students_t_and_get_narrower_with_the_error():
    narrow, wide = (row_of(table_of(made_up(error=e)), 8.0, 0) for e in (0.5, 5.0))
    together = 5.0 * math.sqrt(2)
    assert wide["delta_llc_high"] - wide["delta_llc"] == pytest.approx(3.182 * together, rel=1e-3)
    assert wide["predicted_high"] > narrow["predicted_high"] > narrow["predicted_samples"]


def test_one_chain_has_no_error_and_no_interval():
    made = made_up()
    made["llc"] = made["llc"][made["llc"]["chain"] == 0]
    row = row_of(table_of(made), 8.0, 0)
    assert math.isfinite(row["predicted_samples"]) and math.isnan(row["predicted_low"])
    assert fe.agreement_table(table_of(made))["rank_correlation"].notna().any()


def test_a_wider_error_of_the_llc_widens_the_interval_of_the_correlation():
    def width(error: float) -> float:
        found = fe.agreement_table(table_of(made_up(error=error)))
        row = found[found["predictor"] == "llc_difference"].iloc[0]
        return row["high"] - row["low"]

    assert width(3e5) > width(1.0)


def test_the_same_seed_gives_the_same_intervals():
    table = table_of(made_up(error=1e5))
    first, again, other = (fe.agreement_table(table, seed=s) for s in (0, 0, 1))
    pd.testing.assert_frame_equal(first, again)
    assert not first["low"].equals(other["low"])


def test_units_are_nats_per_sequence_and_sequences_seen():
    """Twice the nats per unit of loss needs twice the Δλ; twice the batch, twice the sequences."""
    once = table_of(made_up())
    config = CONFIG | {"task": {"num_examples": 32, "noise_variance": 0.125}}
    assert row_of(table_of(made_up(), config), 8.0, 0)["delta_loss"] == pytest.approx(
        2 * row_of(once, 8.0, 0)["delta_loss"]
    )
    own = {"baseline": {"training": {"batch_size": 64}}}
    doubled = row_of(table_of(made_up(), CONFIG | {"variants": own}), 8.0, 0)
    assert doubled["observed_high"] == 2 * row_of(once, 8.0, 0)["observed_high"]


def test_without_infinity_or_with_a_diverged_chain_the_prediction_is_missing():
    made = made_up()
    no_infinity = made | {"llc": made["llc"][np.isfinite(made["llc"]["num_tasks"])]}
    made["llc"].loc[made["llc"]["num_tasks"] == 8, ["diverged", "centred_llc"]] = [True, math.nan]
    for table, m in ((table_of(no_infinity), 16.0), (table_of(made), 8.0)):
        row = row_of(table, m, 0)
        assert row["prediction"] == "missing" and math.isnan(row["predicted_samples"])
        assert row["outcome"] == "left"
    assert set(fe.agreement_table(table_of(made))["num_runs"]) == {6, 8}  # M and Δℓ need no LLC


# The command


@pytest.mark.parametrize("num_tasks", [[1.0, 8.0, math.inf], [8.0], [math.inf]])
def test_the_command(made_up_sweep, tmp_path: Path, monkeypatch, num_tasks: list[float]):
    made = made_up_sweep(num_tasks, 2)
    words = ["free_energy", "--settings", tables.json.dumps(CONFIG)]
    for name in ("evaluation", "predictors", "llc"):
        path, metadata = tmp_path / name, {"variant": "baseline", "num_tasks": ["1", "8"]}
        tables.write_table(path, name, made[name], metadata | {"seed": [0, 1]})
        words += [f"--{name}", str(path)]
    outputs = {name: str(tmp_path / name) for name in ("free_energy", "agreement")}
    words += ["--free-energy", outputs["free_energy"], "--agreement", outputs["agreement"]]
    monkeypatch.setattr("sys.argv", words)
    command.run(fe.main)
    table = tables.read_table(outputs["free_energy"], "free_energy")
    assert len(table) == 2 * 2 * len(num_tasks)
    found = tables.read_table(outputs["agreement"], "free_energy_agreement")
    assert len(found) == 2 * 5 * 2
    assert tables.read_metadata(outputs["agreement"])["settings"] == CONFIG
