"""The map of scale: points, laws, exponents, the paper, and reasons where there is nothing."""

import math

import numpy as np
import pytest
from legible import cut_off, overlapping, texts
from made_up import TURNED, WIDTH, fitted_to, scaling_points, scaling_sweep
from matplotlib.axes import Axes

from transience.figures.draw import draw


def titles(figure) -> list[str]:
    return [axes.get_title(loc="left") for axes in figure.axes if axes.axison]


def labels(axes: Axes) -> list[str]:
    return [label.get_text() for label in axes.get_yticklabels()]


@pytest.mark.parametrize("knobs", [[*TURNED], [WIDTH], ["task.num_examples", WIDTH]])
@pytest.mark.parametrize("num_seeds", [1, 3])
def test_it_is_legible(knobs, num_seeds):
    figure = draw("scaling", scaling_sweep(num_seeds, knobs=knobs))
    shown = texts(figure)
    assert min(text.get_fontsize() for text in shown) >= 7
    assert overlapping(shown) == []
    assert cut_off(figure, shown) == []


def test_a_panel_for_each_knob_and_quantity():
    figure = draw("scaling", scaling_sweep(2))
    assert [title.split("$  ")[1] for title in titles(figure)] == [
        *("D", "K (examples)", "σ² (noise)", "width", "blocks", "batch", "learning rate"),
        *("T (steps)", "$M_{1/2}$ at the end", "$t_{crit}$ in steps", "Departure in steps"),
        "$M_{1/2}$, to the paper",
    ]


def test_points_and_the_law_are_those_of_the_tables():
    made = scaling_sweep(1)
    axes = draw("scaling", made).axes[3]
    points = made["scaling_points"].query("quantity == 'threshold' and share == 1")
    seen, law = axes.lines[:2]
    assert sorted(seen.get_xdata()) == [16.0, 24.0, 48.0, 96.0]
    by_value = dict(zip(seen.get_xdata(), seen.get_ydata(), strict=True))
    assert by_value[48.0] == points.loc[points["knob"] == "", "value"].item()
    row = made["scaling"].set_index(["quantity", "knob"]).loc[("threshold", WIDTH)]
    expected = row["main_quantity"] * (law.get_xdata() / 48.0) ** row["exponent"]
    np.testing.assert_allclose(law.get_ydata(), expected)


def test_steps_are_those_of_the_main_variant():
    seen = draw("scaling", scaling_sweep(1)).axes[7].lines[0]
    assert seen.get_xdata().tolist() == [4_000.0, 8_000.0, 16_000.0]


def test_what_lies_beyond_all_m_is_an_arrow_at_the_bound():
    made = scaling_sweep(1)
    figure = draw("scaling", made)
    (arrow,) = [line for line in figure.axes[4].lines if line.get_marker() == "^"]
    assert (arrow.get_xdata().item(), arrow.get_ydata().item()) == (1.0, 64.0)
    assert "above all M" in [text.get_text() for text in figure.legends[0].get_texts()]
    unknown = made["scaling_points"]["value"].isna()
    made["scaling_points"].loc[unknown, ["low", "high"]] = [0.0, 8.0]
    figure = draw("scaling", made)
    (arrow,) = [line for line in figure.axes[4].lines if line.get_marker() == "v"]
    assert arrow.get_ydata().item() == 8.0
    assert "below all M" in [text.get_text() for text in figure.legends[0].get_texts()]


def test_markers_are_those_of_seeds_in_every_panel():
    made = scaling_sweep(3)
    points = made["scaling_points"]
    made["scaling_points"] = points[~((points["knob"] == "") & (points["seed"] == 1))]
    figure = draw("scaling", made)
    for axes in figure.axes[:2]:
        shown = [line.get_marker() for line in axes.lines if line.get_linestyle() == "None"]
        assert shown == ["o", "s", "D"]
    (middle,) = [line for line in figure.axes[0].lines if line.get_marker() == "s"]
    assert 4.0 not in middle.get_xdata()


def test_exponents_have_a_row_for_each_knob():
    made = scaling_sweep(2)
    axes = draw("scaling", made).axes[8]
    shown = {round(line.get_ydata().item()): line.get_xdata().item()
             for line in axes.lines if line.get_marker() == "o"}  # fmt: skip
    rows = made["scaling"].query("quantity == 'threshold'")
    assert sorted(shown.values()) == sorted(rows["exponent"])
    by_knob = dict(zip(rows["knob"], rows["exponent"], strict=True))
    assert (shown[3], shown[7]) == (by_knob[WIDTH], by_knob["training.num_steps"])
    assert labels(axes)[-1] == "M"  # of the times alone


def test_the_paper_is_what_the_table_foretells():
    made = scaling_sweep(2)
    axes = draw("scaling", made).axes[11]
    value = made["extrapolation"].query("quantity == 'threshold'")["value"].item()
    assert labels(axes)[-1] == f"all: {value:,.0f}"
    (last,) = [
        line for line in axes.lines if line.get_color() == "black" and line.get_marker() == "o"
    ]
    start = made["scaling"].query("quantity == 'threshold'")["main_quantity"].iloc[0]
    assert last.get_xdata().item() == pytest.approx(value / start)
    factors = [line.get_xdata().item() for line in axes.lines
               if line.get_marker() == "o" and line.get_color() != "black"]  # fmt: skip
    assert math.prod(factors) == pytest.approx(value / start)


def said(axes: Axes) -> list[str]:
    return [text.get_text().replace("\n", " ") for text in axes.texts]


def test_reasons():
    figure = draw("scaling", scaling_sweep(1, knobs=["training.batch_size"]))
    assert said(figure.axes[-1]) == ["nothing is foretold of the paper"]
    points = scaling_points(1)
    figure = draw("scaling", fitted_to(points.query("quantity == 'threshold'")))
    assert said(figure.axes[-2]) == ["too few points to fit"]
    blank = draw("scaling", fitted_to(points.iloc[:0]))
    assert said(blank.axes[0]) == [
        "nothing to fit: no variant changes one setting alone, or too few points are known"
    ]


@pytest.mark.parametrize("knobs", [[*TURNED], ["model.num_layers"]])
def test_thresholds_that_are_not_known_stop_no_panel(knobs):
    """Times can be fitted all the same."""
    points = scaling_points(2, knobs=knobs)
    thresholds = points["quantity"] == "threshold"
    points.loc[thresholds, ["value", "low", "high"]] = math.nan, 64.0, math.inf
    figure = draw("scaling", fitted_to(points))
    assert cut_off(figure, texts(figure)) == []
    only_main = points["knob"].ne("") | ~thresholds
    points.loc[only_main & thresholds, "value"] = 30.0
    draw("scaling", fitted_to(points))


def test_a_main_variant_without_a_threshold_stops_no_panel():
    """As where it has M = inf alone, or runs that end at different steps."""
    points = scaling_points(1, knobs=[WIDTH])
    left = points[points["knob"].ne("") | points["quantity"].ne("threshold")]
    figure = draw("scaling", fitted_to(left))
    assert "T (steps)" not in " ".join(titles(figure))
