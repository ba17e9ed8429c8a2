"""The scale of M: colours, axis, key."""

import itertools
import math

import numpy as np
import pytest
from made_up import FEW, PAPER
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from transience.figures import style
from transience.problem.diversity import symbol


def test_infinity_is_black_dashed_and_a_tick_of_its_own() -> None:
    scale = style.DiversityScale.of([8.0, math.inf, 1.0])
    assert scale.values == (1, 8, math.inf)
    assert scale.positions([1, 8, math.inf]).tolist() == [0, 3, 3 + style.INFINITE_GAP]
    assert scale.line(math.inf)["color"] == "#000000"
    assert "linestyle" in scale.line(math.inf)
    assert "linestyle" not in scale.line(8)


def test_colours_get_lighter_with_diversity() -> None:
    scale = style.DiversityScale.of(PAPER)
    lightness = [
        0.2126 * r + 0.7152 * g + 0.0722 * b for r, g, b, _ in map(scale.colour, PAPER[:-1])
    ]
    assert lightness == sorted(lightness)
    assert len(set(lightness)) == len(lightness)
    contrast = 1.05 / (max(lightness) ** 2.2 + 0.05)
    assert contrast > 1.7  # the lightest on white


def test_a_colour_is_the_same_in_sweeps_up_to_64() -> None:
    for value in (1.0, 8.0, 12.0, 64.0):
        alone, beside_another, large = (
            style.DiversityScale.of(one).colour(value)
            for one in ([value], [value, min(64, value + 4)], [1, value, 64, math.inf])
        )
        assert alone == beside_another == large


def test_a_sweep_of_large_m_has_colours_for_them() -> None:
    values = [2.0**power for power in range(4, 11)]  # 16 to 1024
    colours = [np.array(style.DiversityScale.of(values).colour(value)) for value in values]
    apart = [np.abs(one - other).max() for one, other in itertools.pairwise(colours)]
    assert min(apart) > 0.04


@pytest.mark.parametrize("values", [[256.0, 362.0], [8.0, 1024.0, 1025.0, math.inf]])
def test_few_m_that_are_near_to_each_other_have_colours_apart(values: list) -> None:
    scale = style.DiversityScale.of(values)
    colours = [np.array(scale.colour(value)) for value in scale.finite]
    apart = [np.abs(one - other).max() for one, other in itertools.pairwise(colours)]
    assert min(apart) > 0.07


@pytest.mark.parametrize("width", [0.9, 1.35, 2.9])
def test_labels_of_the_axis_fit(width: float) -> None:
    scale = style.DiversityScale.of(PAPER)
    shown = scale.axis_values(width)
    assert shown[0] == 1
    assert shown[-1] == math.inf
    inches = width / (scale.position(math.inf) + 1)
    gaps = np.diff(scale.positions(shown)) * inches
    digits = [len(symbol(value)) for value in shown]
    halves = [0.055 * (a + b) / 2 for a, b in itertools.pairwise(digits)]
    assert (gaps > halves).all()


def test_a_long_key_is_thinned_and_keeps_infinity() -> None:
    assert style.DiversityScale.of(FEW).key_values() == tuple(FEW)
    shown = style.DiversityScale.of(PAPER).key_values()
    assert len(shown) <= style.MAX_KEY_ENTRIES
    assert {1.0, math.inf} <= set(shown)
    assert style.DiversityScale.of([1, 2, 6, 8, 12]).axis_values(0.9) == (1, 2, 6, 12)
    odd = style.DiversityScale.of([3.0 * k for k in range(1, 40)])
    assert len(odd.key_values()) <= style.MAX_KEY_ENTRIES


@pytest.mark.parametrize(
    ("wanted", "places"),
    [
        ([], []),
        ([0.1, 0.5, 0.9], [0.1, 0.5, 0.9]),
        ([0.5, 0.5], [0.45, 0.55]),
        ([0.0, 0.02, 0.3], [0.0, 0.1, 0.3]),
        ([0.4, 0.98, 0.99, 1.0], [0.4, 0.8, 0.9, 1.0]),
        ([0.3, 0.45, 0.5, 0.52], [0.2925, 0.3925, 0.4925, 0.5925]),
    ],
)
def test_labels_that_are_too_near_move_apart(wanted: list, places: list) -> None:
    found = style.apart(wanted, 0.1)
    assert found == pytest.approx(places)
    assert all(b - a >= 0.1 - 1e-9 for a, b in itertools.pairwise(found))


def test_curves_are_named_where_they_end() -> None:
    """In the order in which they end, in the colour of M; none where they are too many."""
    axes = Figure(figsize=(3, 2.9)).subplots()
    axes.set(yscale="log", ylim=(1, 100), xlim=(1, 10))
    scale = style.DiversityScale.of([1.0, 8.0, math.inf])
    style.end_labels(axes, {1.0: 10.0, 8.0: 50.0, math.inf: 9.9}, scale)
    names = [text.get_text() for text in axes.texts]
    assert names == ["∞", "1", "8"]
    assert [text.xyann[1] for text in axes.texts] == pytest.approx(
        [0.4975 - 0.0275, 0.4975 + 0.0275, math.log10(50) / 2], abs=2e-3
    )
    assert [text.xy[1] for text in axes.texts] == pytest.approx(
        [math.log10(9.9) / 2, 0.5, math.log10(50) / 2]
    )
    assert not any(text.arrow_patch for text in axes.texts)
    assert to_rgb(axes.texts[2].get_color()) == to_rgb(scale.colour(8.0))
    many = style.DiversityScale.of(PAPER)
    style.end_labels(axes, dict.fromkeys(PAPER, 1.0), many)
    assert len(axes.texts) == 3


def test_a_line_leads_to_names_that_had_to_move_far() -> None:
    axes = Figure(figsize=(3, 2.9)).subplots()
    scale = style.DiversityScale.of([1.0, 2.0, 4.0])
    style.end_labels(axes, dict.fromkeys(scale.finite, 0.5), scale)
    assert [text.xy[1] for text in axes.texts] == pytest.approx([0.5] * 3)
    assert all(text.arrow_patch for text in axes.texts)
