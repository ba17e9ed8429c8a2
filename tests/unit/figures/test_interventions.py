"""A row for each variant: means and seeds of what was preserved, gained and paid."""

import math

import pandas as pd
import pytest
from made_up import made_up_sweep
from scipy import stats

from transience.departure.paired import effects_table
from transience.figures.draw import draw
from transience.figures.interventions import MOST_ROWS


def tables(**changes: object) -> dict[str, pd.DataFrame]:
    made = dict(made_up_sweep([8, 64, math.inf], 2))
    return with_runs(made, made["interventions"].assign(**changes))


def with_runs(made: dict[str, pd.DataFrame], runs: pd.DataFrame) -> dict[str, pd.DataFrame]:
    return made | {"interventions": runs, "intervention_effects": effects_table(runs)}


def test_points_are_those_of_the_table():
    made = tables(preserved=0.25, gain=-0.5, final_loss=3.0, control_final_loss=2.0)
    figure = draw("interventions", made)
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["fresh"]
    for axes, expected in zip(figure.axes, (0.25, -0.5, 1.5), strict=True):
        drawn = [line for line in axes.lines if line.get_linestyle() == "None"]
        assert [len(line.get_xdata()) for line in drawn] == [2, 1, 2, 1]  # seeds and mean, by M
        assert all(line.get_xdata() == pytest.approx(expected) for line in drawn)


def test_what_is_missing_has_no_point():
    axes = draw("interventions", tables(gain=math.nan)).axes[1]
    assert all(len(line.get_xdata()) == 0 for line in axes.lines if line.get_linestyle() == "None")


def test_an_interval_of_three_seeds_is_drawn_and_one_of_two_is_not():
    made = tables()
    rows = made["interventions"].query("num_tasks == 8 and seed == 0")
    three = [rows.assign(seed=seed, gain=0.1 * seed) for seed in range(3)]
    lines = []
    for runs in (three, three[:2]):
        axes = draw("interventions", with_runs(made, pd.concat(runs))).axes[1]
        lines.append([line for line in axes.lines if line.get_linewidth() == 0.9])
    (line,), none = lines
    interval = stats.ttest_1samp([0.0, 0.1, 0.2], 0.0).confidence_interval(0.95)
    assert line.get_xdata() == pytest.approx(interval)
    assert none == []


def test_rows_are_by_kind_and_not_too_many():
    made = tables()
    row = made["interventions"].iloc[:1]
    names = [f"v{number:03}" for number in range(MOST_ROWS + 5)]
    rows = [row.assign(variant=name, kind="b") for name in names]
    made = with_runs(made, pd.concat([*rows, row.assign(variant="z", kind="a")]))
    labels = [label.get_text() for label in draw("interventions", made).axes[0].get_yticklabels()]
    assert labels == ["z", *names[: MOST_ROWS - 1]]


def test_a_sweep_without_controls_says_so():
    made = tables()
    made = with_runs(made, made["interventions"].iloc[:0])
    said = [text.get_text() for axes in draw("interventions", made).axes for text in axes.texts]
    assert [text.replace("\n", " ") for text in said] == ["no run with a control of its M and seed"]
