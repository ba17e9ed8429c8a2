"""Variants side by side: which M, which curves, and the level of ridge."""

import math

import pytest
from legible import overlapping, texts
from made_up import FEW, PAPER, Tables, made_up_sweep, side_by_side
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from transience.figures.draw import draw


def titles(figure: Figure) -> list[str]:
    return [axes.get_title(loc="left") for axes in figure.axes if axes.axison]


def levels(axes: Axes) -> list[float]:
    """Where the dashed lines across the panel stand."""
    across = [line for line in axes.lines if line.get_transform() != axes.transData]
    assert {line.get_linestyle() for line in across} == {"--"}
    return [line.get_ydata()[0] for line in across]


def bold(axes: Axes) -> list:
    """Curves of the variants, without their seeds."""
    own = [line for line in axes.lines if line.get_transform() == axes.transData]
    return [line for line in own if line.get_linewidth() > 1]


def of(num_tasks: list[float], scaled: float = 1.0) -> Tables:
    made = made_up_sweep(num_tasks, 2)
    made["evaluation"]["loss"] *= scaled
    return made


def test_a_panel_shows_the_loss_of_each_variant() -> None:
    figure = draw("variants", side_by_side(baseline=of(FEW), high=of(FEW, 3.0)))
    assert titles(figure) == ["M = 1", "M = 8", "M = ∞"]
    for axes in figure.axes:
        first, second = (line.get_ydata() for line in bold(axes))
        assert second == pytest.approx(3 * first)
        assert levels(axes) == pytest.approx([1.705])
    key = [text.get_text() for text in figure.legends[0].get_texts()]
    assert key == ["baseline", "high", "ridge"]


def test_only_m_that_two_variants_share_have_a_panel() -> None:
    sweep = side_by_side(a=of([1.0, 8.0]), b=of([4.0, 8.0, math.inf]), baseline=of([16.0]))
    assert titles(draw("variants", sweep)) == ["M = 8"]
    apart = draw("variants", side_by_side(b=of([4.0]), baseline=of([16.0])))
    assert "no M that two variants share" in [
        text.get_text().replace("\n", " ") for text in texts(apart)
    ]
    alone = draw("variants", made_up_sweep(FEW, 1))
    assert "no M that two variants share" in [
        text.get_text().replace("\n", " ") for text in texts(alone)
    ]


def test_ridge_has_a_level_for_each_variant_where_tasks_differ() -> None:
    sweep = side_by_side("noisy", baseline=of(FEW))
    noisy = sweep["transient_ridge"]["variant"] == "noisy"
    sweep["transient_ridge"].loc[noisy, "ridge_ood_loss"] *= 2
    for axes in draw("variants", sweep).axes:
        assert levels(axes) == pytest.approx([1.705, 3.41])


def test_seeds_of_their_own_give_ridge_no_second_level() -> None:
    fewer = {
        name: frame[frame["seed"] == 0] if "seed" in frame else frame
        for name, frame in of(FEW).items()
    }
    for axes in draw("variants", side_by_side(baseline=of(FEW), fewer=fewer)).axes:
        assert levels(axes) == pytest.approx([1.705])


@pytest.mark.parametrize("number", [2, 9])
@pytest.mark.parametrize(("num_tasks", "num_seeds"), [(FEW, 1), (PAPER, 3), ([4.0], 20)])
def test_it_is_legible(num_tasks: list[float], num_seeds: int, number: int) -> None:
    names = ["a_name_as_long_as_names_may_be_" * 2, *map("variant_{}".format, range(1, number - 1))]
    sweep = side_by_side(*names, baseline=made_up_sweep(num_tasks, num_seeds))
    figure = draw("variants", sweep, smoothing_window=3)
    assert 1 <= len(titles(figure)) <= 8
    assert len(titles(figure)) == min(8, len(num_tasks)) or len(num_tasks) > 8
    shown = texts(figure)
    assert min(text.get_fontsize() for text in shown) >= 7
    assert overlapping(shown) == []
    looks = {(line.get_color(), str(line._unscaled_dash_pattern)) for line in bold(figure.axes[0])}
    assert len(looks) == number
