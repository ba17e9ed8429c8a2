"""Expectations of interventions: tables in which each holds, fails, and can't be told."""

import itertools
import math
from collections.abc import Sequence
from typing import Any

import pandas as pd
import pytest
from claim_sweep import SEEDS, made_up

from transience.claims import verdicts
from transience.claims.claim import FAILS, HOLDS, NOT_TESTABLE
from transience.files.tables import schemas

DIVERSITIES = (8.0, 16.0)
KEYS = ["num_tasks", "seed"]
# The control is at its best at step 100, leaves ridge between 400 and 500, and ends at step 1600
ROW = {
    "control": "baseline", "kind": "none", "value": math.nan, "weight_decay_of": "", "onset": 0,
    "release": math.nan, "verdict": "unchanged", "relapsed": False, "outcome": "left",
    "low": 400.0, "high": 500.0, "control_outcome": "left", "control_low": 400.0,
    "control_high": 500.0, "control_rate_time": 5.0, "control_t_crit": 100, "steps": 1600,
    "control_steps": 1600, "sequences": 1e5, "rate_time": 16.0, "seconds": 9.0, "final_loss": 1.0,
    "control_final_loss": 1.0, "least_ood_loss": 2.0, "final_ood_loss": 3.0,
    "control_least_ood_loss": 2.0, "control_final_ood_loss": 3.0, "rise": 0.5, "control_rise": 0.5,
    "preserved": 0.0, "gain": 0.0, "regret": 0.5, "ood_regret": 0.5, "above_front": 0.1,
    "control_least_above_front": 0.1,
}  # fmt: skip

Rows = Sequence[dict[str, Any]]


def variant(name: str, kind: str, value: float, **columns: Any) -> list[dict[str, Any]]:
    """Its runs: two M with two seeds. A column is one for all, or a list of the four."""
    runs = itertools.product(DIVERSITIES, SEEDS)
    columns |= {"variant": name, "kind": kind, "value": value}
    return [
        ROW
        | dict(zip(KEYS, run, strict=True))
        | {key: each[place] if isinstance(each, list) else each for key, each in columns.items()}
        for place, run in enumerate(runs)
    ]


def table(*variants: Rows) -> pd.DataFrame:
    """Table `interventions`."""
    rows = pd.DataFrame(list(itertools.chain(*variants)))
    return rows[[column.name for column in schemas()["interventions"].columns]]


def found(*variants: Rows) -> pd.DataFrame:
    """Claims of a sweep with these variants, by name."""
    rows = verdicts.check(made_up() | {"interventions": table(*variants)})
    assert not rows["this_sweep_shows"].str.contains(r"\bnan\b").any()
    return rows.set_index("claim")


def fresh(value: float, name: str = "fresh", **columns: Any) -> Rows:
    return variant(name, "fresh_fraction", value, **columns)


def rate(value: float, **columns: Any) -> Rows:
    return variant("rate", "learning_rate_factor", value, **{"onset": 100} | columns)


def drift(value: float, verdict: str | list[str], **columns: Any) -> Rows:
    columns |= {"verdict": verdict}
    return variant(f"drift_{value:g}", "task_drift", value, **columns)


def stages(value: float, **columns: Any) -> Rows:
    return variant("stages", "num_tasks", value, **{"release": 400.0} | columns)


def decay(value: float, name: str = "decay", **columns: Any) -> Rows:
    columns = {"weight_decay_of": "all"} | columns
    return variant(f"{name}_{value:g}", "weight_decay", value, **columns)


ONE_LESS = ["prevented", "prevented", "unchanged", "prevented"]
LATE = {"verdict": "rescued", "onset": 500}
COOL = {"steps": 200, "gain": [0.1, 0.2, 0.3, -0.1]}
AT_RIDGE = {"outcome": "stays", "verdict": "prevented", "low": 1600.0, "high": math.inf}

CASES = {
    "fresh_tasks_prevent": (
        [fresh(0.1, verdict="prevented")],
        [fresh(0.1, verdict=ONE_LESS)],
        [fresh(0.05, verdict="prevented")],
    ),
    "fresh_tasks_rescue": (
        [fresh(0.1, **LATE)],
        [fresh(0.1, **LATE | {"verdict": ["unchanged", *["rescued"] * 3]})],
        [fresh(0.1, **LATE | {"onset": 499})],
    ),
    "few_fresh_tasks_are_enough": (
        [fresh(0.01, preserved=[0.4, 0.4, 0.6, 0.6], final_loss=[1.0, 1.2, 1.0, 1.2])],
        [fresh(0.01, preserved=0.5, final_loss=1.11)],
        [fresh(0.01, preserved=math.nan)],
    ),
    "cooldown_beats_stopping": (
        [rate(0.0, **COOL)],
        [rate(0.0, **COOL | {"gain": [0.1, 0.2, 0.0, -0.1]})],
        [rate(0.0, **COOL | {"steps": 300})],
    ),
    "lower_rate_only_slows": (
        [rate(0.1, verdict=["slowed", "slowed", "unchanged", "slowed"])],
        [rate(0.1, verdict=["slowed", "delayed", "unchanged", "slowed"])],
        [rate(0.1, rate_time=4.0, **AT_RIDGE)],
    ),
    "drift_has_a_threshold": (
        [drift(1e-4, "unchanged"), drift(1e-3, "prevented"), drift(1e-2, "prevented")],
        [drift(1e-4, "prevented"), drift(1e-3, "prevented"), drift(1e-2, "prevented")],
        [drift(1e-4, "unchanged"), drift(1e-3, "unchanged")],
    ),
    "stages_up_end_lower": (
        [stages(4.0, final_ood_loss=3.0, final_loss=1.05)],
        [stages(4.0, final_ood_loss=[2.0, 2.0, 3.1, 2.0])],
        [stages(4.0, final_ood_loss=2.0, release=math.nan)],
    ),
    "diversity_first_delays": (
        [stages(64.0, low=900.0, high=1000.0)],
        [stages(64.0, low=[900.0, 890.0, 900.0, 900.0], high=1000.0)],
        [stages(64.0, release=1200.0, **AT_RIDGE)],
    ),
    "small_decay_preserves": (
        [decay(0.1, preserved=0.1), decay(0.3, preserved=-1.0)],
        [decay(0.1, preserved=[0.1, 0.1, 0.1, 0.0]), decay(0.3, preserved=1.0)],
        [decay(0.1, preserved=1.0, weight_decay_of="mlp")],
    ),
    "strong_decay_preserves_less": (
        [decay(0.01, preserved=0.9), decay(0.1, preserved=0.5), decay(0.3, preserved=-0.1)],
        [decay(0.01, preserved=0.1), decay(0.1, preserved=0.5), decay(0.3, preserved=-0.1)],
        [decay(0.01, preserved=0.9)],
    ),
    "one_window_is_enough": (
        [
            decay(0.3, preserved=0.5),
            decay(0.3, "early", preserved=0.4, release=400.0),
            decay(0.3, "late", preserved=0.1, onset=800, release=1200.0),
        ],
        [decay(0.3, preserved=0.5), decay(0.3, "early", preserved=0.39, release=400.0)],
        [decay(0.3, preserved=0.0), decay(0.3, "early", preserved=0.4, release=400.0)],
    ),
    "some_intervention_is_worth_it": (
        [fresh(0.1, gain=[0.11, 0.12, -1.0, 0.5]), decay(0.1, gain=0.01)],
        [fresh(0.1, gain=[0.11, 0.09, -1.0, 0.5]), decay(0.1, gain=0.01)],
        [drift(0.1, "prevented", gain=0.5), fresh(0.1, gain=math.nan)],
    ),
}


def test_there_is_a_case_for_each_claim():
    assert [*CASES] == [one.name for one in verdicts.CLAIMS if one.kind]


@pytest.mark.parametrize(
    ("claim", "verdict", "variants"),
    [
        (claim, verdict, variants)
        for claim, cases in CASES.items()
        for verdict, variants in zip((HOLDS, FAILS, NOT_TESTABLE), cases, strict=True)
    ],
)
def test_each_claim_holds_fails_and_cannot_be_told(claim: str, verdict: str, variants: list[Rows]):
    row = found(*variants).loc[claim]
    assert row["verdict"] == verdict, row["this_sweep_shows"]
    assert row["paper_says"].startswith("Not in the paper. ")
    assert len(row["this_sweep_shows"]) > 40


@pytest.mark.parametrize(
    ("claim", "variants"),
    [
        ("fresh_tasks_prevent", [fresh(0.1, verdict="prevented", release=400.0)]),
        ("fresh_tasks_prevent", [fresh(0.1, verdict="unchanged", control_outcome="stays")]),
        ("few_fresh_tasks_are_enough", [fresh(0.03, preserved=1.0)]),
        ("cooldown_beats_stopping", [rate(0.0, **COOL | {"onset": 90})]),
        ("cooldown_beats_stopping", [rate(0.1, **COOL)]),
        ("lower_rate_only_slows", [rate(0.1, verdict="rescued", control_high=100.0)]),
        ("lower_rate_only_slows", [rate(0.0, verdict="delayed")]),
        ("drift_has_a_threshold", [drift(0.5, "prevented")]),
        ("one_window_is_enough", [decay(0.1), decay(0.3, "window", release=400.0)]),
    ],
)
def test_what_a_claim_is_not_about_does_not_decide_it(claim: str, variants: list[Rows]):
    assert found(*variants).at[claim, "verdict"] == NOT_TESTABLE


@pytest.mark.parametrize(
    ("claim", "variants"),
    [
        ("few_fresh_tasks_are_enough", [fresh(0.01, preserved=0.49)]),
        ("lower_rate_only_slows", [rate(0.1, rate_time=5.0, **AT_RIDGE)]),
        ("drift_has_a_threshold", [drift(1e-3, "prevented"), drift(1e-2, "unchanged")]),
        ("drift_has_a_threshold", [drift(1e-2, "unchanged"), drift(0.1, "prevented")]),
        ("drift_has_a_threshold", [drift(0.1, "unchanged")]),
        ("stages_up_end_lower", [stages(4.0, final_ood_loss=2.0, final_loss=1.06)]),
        ("some_intervention_is_worth_it", [fresh(0.1, gain=[0.2, math.nan, 0.0, 0.0])]),
    ],
)
def test_other_ways_to_fail(claim: str, variants: list[Rows]):
    assert found(*variants).at[claim, "verdict"] == FAILS


def test_the_largest_share_counts():
    more, less = fresh(0.3, "more", verdict="prevented"), fresh(0.1, "less", verdict="unchanged")
    assert found(more, less).at["fresh_tasks_prevent", "verdict"] == HOLDS
    for rows in (more, less):
        for row in rows:
            row["value"] = 0.4 - row["value"]
    assert found(more, less).at["fresh_tasks_prevent", "verdict"] == FAILS


def test_numbers_stand_beside_the_verdict():
    claims = found(rate(0.0, **COOL), fresh(0.1, verdict=ONE_LESS))["this_sweep_shows"]
    said = claims["cooldown_beats_stopping"]
    assert said.startswith("3 of 4 runs end below the control's path; mean gain 0.125 (-0.")
    assert said.endswith("by seed: 0.1 / 0.2 (M = 8), 0.3 / -0.1 (M = 16).")
    assert claims["fresh_tasks_prevent"] == (
        "With a share of 0.1, prevented: 3 of 4 runs (M = 8, 16); unchanged: 1 of 4 runs (M = 16)."
    )
    assert "rate at M = 8" in claims["some_intervention_is_worth_it"]


def test_claims_stand_with_the_control_and_only_where_there_are_interventions_of_their_kind():
    assert {*found(fresh(0.1)).index[-4:]} == {
        *("fresh_tasks_prevent", "fresh_tasks_rescue", "few_fresh_tasks_are_enough"),
        "some_intervention_is_worth_it",
    }
    other = variant("four_layers", "none", math.nan)
    always = [one.name for one in verdicts.CLAIMS if one.kind is None]
    assert found(other).index.tolist() == always
    made, again = made_up(), made_up()
    both = {name: pd.concat([made[name], again[name].assign(variant="fresh")]) for name in made}
    rows = verdicts.check(both | {"interventions": table(fresh(0.1))})
    with_own = rows[~rows["claim"].isin(always)]
    assert {*with_own["variant"]} == {"baseline"} and len(with_own) == 4
