"""Marks of departures: what became of a run, and between which bounds."""

from types import SimpleNamespace

import pytest
from matplotlib.figure import Figure

from transience.figures.outcomes import SHAPES, draw_run, outcome_markers


@pytest.mark.parametrize(
    ("outcome", "x", "bars"), [("left", 30.0, 2), ("stays", 20.0, 1), ("passed_by", 30.0, 1)]
)
def test_a_run_stands_where_it_left_or_points_to_where_it_would(
    outcome: str, x: float, bars: int
) -> None:
    axes = Figure().subplots()
    row = SimpleNamespace(outcome=outcome, observed_low=20.0, observed_high=30.0)
    draw_run(axes, row, (1.0, 5.0, 9.0), "red")
    *intervals, mark = axes.lines
    assert len(intervals) == bars
    assert (list(mark.get_xdata()), list(mark.get_ydata())) == ([x], [5.0])
    assert mark.get_marker() == SHAPES[outcome]
    assert list(intervals[-1].get_ydata()) == [1.0, 9.0]
    if bars == 2:
        assert list(intervals[0].get_xdata()) == [20.0, 30.0]


def test_the_key_names_every_outcome() -> None:
    assert {line.get_marker() for line in outcome_markers()} == {*SHAPES.values()}
