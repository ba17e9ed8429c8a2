"""Which interventions differ in strength and onset alone, and what they are called."""

import math

import numpy as np
import pandas as pd
import pytest

from transience.figures.doses import WORDS, doses, in_order, since, spans_a_decade, strength
from transience.training.settings import PhaseSettings

PLAIN = {
    "variant": "a", "kind": "weight_decay", "value": 0.1, "weight_decay_of": "all", "onset": 0,
    "release": math.nan, "steps": 100, "control_steps": 100, "control_t_crit": 40,
    "control_high": 60.0,
}  # fmt: skip


def runs(*changes: dict) -> pd.DataFrame:
    return pd.DataFrame([PLAIN | one for one in changes])


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, "weight decay"),
        ({"weight_decay_of": "mlp"}, "weight decay of MLPs"),
        ({"weight_decay_of": "all+attention"}, "weight decay of all+attention"),
        ({"kind": "fresh_fraction", "weight_decay_of": ""}, "share of new tasks"),
        ({"onset": 1000, "release": 5000.0}, "weight decay, 4,000 steps long"),
        ({"onset": 30, "steps": 50}, "weight decay, 20 steps long"),
        ({"onset": 30, "steps": 130}, "weight decay, 100 steps long"),
    ],
)
def test_series_are_told_by_what_is_changed_and_for_how_long(change, expected):
    assert doses(runs(change))["series"].tolist() == [expected]


def test_runs_that_end_each_at_an_alarm_have_no_common_length():
    assert {*doses(runs({"steps": 50}, {"steps": 70}))["series"]} == {"weight decay"}


@pytest.mark.parametrize(
    ("steps", "expected", "words"),
    [
        ([0, 0], "start", "from the start"),
        ([40, 30], r"$t_{crit}$", r"from $t_{crit}$"),
        ([60, 70], "departure", "from the departure"),
        ([2000, 2000], "2,000", "from step 2,000"),
        ([2000, 40], "40 to 2,000", "from step 40 to 2,000"),
    ],
)
def test_moments_are_those_of_the_controls_or_steps(steps, expected, words):
    own = [{"control_t_crit": 40, "control_high": 60.0}, {"control_t_crit": 30, "control_high": 70}]
    found = doses(runs(*(one | {"onset": step} for one, step in zip(own, steps, strict=True))))
    assert {*found["moment"]} == {expected}
    assert {*found["place"]} == {np.mean(steps)}
    assert since(expected) == words


def test_what_has_no_strength_is_left_out():
    rows = runs({"value": math.nan}, {"kind": "none"}, {"kind": "num_tasks+weight_decay"})
    assert doses(rows).empty and doses(rows.iloc[:0]).empty
    assert {"series", "moment", "place"} <= {*doses(rows.iloc[:0])}


def test_every_kind_of_a_phase_has_words():
    assert {*WORDS} <= {*PhaseSettings.model_fields}


def test_strengths_as_labels():
    assert strength("num_tasks", math.inf) == "∞" and strength("task_drift", 1e-4) == "0.0001"


@pytest.mark.parametrize(
    ("values", "expected"),
    [([0.01, 0.1], True), ([0.1, 0.3], False), ([0.0, 1.0], False), ([1.0, math.inf], False)],
)
def test_a_decade(values, expected):
    assert spans_a_decade(np.array(values)) is expected


def test_variants_stand_by_kind_then_by_moment_then_by_strength():
    named = {
        "none_a": {"kind": "none", "value": math.nan},
        "decay_late_3": {"onset": 60, "value": 0.3},
        "decay_late_10": {"onset": 60, "value": 1.0},
        "decay_early": {"value": 3.0},
        "decay_of_mlp": {"weight_decay_of": "mlp"},
        "alarm": {"kind": "fresh_fraction+stop_when", "value": math.nan},
        "fresh": {"kind": "fresh_fraction"},
    }
    found = in_order(runs(*({"variant": name} | one for name, one in named.items())))
    assert [*found.index] == [
        "fresh", "alarm", "none_a", "decay_early", "decay_late_3", "decay_late_10", "decay_of_mlp"
    ]  # fmt: skip
    assert found.loc["decay_late_3"].tolist() == ["weight_decay", "weight decay", "departure"]
    assert found.loc["none_a", ["series", "moment"]].isna().all()


def test_no_runs_have_no_order():
    assert in_order(runs().reindex(columns=[*PLAIN])).empty
