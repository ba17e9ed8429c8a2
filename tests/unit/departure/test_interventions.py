"""What became of a departure, on paths made up for each case."""

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from small import TRAINING

from transience.departure.course import Course
from transience.departure.interventions import (
    COMPARED,
    Path,
    compared,
    described,
    gain,
    interventions_table,
    preserved,
    verdict,
)
from transience.files.tables import schemas
from transience.training.settings import (
    BranchSettings,
    PhaseSettings,
    StopSettings,
    TrainingSettings,
)

STEPS = np.arange(0, 101, 10)


def course(rate: float = 1.0, end: int = 100) -> Course:
    rows = [(step, rate, 8.0 * step, step / 10) for step in range(1, end + 1)]
    return Course.of(pd.DataFrame(rows, columns=["step", "learning_rate", "sequences", "seconds"]))


CONTROL = Path(
    steps=STEPS,
    own=np.linspace(4.0, 1.0, 11),
    ood=np.array([4.0, 3.0, 2.0, 2.0, 2.2, 2.5, 3.0, 3.2, 3.4, 3.6, 4.0]),
    outcome="left",
    low=40.0,
    high=50.0,
    nearer_to_ridge=False,
    course=course(),
    regrets=(np.linspace(3.0, 0.0, 11), np.linspace(3.0, 1.0, 11)),
    above_front=np.array([1.0, 0.9, 0.5, 0.2, 0.3, 0.3, 0.3, 0.2, 0.2, 0.1, 0.15]),
)
FLAT = np.minimum(CONTROL.ood, np.where(STEPS > 10, 2.0, 9.0))
STAYS = replace(CONTROL, outcome="stays", low=100.0, high=math.inf, ood=FLAT)


@pytest.mark.parametrize(
    ("expected", "path"),
    [
        ("prevented", STAYS),
        ("stays, worse on new tasks", replace(STAYS, ood=CONTROL.ood)),
        ("delayed", replace(CONTROL, low=50.0, high=60.0)),
        ("slowed", replace(CONTROL, low=60.0, high=70.0, course=course(rate=0.5))),
        ("delayed", replace(CONTROL, low=60.0, high=70.0, course=course(rate=0.9))),
        ("hastened", replace(CONTROL, low=20.0, high=40.0)),
        ("unchanged", replace(CONTROL, low=40.0, high=60.0)),
        ("left, now passed_by", replace(CONTROL, outcome="passed_by", low=0.0, high=30.0)),
        ("stopped", replace(STAYS, steps=STEPS[:5], own=STAYS.own[:5], ood=FLAT[:5])),
    ],
)
def test_verdicts_on_a_control_that_left(expected, path):
    assert verdict(path, CONTROL, onset=20) == expected


@pytest.mark.parametrize(("nearer", "expected"), [(True, "rescued"), (False, "unchanged")])
def test_a_run_that_had_left_may_be_rescued(nearer, expected):
    assert verdict(replace(CONTROL, nearer_to_ridge=nearer), CONTROL, onset=50) == expected


def test_a_control_that_stays_has_nothing_to_prevent():
    assert verdict(STAYS, STAYS, 0) == "unchanged"
    assert verdict(CONTROL, STAYS, 0) == "stays, now left"


def test_what_is_preserved_is_the_part_of_the_rise_that_was_spared():
    assert preserved(STAYS, CONTROL) == pytest.approx(1.0)
    assert preserved(CONTROL, CONTROL) == 0.0
    assert preserved(replace(CONTROL, ood=CONTROL.ood - 0.5), CONTROL) == pytest.approx(0.25)
    assert math.isnan(preserved(CONTROL, STAYS))


def test_a_gain_is_below_what_stopping_early_buys():
    assert gain(CONTROL, CONTROL) == 0.0
    assert gain(STAYS, CONTROL) == pytest.approx(2.0)  # as good on q_M as the control's last
    stopped = replace(CONTROL, steps=STEPS[:3], own=CONTROL.own[:3], ood=CONTROL.ood[:3])
    assert gain(stopped, CONTROL) == 0.0
    assert gain(replace(STAYS, own=CONTROL.own + 1.0), CONTROL) == pytest.approx(3.2 - 2.0)
    assert math.isnan(gain(replace(STAYS, own=CONTROL.own - 1.0), CONTROL))


def test_a_relapse_is_a_departure_after_the_intervention():
    late = replace(CONTROL, low=70.0, high=80.0)
    what = {"onset": 20, "release": 60.0}
    assert compared(late, CONTROL, what)["relapsed"]
    assert not compared(late, CONTROL, what | {"release": 80.0})["relapsed"]
    assert not compared(late, CONTROL, what | {"release": math.nan})["relapsed"]
    assert tuple(compared(late, CONTROL, what)) == COMPARED


# What it was


def settings(*phases: dict, **changes) -> TrainingSettings:
    kinds = [PhaseSettings(**phase) for phase in phases]
    return TrainingSettings(**TRAINING, phases=kinds).model_copy(update=changes)


def test_phases_in_words():
    two = {"begin": 10, "end": 20, "fresh_fraction": 0.1}, {"begin": 30, "fresh_fraction": 0.2}
    found = described(settings(*two), 8, 0, 40)
    assert (found["kind"], found["value"], found["onset"]) == ("fresh_fraction", 0.2, 10)
    assert math.isnan(found["release"])
    assert described(settings(two[0]), 8, 100, 140)["onset"] == 110
    assert described(settings(two[0]), 8, 0, 40)["release"] == 20
    both = described(settings({"num_tasks": "inf", "weight_decay": 0.1}), 8, 0, 40)
    assert both["kind"] == "num_tasks+weight_decay" and math.isnan(both["value"])
    assert described(settings({"num_tasks": "inf"}), 8, 0, 40)["value"] == math.inf
    assert described(settings({"begin": 5}), 8, 0, 40)["kind"] == "none"


def test_stages_are_over_when_they_come_to_the_m_of_the_run():
    up = settings({"num_tasks": 4}, {"begin": 10, "num_tasks": 16}, {"begin": 20, "num_tasks": 64})
    found = described(up, 64, 0, 40)
    assert (found["kind"], found["value"], found["release"]) == ("num_tasks", 16, 20)
    assert math.isnan(described(up, 8, 0, 40)["release"])
    assert described(settings({"num_tasks": 8}), 8, 0, 40)["kind"] == "none"


def test_the_weights_that_decay_are_named():
    attention = {"weight_decay": 0.1, "weight_decay_of": "attention"}
    found = described(settings({"weight_decay": 0.1}, {"begin": 10} | attention), 8, 0, 40)
    assert found["weight_decay_of"] == "all+attention"
    assert described(settings(attention), 8, 0, 40)["weight_decay_of"] == "attention"
    assert described(settings({"fresh_fraction": 0.1}), 8, 0, 40)["weight_decay_of"] == ""


def test_an_alarm_that_ended_a_run_is_an_intervention_from_there_on():
    alarm = {"detector": "below_ridge", "threshold": 1.0, "cooldown_steps": 5}
    stops = settings().model_copy(update={"stop_when": StopSettings(**alarm)})
    found = described(stops, 8, 0, 30)
    assert (found["kind"], found["onset"]) == ("stop_when", 25)
    assert math.isnan(found["value"]) and math.isnan(found["release"])
    assert described(stops, 8, 0, stops.num_steps)["kind"] == "none"  # it never came
    early = stops.model_copy(update={"phases": settings({"begin": 10, "weight_decay": 0.1}).phases})
    assert described(early, 8, 0, 30) | {"value": 0} == {
        "kind": "weight_decay+stop_when", "value": 0, "weight_decay_of": "all", "onset": 10,
        "release": pytest.approx(math.nan, nan_ok=True),
    }  # fmt: skip


# The table


def tables(variants: dict[str, np.ndarray]) -> tuple[pd.DataFrame, ...]:
    """Runs of M = 8 and ∞ with these relative distances, the same for each M.

    The front has two points: (1, 1.6) and (1.5, 1).
    """
    evaluation, training, front = [], [], []
    for variant, relative in variants.items():
        for num_tasks in (8.0, math.inf):
            keys = {"variant": variant, "num_tasks": num_tasks, "seed": 0}
            frame = pd.DataFrame(
                {
                    "step": STEPS,
                    "position": pd.NA,
                    "loss": 2.0 - relative,
                    "distance_to_dmmse": relative,
                    "distance_to_ridge": np.where(STEPS > 0, 1 - relative, 4.0),
                }
            )
            both = [frame.assign(distribution=name, **keys) for name in ("training", "gaussian")]
            evaluation += both
            rows = [(step, 1.0, 8.0 * step, 1.0 * step) for step in range(1, 101)]
            columns = ["step", "learning_rate", "sequences", "seconds"]
            training.append(pd.DataFrame(rows, columns=columns).assign(**keys))
            points = [(0.0, "training", 1.0), (0.0, "gaussian", 1.6)]
            points += [(1.0, "training", 1.5), (1.0, "gaussian", 1.0)]
            columns = ["fresh_fraction", "distribution", "loss"]
            front.append(pd.DataFrame(points, columns=columns).assign(**keys))
    return pd.concat(evaluation), pd.concat(training), pd.concat(front)


LEAVES = np.array([0.5, 0.9, 0.9, 0.9, 0.9, 0.2, 0.1, 0.1, 0.1, 0.1, 0.1])
KEEPS = np.where(STEPS > 40, 0.9, LEAVES)


def test_the_table_has_a_row_for_each_run_with_a_control():
    branch = BranchSettings(variant="baseline", step=40)
    family = {"baseline": settings(), "kept": settings({"weight_decay": 0.1}, branch=branch)}
    found = interventions_table(*tables({"baseline": LEAVES, "kept": KEEPS}), family)
    assert list(found.columns) == [column.name for column in schemas()["interventions"].columns]
    (row,) = found.to_dict("records")
    assert (row["variant"], row["control"], row["num_tasks"]) == ("kept", "baseline", 8.0)
    assert (row["onset"], row["verdict"], row["kind"]) == (40, "prevented", "weight_decay")
    assert (row["control_low"], row["control_high"]) == (40, 50)
    assert (row["control_t_crit"], row["control_steps"], row["steps"]) == (10, 100, 100)
    assert row["control_rate_time"] == 50  # at a rate of 1, up to its departure
    assert row["sequences"] == 800
    assert (row["regret"], row["ood_regret"]) == (pytest.approx(0.1), pytest.approx(0.1))
    assert row["above_front"] == row["control_least_above_front"] == pytest.approx(0.1)


def test_one_variant_has_no_rows():
    found = interventions_table(*tables({"baseline": LEAVES}), {"baseline": settings()})
    assert len(found) == 0 and "gain" in found
