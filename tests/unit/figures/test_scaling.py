"""The map of scale: points, laws, exponents, the paper, and reasons where there is nothing."""

import math

import numpy as np
import pytest
from legible import cut_off, overlapping, texts
from made_up import START, TURNED, scaling_sweep
from matplotlib.axes import Axes

from transience.departure.scaling import scaling_tables
from transience.figures.draw import draw


def titles(figure) -> list[str]:
    return [axes.get_title(loc="left") for axes in figure.axes if axes.axison]


def labels(axes: Axes) -> list[str]:
    return [label.get_text() for label in axes.get_yticklabels()]


@pytest.mark.parametrize(
    "knobs", [[*TURNED], ["model.width"], ["task.num_examples", "model.width"]]
)
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
        "$M_{1/2}$ at the paper's size",
    ]


def test_points_and_the_law_are_those_of_the_tables():
    made = scaling_sweep(1)
    axes = draw("scaling", made).axes[3]
    points = made["scaling_points"].query("quantity == 'threshold'")
    seen, law = axes.lines[:2]
    assert sorted(seen.get_xdata()) == [16.0, 24.0, 48.0, 96.0]
    by_value = dict(zip(seen.get_xdata(), seen.get_ydata(), strict=True))
    main = points.loc[points["knob"] == "", "value"].item()
    assert by_value[48.0] == main
    fitted = made["scaling"].set_index(["quantity", "knob"])
    exponent = fitted.loc[("threshold", "model.width"), "exponent"]
    np.testing.assert_allclose(law.get_ydata(), main * (law.get_xdata() / 48.0) ** exponent)


def test_what_lies_beyond_all_m_is_an_arrow_at_the_bound():
    axes = draw("scaling", scaling_sweep(1)).axes[4]
    (arrow,) = [line for line in axes.lines if line.get_marker() == "^"]
    assert (arrow.get_xdata().item(), arrow.get_ydata().item()) == (1.0, 64.0)
    made = scaling_sweep(1)
    unknown = made["scaling_points"]["value"].isna()
    made["scaling_points"].loc[unknown, ["low", "high"]] = [0.0, 8.0]
    (arrow,) = [line for line in draw("scaling", made).axes[4].lines if line.get_marker() == "v"]
    assert arrow.get_ydata().item() == 8.0


def test_exponents_have_a_row_for_each_knob():
    made = scaling_sweep(2)
    axes = draw("scaling", made).axes[8]
    shown = [line for line in axes.lines if line.get_marker() == "o"]
    rows = made["scaling"].query("quantity == 'threshold'")
    assert [line.get_xdata().item() for line in shown] == rows["exponent"].tolist()
    assert labels(axes)[-1] == "M"  # of the times alone


def test_the_paper_is_what_the_table_foretells():
    made = scaling_sweep(2)
    axes = draw("scaling", made).axes[11]
    value = made["extrapolation"].query("quantity == 'threshold'")["value"].item()
    assert labels(axes)[-1] == f"all: {value:,.0f}"
    last = [line for line in axes.lines if line.get_color() == "black"][1]
    points = made["scaling_points"].query("quantity == 'threshold' and knob == ''")["value"]
    start = math.exp(np.log(points).mean())
    assert last.get_xdata().item() == pytest.approx(value / start)


def test_reasons():
    made = scaling_sweep(1, knobs=["training.batch_size"])
    said = [text.get_text().replace("\n", " ") for text in draw("scaling", made).axes[-1].texts]
    assert said == ["the paper differs in what no variant changes"]
    only = made["scaling_points"].query("quantity == 'threshold'")
    fitted, foretold = scaling_tables(only, START)
    made = {"scaling_points": only, "scaling": fitted, "extrapolation": foretold}
    figure = draw("scaling", made)
    assert [text.get_text() for text in figure.axes[-2].texts] == ["too few points to fit"]
    made["scaling_points"] = only.iloc[:0]
    blank = draw("scaling", made)
    assert [text.get_text().replace("\n", " ") for text in blank.axes[0].texts] == [
        "no variant changes numbers by one factor alone"
    ]
