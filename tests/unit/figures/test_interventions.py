"""A row for each variant: means and seeds of what was preserved, gained and paid."""

import math

import pandas as pd
import pytest
from made_up import made_up_sweep

from transience.figures.draw import draw
from transience.figures.interventions import MOST_ROWS


def tables(**changes: object) -> dict[str, pd.DataFrame]:
    made = dict(made_up_sweep([8, 64, math.inf], 2))
    made["interventions"] = made["interventions"].assign(**changes)
    return made


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


def test_rows_are_by_kind_and_not_too_many():
    made = tables()
    row = made["interventions"].iloc[:1]
    names = [f"v{number:03}" for number in range(MOST_ROWS + 5)]
    rows = [row.assign(variant=name, kind="b") for name in names]
    made["interventions"] = pd.concat([*rows, row.assign(variant="z", kind="a")])
    labels = [label.get_text() for label in draw("interventions", made).axes[0].get_yticklabels()]
    assert labels == ["z", *names[: MOST_ROWS - 1]]


def test_a_sweep_without_controls_says_so():
    made = tables()
    made["interventions"] = made["interventions"].iloc[:0]
    said = [text.get_text() for axes in draw("interventions", made).axes for text in axes.texts]
    assert [text.replace("\n", " ") for text in said] == ["no run with a control of its M and seed"]
