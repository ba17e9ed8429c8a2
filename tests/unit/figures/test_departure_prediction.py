"""The figure of predicted departures: what stands where, and what is beyond the axes."""

import math

import numpy as np
import pytest
from made_up import Tables, made_up_sweep

from transience.figures.departure_prediction import PANELS, ROWS, departure_prediction
from transience.figures.draw import draw

DIVERSITIES = [8.0, 16.0, 64.0, math.inf]


@pytest.fixture
def tables() -> Tables:
    """M = 8 and 16 left, M = 64 stays; predictions as made up, about 1000 M² sequences."""
    made = made_up_sweep(DIVERSITIES, 2)
    table = made["departure_prediction"]
    table["outcome"] = table["num_tasks"].map({8.0: "left", 16.0: "left", 64.0: "stays"})
    table["observed_low"] = table["num_tasks"].map({8.0: 4e4, 16.0: 2e5, 64.0: 3e5})
    table["observed_high"] = table["num_tasks"].map({8.0: 5e4, 16.0: 3e5, 64.0: math.inf})
    return made


def markers(axes) -> dict[tuple[str, float], float]:
    """Predicted n of single points, by shape and observed n."""
    return {
        (line.get_marker(), line.get_xdata()[0]): line.get_ydata()[0]
        for line in axes.lines
        if line.get_marker() in "o<>^" and len(line.get_xdata()) == 1
    }


def test_each_law_has_a_panel_of_its_runs_of_an_m_not_seen(tables: Tables):
    figure = draw("departure_prediction", tables)
    assert len(figure.axes) == len(PANELS) + 1
    for law, axes in zip(PANELS, figure.axes, strict=False):
        shown = markers(axes)
        assert shown.keys() == {("o", 5e4), ("o", 3e5), (">", 3e5)}
        table = tables["departure_prediction"]
        rows = (table["predictor"] == law) & (table["held_out"] == "num_tasks")
        (expected,) = set(table.loc[rows & (table["num_tasks"] == 8), "predicted_samples"])
        assert shown["o", 5e4] == pytest.approx(expected)
        assert len({each.get_ylim() for each in figure.axes[:-1]}) == 1


def test_what_is_far_off_stands_at_the_edge(tables: Tables):
    table = tables["departure_prediction"]
    table.loc[table["num_tasks"] == 8, ["predicted_samples", "predicted_low"]] = [1.0, 0.1]
    axes = draw("departure_prediction", tables).axes[0]
    low, high = axes.get_ylim()
    assert low < markers(axes)["o", 5e4] < 2 * low < high


def test_scores_are_of_both_ways_to_hold_runs_out(tables: Tables):
    axes = draw("departure_prediction", tables).axes[-1]
    scores = tables["departure_prediction_scores"].query("scope == 'all'")
    scores = scores[scores["predictor"].isin(ROWS)]
    found = [line.get_xdata()[0] for line in axes.lines if line.get_marker() in ("o", "^")]
    np.testing.assert_allclose(sorted(found), sorted(scores["advantage"]))


def test_without_predictions_panels_say_so(tables: Tables):
    for name in ("departure_prediction", "departure_prediction_scores"):
        tables[name] = tables[name].iloc[:0]
    figure = departure_prediction(tables, 1)
    assert all("too few departures" in axes.texts[0].get_text() for axes in figure.axes)
