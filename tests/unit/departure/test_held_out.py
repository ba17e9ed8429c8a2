"""Departures of runs held out, where it is known which law made them."""

import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from known_departures import made_up, table_of

from transience.command.entry import ends_in_one_line
from transience.departure.censored import Law
from transience.departure.held_out import held_out_tables, main
from transience.departure.laws import LAWS
from transience.departure.rational import RIDGE_BITS, description_length, log_crossing
from transience.files import tables

DIMENSION = 4
BOTH = {name: LAWS[name] for name in ("rational_description_length", "power_law")}
POWER_LAW = {"power_law": LAWS["power_law"]}
LAST = 3e6  # sequences: the end of training
GAINS = {4.0: 60.0, 6.0: 9.0, 8.0: 40.0, 12.0: 6.0, 16.0: 30.0, 24.0: 4.0, 32.0: 18.0, 64.0: 2.0}
NUMBERS = {"alpha": 0.6, "beta": 0.5, "log_unit": 9.0}


def rational(m: float) -> float:
    """log n of the rational model; its gains go up and down, which M alone knows nothing of."""
    return float(log_crossing(GAINS[m], description_length(m, DIMENSION), RIDGE_BITS, **NUMBERS))


def power_law(m: float) -> float:
    return math.log(200) + 2.5 * math.log(m)


def free_energy(law, *, seeds: int = 2, error: float = 0.1, llc: bool = True) -> pd.DataFrame:
    """Table `free_energy` with departures by a law, known to 5 % or cut off by the end."""
    rng = np.random.default_rng(1)
    rows = []
    for m, gain in GAINS.items():
        for seed in range(seeds):
            n = math.exp(law(m) + error * rng.standard_normal())
            low, high = (n / 1.025, n * 1.025) if n < LAST else (LAST, math.inf)
            rows.append(
                {
                    "variant": "baseline", "num_tasks": m, "seed": seed, "estimate": "centred_llc",
                    "delta_loss": -gain, "predicted_samples": 0.0 if llc else math.nan,
                    "run_llc": 10 + m if llc else math.nan,
                    "reference_llc": 100.0 if llc else math.nan,
                    "outcome": "left" if n < LAST else "stays",
                    "observed_low": low, "observed_high": high,
                }
            )  # fmt: skip
    return pd.DataFrame(rows)


def predictions(table: pd.DataFrame, laws: dict[str, Law] = POWER_LAW) -> tuple[pd.DataFrame, ...]:
    return held_out_tables(table, {"baseline": DIMENSION}, laws)


def scores_of(table: pd.DataFrame, laws: dict[str, Law] = BOTH) -> pd.DataFrame:
    _, scores = predictions(table, laws)
    return scores[scores["scope"] == "all"].set_index(["held_out", "predictor"])


def numbers(text: str) -> dict[str, tuple[float, float, float]]:
    """Value and interval of each number told."""
    found = {}
    for part in text.split("), "):
        name, rest = part.split("=")
        value, rest = rest.rstrip(")").split(" (")
        found[name] = (float(value), *map(float, rest.split(" to ")))
    return found


def test_the_rational_model_is_found_and_predicts_better_where_it_is_true():
    found = scores_of(free_energy(rational))
    for scheme in ("num_tasks", "seed"):
        own = found.loc[(scheme, "rational_description_length")]
        assert own["advantage_low"] > 0
        assert own["error"] < found.loc[(scheme, "power_law"), "error"] / 2
        assert own["coverage"] >= 0.9
    told = numbers(own["numbers"])
    gamma = math.exp(-(1 - NUMBERS["alpha"]) * NUMBERS["log_unit"])
    for name, truth in (NUMBERS | {"gamma": gamma, "sigma": 0.1}).items():
        if name != "log_unit":
            value, low, high = told[name]
            assert low <= truth <= high and low < value < high, name
    assert told["alpha"][0] == pytest.approx(0.6, abs=0.1)


def test_the_power_law_is_found_and_predicts_better_where_it_is_true():
    found = scores_of(free_energy(power_law))
    for scheme in ("num_tasks", "seed"):
        assert found.loc[(scheme, "rational_description_length"), "advantage_high"] < 0
        own = found.loc[(scheme, "power_law")]
        assert own["error"] < found.loc[(scheme, "rational_description_length"), "error"]
    told = numbers(own["numbers"])
    assert told["a"][1] <= 2.5 <= told["a"][2] and told["a"][0] == pytest.approx(2.5, abs=0.2)
    assert told["c"][1] <= 200 <= told["c"][2]


def test_predictions_know_nothing_of_the_runs_held_out():
    table = free_energy(power_law)
    changed = table.copy()
    eight = changed["num_tasks"] == 8
    changed.loc[eight, ["observed_low", "observed_high"]] = [1e6, 1.1e6]
    columns = ["predicted_low", "predicted_samples", "predicted_high"]
    both = []
    for one in (table, changed):
        found, _ = predictions(one)
        rows = (found["num_tasks"] == 8) & (found["held_out"] == "num_tasks")
        both.append(found[rows & (found["predictor"] == "power_law")])
    np.testing.assert_allclose(both[0][columns], both[1][columns], rtol=0.05)  # drawn anew
    assert both[1]["error"].min() > 0.5 > both[0]["error"].max()


def test_what_is_cut_off_is_right_with_any_prediction_beyond():
    table = free_energy(power_law)
    far = table["num_tasks"] == 64
    table.loc[far, ["outcome", "observed_low", "observed_high"]] = ["stays", 1e5, math.inf]
    first = table["num_tasks"] == 4
    table.loc[first, ["outcome", "observed_low", "observed_high"]] = ["passed_by", 0, 1e5]
    found, scores = predictions(table)
    cut = found[found["num_tasks"].isin([4, 64]) & (found["predictor"] == "power_law")]
    assert len(cut) == 8 and (cut["error"] == 0).all() and cut["covered"].all()
    assert cut["log_probability"].between(-0.01, 1e-9).all()
    told = scores[(scores["predictor"] == "power_law") & (scores["held_out"] == "seed")]
    assert told.set_index("scope")["num_runs"].to_dict() == {"all": 16, "left": 12}


def test_a_run_nearer_to_dmmse_from_step_0_on_leaves_numbers_finite():
    """Found in a map of scale: its bounds are 0 and 0, whose logarithms made scores missing."""
    table = free_energy(power_law)
    first = table["num_tasks"] == 4.0
    table.loc[first, ["outcome", "observed_low", "observed_high"]] = "passed_by", 0.0, 0.0
    found, scores = predictions(table)
    assert np.isfinite(found[["error", "log_probability"]]).all(axis=None)
    assert np.isfinite(scores[["error", "error_low", "error_high"]]).all(axis=None)
    own = found[found["num_tasks"].eq(4.0) & found["held_out"].eq("num_tasks")]
    expected = np.log10(own["predicted_samples"].to_numpy())
    np.testing.assert_allclose(own["error"], expected)  # from one sequence


def test_a_run_that_says_nothing_of_its_departure_is_no_part_of_it():
    table = free_energy(power_law)
    table.loc[table["num_tasks"] == 8, ["outcome", "observed_low"]] = ["neither", 0.0]
    table.loc[table["num_tasks"] == 6, "outcome"] = "reference"
    found, _ = predictions(table)
    assert {6.0, 8.0}.isdisjoint(found["num_tasks"]) and len(found) == 2 * 12


def test_without_llcs_the_laws_that_need_none_are_compared():
    found = scores_of(free_energy(power_law, llc=False), LAWS)
    assert {name for _, name in found.index} == {
        "rational_description_length", "rational_mean_gap", "power_law", "exponential", "constant",
    }  # fmt: skip


@pytest.mark.parametrize("left", [[], [8.0], [8.0, 12.0]])
def test_few_departures_give_few_rows_and_no_failure(left: list[float], tmp_path: Path):
    """Each fit wants two runs that left: with those of one M, none of another can be predicted."""
    table = free_energy(power_law)
    others = ~table["num_tasks"].isin(left)
    table.loc[others, ["outcome", "observed_low", "observed_high"]] = ["stays", LAST, math.inf]
    made = predictions(table)
    for name, one in zip(
        ("departure_prediction", "departure_prediction_scores"), made, strict=True
    ):
        tables.write_table(tmp_path / name, name, one, {})
        assert len(tables.read_table(tmp_path / name, name)) == len(one)
    found = made[0]
    assert found["num_tasks"].isin(left).any() == (len(left) == 2)
    assert found.empty == (not left)


def test_one_m_and_one_seed_hold_nothing_out():
    table = free_energy(power_law)
    assert predictions(table[table["num_tasks"] == 8])[0].empty
    found, _ = predictions(free_energy(power_law, seeds=1))
    assert set(found["held_out"]) == {"num_tasks"}


# The command


@pytest.mark.parametrize("diversities", [[1.0, 8.0, 16.0, math.inf], [math.inf]])
def test_the_command(tmp_path: Path, monkeypatch, diversities: list[float]):
    settings = {
        "experiment": "test", "variants": {"baseline": {}},
        "task": {"task_dimension": 2, "num_examples": 16, "noise_variance": 0.125},
    }  # fmt: skip
    metadata = {"variant": "baseline", "num_tasks": ["1", "8"], "seed": [0, 1]}
    table = table_of(made_up(diversities=diversities))
    tables.write_table(tmp_path / "free_energy", "free_energy", table, metadata)
    names = ("free_energy", "departure_prediction", "departure_prediction_scores")
    words = ["held_out", "--settings", json.dumps(settings)]
    for name in names:
        words += [f"--{name.replace('_', '-')}", str(tmp_path / name)]
    monkeypatch.setattr("sys.argv", words)
    ends_in_one_line(main)
    found, scores = (tables.read_table(tmp_path / name, name) for name in names[1:])
    assert found.empty == scores.empty == (diversities == [math.inf])
    assert tables.read_metadata(tmp_path / names[1])["settings"] == settings
