"""Maps of onset and strength: a cell for what was tried, coloured and marked by what it did."""

import math

import pandas as pd
import pytest
from legible import overlapping, texts
from made_up import made_up_sweep, with_doses
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from transience.figures.draw import draw
from transience.figures.intervention_maps import COLOURS, SCALE, UNKNOWN


def tables(**changes: object) -> dict[str, pd.DataFrame]:
    made = with_doses(made_up_sweep([8, 64, math.inf], 2))
    made["interventions"] = made["interventions"].assign(**changes)
    return made


def maps(figure: Figure) -> dict[str, Axes]:
    return {
        axes.get_title(loc="left"): axes for axes in figure.axes if axes.get_xlabel() == "from step"
    }


def colours(axes: Axes) -> list[str]:
    return [to_hex(cell.get_facecolor()) for cell in axes.patches]


def test_a_map_has_its_onsets_and_strengths_and_a_cell_for_each_m():
    found = maps(draw("intervention_maps", tables()))
    assert [*found] == ["share of new tasks", "weight decay of MLPs"]
    axes = found["share of new tasks"]
    onsets = [label.get_text() for label in axes.get_xticklabels()]
    assert onsets == ["start", r"$t_{crit}$", "5,000"]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["0.01", "0.03", "0.1"]
    minor = [label.get_text() for label in axes.get_yticklabels(minor=True)]
    assert minor == 3 * ["64", "8"]  # from below
    assert len(axes.patches) == 3 * 3 * 2


def test_what_was_not_tried_has_no_cell():
    made = tables()
    rows = made["interventions"]
    left_out = (rows["variant"] == "fresh_0.03_5000") | (
        (rows["variant"] == "fresh_0.1_0") & (rows["num_tasks"] == 8)
    )
    made["interventions"] = rows[~left_out]
    assert len(maps(draw("intervention_maps", made))["share of new tasks"].patches) == 18 - 2 - 1


def test_colours_are_means_over_seeds_and_grey_where_nothing_is_known():
    made = tables()
    rows = made["interventions"]
    made["interventions"] = rows.assign(preserved=rows["seed"] - 0.25)
    axes = maps(draw("intervention_maps", made))["weight decay of MLPs"]
    assert {*colours(axes)} == {to_hex(COLOURS(SCALE(0.25)))}
    unknown = maps(draw("intervention_maps", tables(preserved=math.nan)))["weight decay of MLPs"]
    assert {*colours(unknown)} == {UNKNOWN}


def test_a_mark_for_each_verdict_of_the_seeds():
    made = tables(verdict="rescued")
    rows = made["interventions"]
    rows.loc[(rows["variant"] == "decay_0.1") & (rows["seed"] == 1), "verdict"] = "left, now stays"
    figure = draw("intervention_maps", made)
    marks = [line.get_marker() for line in maps(figure)["weight decay of MLPs"].lines]
    assert sorted(marks) == sorted(["^", "D", "^", "D", "^", "^"])
    key = [text.get_text() for text in figure.subfigs[-1].legends[0].get_texts()]
    assert key == ["rescued", "another outcome"]


@pytest.mark.parametrize("rows", [0, 1])
def test_a_sweep_without_two_doses_says_so(rows: int):
    made = tables()
    made["interventions"] = made["interventions"].iloc[:rows]
    said = [text.get_text().replace("\n", " ") for text in texts(draw("intervention_maps", made))]
    assert said == ["no intervention at two onsets or strengths"]


def test_it_is_legible():
    shown = texts(draw("intervention_maps", with_doses(made_up_sweep([4, 8, 16, 64], 3))))
    assert min(text.get_fontsize() for text in shown) >= 7
    assert overlapping(shown) == []
