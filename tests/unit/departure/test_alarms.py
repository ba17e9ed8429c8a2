"""Alarms of made-up runs: thresholds from the runs that set them, leads and costs by hand."""

import math

import numpy as np
import pandas as pd
import pytest
from made_up import made_up_sweep

from transience.departure.alarms import (
    DEVIATIONS,
    KNOWS,
    MARGIN,
    alarms_table,
    reference_runs,
    seen,
)
from transience.training.detectors import DETECTORS

INPUTS = ("evaluation", "training", "signals")


def made_up(num_tasks=(8.0, 64.0, math.inf), num_seeds=2) -> list[pd.DataFrame]:
    made = made_up_sweep(num_tasks, num_seeds)
    return [made[name] for name in INPUTS]


def outcomes(**by_run: str) -> pd.DataFrame:
    keys = [("baseline", float(m), int(s)) for m, s in (k[1:].split("_") for k in by_run)]
    index = pd.MultiIndex.from_tuples(keys, names=["variant", "num_tasks", "seed"])
    return pd.DataFrame({"outcome": [*by_run.values()]}, index=index)


def test_references_are_the_largest_and_infinity_of_the_first_seed():
    runs = outcomes(r8_1="left", r64_1="stays", rinf_1="reference", r64_2="stays", r128_2="stays")
    assert reference_runs(runs) == [("baseline", 64.0, 1), ("baseline", math.inf, 1)]
    assert reference_runs(outcomes(r8_0="left", r16_0="left")) == []
    assert reference_runs(outcomes(r8_0="left", rinf_0="reference"))[0][1] == math.inf


def log(values, **columns) -> pd.DataFrame:
    steps = 100 * np.arange(1, len(values) + 1)
    frame = pd.DataFrame({"step": steps, "batch_loss": 1.0, "ridge_loss": 1.0})
    return frame.assign(learning_rate=1e-3, projection=values, **columns)


def test_what_is_seen_is_the_number_and_the_sum():
    found = seen("projection", log([0.9, 0.4, 0.1, 0.8]))  # the first row's rate has just risen
    assert found["number"].tolist() == pytest.approx([math.nan, 0.4, 0.1, 0.8], nan_ok=True)
    assert found["sum"].tolist() == pytest.approx([0, 0.1, 0, 0.5])


def test_a_projection_counts_near_ridge_only():
    found = seen("projection", log([0.0, 0.9, 0.9]).assign(batch_loss=[1.0, 1.6, 1.4]))
    assert found["sum"].tolist() == pytest.approx([0, 0, 0.6])


def test_thresholds_are_those_of_the_reference_runs():
    evaluation, training, signals = made_up()
    table = alarms_table(evaluation, training, signals)
    assert len(table) == 6 * len(KNOWS)
    log = training.merge(signals).query("seed == 0 and num_tasks >= 64")
    numbers = {
        run: seen("below_ridge", rows.sort_values("step")) for run, rows in log.groupby("num_tasks")
    }
    setting = [run for run in numbers if run in set(table.loc[table["sets_it"], "num_tasks"])]
    late = np.concatenate([numbers[run]["number"].iloc[len(log) // 4 :] for run in setting])
    largest = max(numbers[run]["sum"].max() for run in setting)
    expected = max(MARGIN * largest, DEVIATIONS * np.nanstd(late, ddof=1))
    found = table.loc[table["detector"] == "below_ridge", "threshold"]
    assert found.nunique() == 1 and found.iloc[0] == pytest.approx(expected)
    assert not table.loc[table["sets_it"], "false_alarm"].any()


def test_leads_and_costs_are_those_of_the_first_checkpoint_from_the_alarm_on():
    evaluation, training, signals = made_up()
    table = alarms_table(evaluation, training, signals).dropna(subset="alarm")
    assert len(table)
    for row in table.itertuples():
        run = evaluation[
            (evaluation["num_tasks"] == row.num_tasks) & (evaluation["seed"] == row.seed)
            & evaluation["position"].isna()
        ]  # fmt: skip
        ood, own = (run[run["distribution"] == d].set_index("step")["loss"]
                    for d in ("gaussian", "training"))  # fmt: skip
        at = min(step for step in ood.index if step >= row.alarm)
        assert (row.ood_loss_at_alarm, row.loss_at_alarm) == (ood[at], own[at])
        assert row.least_ood_loss == ood.min() and row.lead_on_t_crit == row.t_crit - row.alarm
        assert math.isfinite(row.lead_on_departure) == (row.outcome == "left")
        assert not (row.false_alarm and row.outcome in ("left", "passed_by"))


def test_a_loss_that_rises_again_raises_the_alarm_of_the_test_set():
    table = alarms_table(*made_up()).set_index(["detector", "num_tasks", "seed"])
    found = table.loc["ood_loss"]
    assert found.loc[(8.0, 1), "alarm"] > found.loc[(8.0, 1), "t_crit"]
    assert math.isnan(found.loc[(math.inf, 1), "alarm"])


@pytest.mark.parametrize("num_tasks", [(8.0,), (math.inf,), (8.0, math.inf)])
def test_any_sweep_has_its_rows(num_tasks):
    table = alarms_table(*made_up(num_tasks, 1))
    assert len(table) == len(num_tasks) * (len(DETECTORS) + 1)
    if num_tasks == (8.0,):
        assert table["threshold"].isna().all() and table["alarm"].isna().all()
