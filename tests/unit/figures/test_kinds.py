"""Rows of variants of one kind: who shares a row, and what stands beside it."""

import pandas as pd
import pytest

from transience.figures.kinds import in_words, kind_panels, label_outside, rows_of
from transience.figures.panels import COLOURS

MOST = len(COLOURS)


def kinds(**of: str) -> pd.Series:
    return pd.Series(of, dtype=str)


def test_rows_are_kinds_by_name_with_a_colour_for_each_variant():
    rows = [*rows_of(kinds(z="decay", a="none", b="decay", c=""))]
    assert rows == [
        ("other variants", {"c": COLOURS[0]}),
        ("decay", {"z": COLOURS[0], "b": COLOURS[1]}),
        ("other settings", {"a": COLOURS[0]}),
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


def test_a_row_is_as_high_as_its_key():
    few = [("decay", {"a": COLOURS[0]})]
    many = [
        ("decay", {f"a_name_as_long_as_names_may_be_{n}_" * 2: COLOURS[n] for n in range(MOST)})
    ]
    figures = [kind_panels(rows, (8.0,), height=1.5, around=1.0)[0] for rows in (few, many)]
    low, high = (figure.get_size_inches()[1] for figure in figures)
    assert low == 2.5 and high > 1 + 0.14 * 3 * MOST


def test_kinds_are_told_in_words():
    assert in_words("weight_decay") == "weight decay"
    assert in_words("fresh_fraction+stop_when") == "share of new tasks and stop at an alarm"
    assert in_words("none") == "other settings"
    assert in_words("weight decay of MLPs") == "weight decay of MLPs"
