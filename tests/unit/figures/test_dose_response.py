"""Strength against what is preserved and paid: points, scales, and reasons."""

import math

import numpy as np
import pandas as pd
import pytest
from legible import overlapping, texts
from made_up import made_up_sweep, with_doses
from matplotlib.axes import Axes

from transience.figures.dose_response import LEAST
from transience.figures.draw import draw
from transience.figures.style import DiversityScale


def tables(**changes: object) -> dict[str, pd.DataFrame]:
    made = with_doses(made_up_sweep([8, 64, math.inf], 2))
    made["interventions"] = made["interventions"].assign(**changes)
    return made


def marked(axes: Axes, shape: str) -> list:
    return [line for line in axes.lines if line.get_marker() == shape and len(line.get_xdata())]


def test_a_column_for_each_kind_and_onset():
    figure = draw("dose_response", tables())
    titles = [axes.get_title(loc="left") for axes in figure.axes if axes.axison]
    assert [title.replace("\n", " ") for title in titles if title] == [
        "share of new tasks, from the start",
        r"share of new tasks, from $t_{crit}$",
        "share of new tasks, from step 5,000",
        "weight decay of MLPs, from the start",
    ]
    above, decay = figure.axes[0], figure.axes[3]
    assert (above.get_xscale(), decay.get_xscale()) == ("log", "linear")


def test_means_and_seeds_are_those_of_the_table():
    made = tables(final_loss=3.0, control_final_loss=2.0)
    rows = made["interventions"]
    made["interventions"] = rows.assign(preserved=rows["value"] + 0.1 * rows["seed"])
    figure = draw("dose_response", made)
    above, below = figure.axes[0], figure.axes[4]
    scale = DiversityScale.of([8.0, 64.0])
    for line, m in zip(marked(above, "o"), (8.0, 64.0), strict=True):
        np.testing.assert_allclose(line.get_xdata(), [0.01, 0.03, 0.1])
        np.testing.assert_allclose(line.get_ydata(), [0.06, 0.08, 0.15])
        assert line.get_color() == scale.colour(m)
    assert [len(line.get_xdata()) for line in marked(above, ".")] == [6, 6]
    assert all((line.get_ydata() == 1.5).all() for line in marked(below, "o"))


def test_what_is_worse_than_the_edge_is_marked_there():
    made = tables()
    rows = made["interventions"]
    made["interventions"] = rows.assign(preserved=np.where(rows["value"] > 0.05, -7.0, 0.5))
    above = draw("dose_response", made).axes[0]
    assert [line.get_ydata().tolist() for line in marked(above, "v")] == [[LEAST], [LEAST]]
    assert above.get_ylim()[0] > -1.3


def test_m_meanwhile_has_the_axis_of_m():
    made = tables(kind="num_tasks", weight_decay_of="")
    rows = made["interventions"]
    made["interventions"] = rows.assign(
        value=rows["value"].map(lambda v: math.inf if v > 0.05 else 4)
    )
    axes = draw("dose_response", made).axes
    assert "M meanwhile" in [one.get_xlabel() for one in axes]
    assert "∞" in [text.get_text() for one in axes for text in one.get_xticklabels()]


@pytest.mark.parametrize("changes", [{"preserved": math.nan}, {"control_final_loss": 0.0}])
def test_missing_columns_are_no_obstacle(changes):
    figure = draw("dose_response", tables(**changes))
    said = {text.get_text().replace("\n", " ") for text in figure.axes[0].texts}
    expected = (
        {"the control's OOD loss rises by less than 10 %"} if "preserved" in changes else set()
    )
    assert said == expected
    assert not [text for text in texts(figure) if "nan" in text.get_text()]


@pytest.mark.parametrize("rows", [0, 1])
def test_a_sweep_without_two_strengths_says_so(rows: int):
    made = tables()
    made["interventions"] = made["interventions"].iloc[:rows]
    said = [text.get_text().replace("\n", " ") for text in texts(draw("dose_response", made))]
    assert said == ["no intervention of two strengths at one onset"]


def test_it_is_legible():
    shown = texts(draw("dose_response", with_doses(made_up_sweep([4, 8, 16, 64], 3))))
    assert min(text.get_fontsize() for text in shown) >= 7
    assert overlapping(shown) == []
