"""The scale of M: colours, axis, key."""

import itertools
import math

import numpy as np
import pytest
from made_up import FEW, PAPER

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


def test_a_colour_is_the_same_in_every_sweep() -> None:
    for value in (1.0, 8.0, 64.0):
        small, large = (style.DiversityScale.of(one).colour(value) for one in ([value], PAPER))
        assert small == large


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
