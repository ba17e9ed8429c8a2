"""The figure of departures from ridge: what stands in it, and what is marked as cut off."""

import math

import numpy as np
import pandas as pd
import pytest
from made_up import Tables, made_up_sweep
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb

from transience.departure.agreement import agreement_table
from transience.figures import style
from transience.figures.departure import AT_ONCE, BAND
from transience.figures.draw import draw

DIVERSITIES = [1.0, 8.0, 16.0, 64.0, math.inf]
OUTCOMES = {1.0: "passed_by", 8.0: "left", 16.0: "left", 64.0: "stays", math.inf: "reference"}


@pytest.fixture
def tables() -> Tables:
    """M = 8 with a crossover and its interval, the others at once; what became of them as above."""
    made = made_up_sweep(DIVERSITIES, 2)
    table = made["free_energy"]
    table["outcome"] = table["num_tasks"].map(OUTCOMES)
    left = table["outcome"] == "left"
    table["departure_step"] = (100 * table["num_tasks"]).where(left)
    table["observed_high"] = table["num_tasks"].map({1.0: 500, 8.0: 25_600, 16.0: 51_200})
    table["observed_high"] = table["observed_high"].fillna(math.inf)
    table["observed_low"] = table["num_tasks"].map({8.0: 20_000, 16.0: 40_000, 64.0: 320_000})
    table["observed_low"] = table["observed_low"].fillna(0)
    eight = table["num_tasks"] == 8
    table.loc[eight, ["predicted_low", "predicted_samples", "predicted_high"]] = [0, 300, 9000]
    made["free_energy_agreement"] = agreement_table(table)
    return made


def points(axes: Axes) -> pd.DataFrame:
    """Markers of single points in a panel."""
    return pd.DataFrame(
        [
            {"shape": line.get_marker(), "x": line.get_xdata()[0], "y": line.get_ydata()[0],
             "colour": line.get_color(), "hollow": line.get_markerfacecolor() == "white"}
            for line in axes.lines
            if line.get_marker() in "o^<>" and len(line.get_xdata()) == 1
        ]
    )  # fmt: skip


def test_circles_mark_the_runs_that_left(tables: Tables):
    axes = draw("departure", tables).axes[0]
    (circles,) = axes.collections
    np.testing.assert_allclose(np.sort(circles.get_offsets()[:, 0]), [800, 800, 1600, 1600])
    assert (circles.get_offsets()[:, 1] == 0.5).all()


def test_outcomes_have_shapes_and_what_is_cut_off_stands_at_its_bound(tables: Tables):
    shown = points(draw("departure", tables).axes[1]).set_index("shape")
    assert len(shown) == 8  # M = inf is none of them
    assert set(shown.loc["<", "x"]) == {500}
    assert set(shown.loc[">", "x"]) == {320_000}
    assert set(shown.loc["o", "x"]) == {25_600, 51_200}
    assert shown.loc["o", "hollow"].all() and not shown.loc["<", "hollow"].any()
    scale = style.DiversityScale.of(DIVERSITIES)
    assert to_rgb(shown.loc["<", "colour"].iloc[0]) == to_rgb(scale.colour(1.0))


def test_no_crossover_stands_in_the_band_and_a_crossover_at_its_value(tables: Tables):
    axes = draw("departure", tables).axes[1]
    shown = points(axes)
    at_value = shown["x"] == 25_600
    assert set(shown.loc[at_value, "y"]) == {300}
    assert shown.loc[~at_value, "y"].between(AT_ONCE / BAND, AT_ONCE * BAND).all()
    bars = [line for line in axes.lines if len(set(line.get_xdata())) == 1 < len(line.get_xdata())]
    tops = [max(line.get_ydata()) for line in bars]
    assert max(tops) == 9000
    assert axes.get_yticklabels()[0].get_text() == "0"


def test_runs_without_a_prediction_are_counted(tables: Tables):
    tables["free_energy"].loc[tables["free_energy"]["num_tasks"] == 16, "predicted_samples"] = None
    axes = draw("departure", tables).axes[1]
    assert len(points(axes)) == 6
    assert any(text.get_text().endswith("no departure): 2") for text in axes.texts)


def test_every_predictor_has_its_correlation_in_both_forms(tables: Tables):
    axes = draw("departure", tables).axes[2]
    shown = points(axes).groupby("shape")["x"].apply(list)
    agreement = tables["free_energy_agreement"].query("scope == 'all'")
    for shape, estimate in (("o", "centred_llc"), ("^", "llc")):
        expected = agreement.loc[agreement["estimate"] == estimate, "rank_correlation"]
        assert sorted(shown[shape]) == pytest.approx(sorted(expected))
    assert [label.get_text() for label in axes.get_yticklabels()][-1] == "M alone"


def test_runs_of_no_length_are_at_no_place_of_a_logarithmic_axis(tables: Tables):
    table = tables["free_energy"]
    table["outcome"] = table["outcome"].replace({"left": "stays", "passed_by": "stays"})
    table[["observed_low", "observed_high"]] = [0.0, math.inf]
    axes = draw("departure", tables).axes[1]
    assert axes.get_xscale() == axes.get_yscale() == "log"
    assert axes.get_xlim()[0] > 0 and axes.get_ylim()[0] > 0
