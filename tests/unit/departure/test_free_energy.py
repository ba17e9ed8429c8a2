"""The tables of predicted and observed departures, where the answers are known."""

import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from known_departures import DEPARTURES, GAPS, made_up, row_of, table_of, training

from transience.command.entry import ends_in_one_line
from transience.departure.free_energy import FreeEnergyReads, main, nats_of
from transience.files import tables

SETTINGS = {
    "experiment": "test",
    "task": {"task_dimension": 2, "num_examples": 16, "noise_variance": 0.125},
    "variants": {"baseline": {}},
}


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


def test_without_an_llc_there_is_what_was_observed():
    made = made_up()
    on, off = table_of(made), table_of(made | {"llc": made["llc"].iloc[:0]})
    observed = ["num_tasks", "seed", "estimate", "outcome", "departure_step", "observed_high"]
    assert off[[*observed, "delta_loss"]].equals(on[[*observed, "delta_loss"]])
    assert set(off["prediction"]) == {"missing", "reference"}
    assert off[["delta_llc", "predicted_samples"]].isna().all(axis=None)


def test_runs_without_a_departure_are_told_apart():
    table = table_of(made_up())
    stays, passed, reference = (row_of(table, m, 0) for m in (64.0, 1.0, math.inf))
    assert (stays["outcome"], stays["observed_low"], stays["observed_high"]) == (
        "stays", 320_000, math.inf,
    )  # fmt: skip
    assert (passed["outcome"], passed["observed_low"]) == ("passed_by", 0)
    assert (reference["outcome"], reference["prediction"]) == ("reference", "reference")
    for row in (stays, passed, reference):
        assert math.isnan(row["departure_step"]) and math.isnan(row["llc_difference_needed"])


def test_no_higher_llc_is_no_trade_off():
    table = table_of(made_up(lambda m, seed: -5.0 + 0.01 * m))
    finite = table[np.isfinite(table["num_tasks"])]
    assert set(finite["prediction"]) == {"no_trade_off"}
    assert (finite[["predicted_samples", "predicted_low"]] == 0).all(axis=None)


def test_an_interval_that_holds_no_difference_reaches_down_to_no_crossover():
    table = table_of(made_up(lambda m, seed: 100.0, error=50.0), {"baseline": 1.0})
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


def test_the_loss_is_in_nats_per_sequence():
    once, doubled = table_of(made_up()), table_of(made_up(), {"baseline": 128.0})
    expected = 2 * row_of(once, 8.0, 0)["delta_loss"]
    assert row_of(doubled, 8.0, 0)["delta_loss"] == pytest.approx(expected)
    own = {"long": {"task": {"num_examples": 32}}, "same": {"training": {"batch_size": 64}}}
    settings = FreeEnergyReads(**SETTINGS | {"variants": own})
    assert nats_of(settings) == {"long": 128.0, "same": 64.0}


def test_sequences_are_those_seen_also_where_the_batch_changes():
    """M = 8, seed 0 leaves between steps 900 and 1000: 500 of them in batches of 64 or of 8."""
    for batch_size in (64, 8):
        made = made_up()
        runs = made["training"].groupby(["variant", "num_tasks", "seed"]).groups
        keys = ("variant", "num_tasks", "seed")
        frames = [
            training(32, from_500_on=batch_size).assign(**dict(zip(keys, run, strict=True)))
            for run in runs
        ]
        row = row_of(table_of(made | {"training": pd.concat(frames)}), 8.0, 0)
        assert row["observed_low"] == 32 * 500 + batch_size * 400
        assert row["observed_high"] == 32 * 500 + batch_size * 500


def test_without_infinity_or_with_a_diverged_chain_the_prediction_is_missing():
    made = made_up()
    no_infinity = made | {"llc": made["llc"][np.isfinite(made["llc"]["num_tasks"])]}
    made["llc"].loc[made["llc"]["num_tasks"] == 8, ["diverged", "centred_llc"]] = [True, math.nan]
    for table, m in ((table_of(no_infinity), 16.0), (table_of(made), 8.0)):
        row = row_of(table, m, 0)
        assert row["prediction"] == "missing" and math.isnan(row["predicted_samples"])
        assert row["outcome"] == "left"


# The command


@pytest.mark.parametrize("diversities", [[1.0, 8.0, math.inf], [8.0], [math.inf]])
def test_the_command(tmp_path: Path, monkeypatch, diversities: list[float]):
    words = ["free_energy", "--settings", json.dumps(SETTINGS)]
    for name, frame in made_up(diversities=diversities).items():
        metadata = {"variant": "baseline", "num_tasks": ["1", "8"], "seed": [0, 1]}
        columns = tables.schemas()[name].columns
        fill = {"string": "", "bool": False}
        absent = {c.name: fill.get(c.dtype, 0) for c in columns if c.name not in frame}
        tables.write_table(tmp_path / name, name, frame.assign(**absent), metadata)
        words += [f"--{name}", str(tmp_path / name)]
    outputs = {name: tmp_path / name for name in ("free_energy", "free_energy_agreement")}
    for name, path in outputs.items():
        words += [f"--{name.replace('_', '-')}", str(path)]
    monkeypatch.setattr("sys.argv", words)
    ends_in_one_line(main)
    found = {name: tables.read_table(path, name) for name, path in outputs.items()}
    assert len(found["free_energy"]) == 2 * 2 * len(diversities)
    assert len(found["free_energy_agreement"]) == 2 * 5 * 2
    for path in outputs.values():
        assert tables.read_metadata(path)["settings"] == SETTINGS
