"""Rows of variants of one kind: who shares a row, and what stands beside it."""

import pandas as pd
import pytest

from transience.figures.kinds import kind_panels, label_outside, rows_of
from transience.figures.panels import COLOURS

MOST = len(COLOURS)


def kinds(**of: str) -> pd.Series:
    return pd.Series(of, dtype=str)


def test_rows_are_kinds_by_name_with_a_colour_for_each_variant():
    rows = [*rows_of(kinds(z="decay", a="none", b="decay", c=""))]
    assert rows == [
        ("no control of its M and seed", {"c": COLOURS[0]}),
        ("decay", {"z": COLOURS[0], "b": COLOURS[1]}),
        ("no phase, or another length", {"a": COLOURS[0]}),
    ]


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ((1,), [1]),
        ((MOST,), [MOST]),
        ((MOST + 2,), [MOST // 2 + 1] * 2),
        ((3, 2, 2, 4), [7, 4]),
        ((MOST - 1, 1, 1), [MOST, 1]),
        ((3, 2 * MOST + 1, 2), [3, 6, 6, 7]),
    ],
)
def test_parts_are_kept_in_one_row_while_there_are_colours(sizes, expected):
    parts = [f"part {number}" for number, size in enumerate(sizes) for _ in range(size)]
    names = [f"v{number}" for number in range(len(parts))]
    rows = [*rows_of(pd.Series("kind", index=names), pd.Series(parts, index=names))]
    assert [len(colours) for _, colours in rows] == expected
    assert [name for _, colours in rows for name in colours] == names
    assert all(len({*colours.values()}) == len(colours) for _, colours in rows)


def test_panels_have_m_above_and_a_key_beside():
    rows = [("decay", {"a": COLOURS[0]}), ("fresh", {"b": COLOURS[0], "c": COLOURS[1]})]
    figure, grid = kind_panels(rows, (8.0, float("inf")), height=1.5, around=1.0)
    assert figure.get_size_inches().tolist() == [7.0, 4.0]
    assert grid.shape == (2, 2)
    assert [axes.get_title(loc="left") or axes.get_title() for axes in grid[0]] == [
        "M = 8", "M = ∞"
    ]  # fmt: skip
    keys = [axes.get_legend() for axes in figure.axes if axes.get_legend()]
    assert [key.get_title().get_text() for key in keys] == ["decay", "fresh"]
    assert [[text.get_text() for text in key.get_texts()] for key in keys] == [["a"], ["b", "c"]]
    for axes in grid.flat:
        label_outside(axes, "step", "loss")
    assert [[axes.get_xlabel() for axes in row] for row in grid] == [["", ""], ["step", "step"]]
    assert [[axes.get_ylabel() for axes in row] for row in grid] == [["loss", ""], ["loss", ""]]
