"""Alarms: a row for each detector, points where the table has them, and what is counted."""

import math

import pandas as pd
from made_up import made_up_sweep

from transience.figures.alarms import WORDS
from transience.figures.draw import draw


def tables(**changes: object) -> dict[str, pd.DataFrame]:
    made = dict(made_up_sweep([8, 64, math.inf], 2))
    made["alarms"] = made["alarms"].assign(**changes)
    return made


def points(axes) -> list[tuple[float, float]]:
    found = [line for line in axes.lines if line.get_linestyle() == "None"]
    return [point for line in found for point in zip(*line.get_data(), strict=True)]


def test_points_are_alarms_of_runs_that_leave():
    made = tables(outcome="left", alarm=300.0, t_crit=100, ood_loss_at_alarm=3.0,
                  least_ood_loss=2.0, final_ood_loss=5.0)  # fmt: skip
    when, cost = draw("alarms", made).axes[:2]
    assert len(points(when)) == 6 * len(WORDS)
    assert {x for x, _ in points(when)} == {3.0}
    rows = [(x, round(y)) for x, y in points(cost)]
    assert {x for x, row in rows if row < len(WORDS)} == {1.5}
    assert {x for x, row in rows if row == len(WORDS)} == {2.5}


def test_runs_that_stay_are_counted_and_not_drawn():
    made = tables(outcome="stays", alarm=300.0, false_alarm=True, sets_it=False)
    when = draw("alarms", made).axes[0]
    assert points(when) == []
    labels = [label.get_text() for label in when.get_yticklabels()][: len(WORDS)]
    assert all(label.endswith("missed 0 of 0, false 6 of 6") for label in labels)
    assert any("no run leaves ridge" in text.get_text() for text in when.texts)


def test_runs_that_set_the_thresholds_are_not_counted():
    made = tables(outcome="left", alarm=math.nan, sets_it=False)
    made["alarms"].loc[made["alarms"]["seed"] == 0, "sets_it"] = True
    label = draw("alarms", made).axes[0].get_yticklabels()[0].get_text()
    assert label.endswith("missed 3 of 3, false 0 of 0")
