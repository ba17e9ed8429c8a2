"""Diagnostics of the LLC: traces and limits."""

import pytest
from legible import texts
from made_up import FEW, made_up_sweep

from transience.figures.draw import draw
from transience.figures.llc_diagnostics import BY_DIVERSITY


@pytest.mark.parametrize(("count", "shape"), [(3, (1, 3)), (8, (2, 4)), (26, (4, 7))])
def test_traces_fill_their_rows(count: int, shape: tuple[int, int]) -> None:
    tables = made_up_sweep([2.0**k for k in range(count)], 1)
    grid = draw("llc_diagnostics", tables).axes[0].get_gridspec()
    assert (grid.nrows, grid.ncols) == shape


def test_limits_are_those_of_the_flags() -> None:
    panels = {
        axes.get_title(loc="left"): axes
        for axes in draw("llc_diagnostics", made_up_sweep(FEW, 1)).axes
    }
    for column, title, limit in BY_DIVERSITY:
        dotted = [
            line.get_ydata()[0] for line in panels[title].lines if line.get_linestyle() == ":"
        ]
        levels = [level for level in dotted if level == limit]
        assert levels == ([] if limit is None else [limit]), column


def test_all_llc_missing_is_drawn() -> None:
    tables = made_up_sweep(FEW, 1, diverged=FEW)
    texts(draw("llc_diagnostics", tables))
