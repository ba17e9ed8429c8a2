"""Grids of panels: as many as are asked for, rows of like length, axes stacked in a panel."""

import pytest

from transience.figures.panels import COLOURS, diversity_panels, panels

SIZES = {"height": 2.0, "around": 0.5}


@pytest.mark.parametrize(
    ("count", "rows", "columns"), [(0, 1, 1), (1, 1, 1), (3, 1, 3), (4, 2, 2), (7, 3, 3)]
)
def test_rows_are_few_and_of_like_length(count: int, rows: int, columns: int) -> None:
    figure, grid = panels(count, 3, **SIZES)
    assert grid.shape == (max(1, count), 1)
    assert len(figure.axes) == rows * columns
    assert figure.get_size_inches().tolist() == [7.0, 0.5 + 2.0 * rows]
    assert sum(axes.axison for axes in figure.axes) == count


def test_stacked_axes_of_a_panel_are_in_one_column() -> None:
    _, grid = panels(4, 3, **SIZES, stacked=2)
    places = [[axes.get_subplotspec() for axes in pair] for pair in grid]
    found = [[(one.rowspan.start, one.colspan.start) for one in pair] for pair in places]
    assert found[0] == [(0, 0), (1, 0)] and found[1] == [(0, 1), (1, 1)]
    assert found[2] == [(2, 0), (3, 0)]


def test_a_panel_for_each_m_or_a_reason() -> None:
    _, grid = diversity_panels((8.0, float("inf")), 3, "none", **SIZES)
    assert [axes.get_title(loc="left") or axes.get_title() for axes in grid] == ["M = 8", "M = ∞"]
    _, (only,) = diversity_panels((), 3, "none", **SIZES)
    assert [text.get_text() for text in only.texts] == ["none"] and not only.axison


def test_colours_differ() -> None:
    assert len({*COLOURS}) == len(COLOURS)
