"""Variants side by side: which M, which curves, and the level of ridge."""

import math

import pandas as pd
import pytest
from legible import overlapping, texts
from made_up import FEW, PAPER, Tables, made_up_sweep, side_by_side
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from transience.figures.draw import draw
from transience.figures.panels import COLOURS
from transience.figures.variants import ONE_OF_MANY as MAIN_ONE


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
    own = [line for line in own if line.get_marker() == "None"]
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


def many(num_tasks: list[float], num_seeds: int = 1, **own: Tables) -> Tables:
    """`baseline` beside ten variants, of two kinds."""
    names = [f"variant_{number}" for number in range(10)]
    sweep = side_by_side(*names, baseline=made_up_sweep(num_tasks, num_seeds), **own)
    row = sweep["interventions"].drop_duplicates(["num_tasks", "seed"])
    decay = {"kind": "weight_decay", "weight_decay_of": "all"}
    kinds = [row.assign(variant=name, value=0.1 * n) for n, name in enumerate(names)]
    kinds[2:] = [frame.assign(**decay) for frame in kinds[2:]]
    return sweep | {"interventions": pd.concat(kinds, ignore_index=True)}


def test_many_variants_have_a_row_for_each_kind_and_the_main_one_in_each() -> None:
    figure = draw("variants", many([8.0, 64.0]))
    keys = [axes.get_legend() for axes in figure.axes if axes.get_legend()]
    assert [key.get_title().get_text() for key in keys] == ["share of new tasks", "weight decay"]
    assert [len(key.get_texts()) for key in keys] == [2, 8]
    assert titles(figure)[:2] == ["M = 8", "M = 64"]
    panels = [axes for axes in figure.axes if axes.axison]
    assert [len(bold(axes)) for axes in panels] == [3, 3, 9, 9]
    greys = [sum(line.get_color() == MAIN_ONE["color"] for line in bold(axes)) for axes in panels]
    assert greys == [1, 1, 1, 1]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["baseline", "ridge"]
    assert len({axes.get_ylim() for axes in panels}) == 1


def test_a_row_says_where_its_kind_was_not_tried() -> None:
    sweep = many([8.0, 64.0])
    few = ["variant_0", "variant_1"]
    for name in ("evaluation", "transient_ridge"):
        frame = sweep[name]
        sweep[name] = frame[(frame["num_tasks"] == 8) | ~frame["variant"].isin(few)]
    panels = draw("variants", sweep).axes
    said = [[text.get_text().replace("\n", " ") for text in axes.texts] for axes in panels]
    assert [words for words in said if words] == [["no such variant"]]


def test_rows_need_no_main_variant_of_that_m() -> None:
    sweep = many([8.0, 64.0])
    for name in ("evaluation", "transient_ridge"):
        frame = sweep[name]
        sweep[name] = frame[(frame["num_tasks"] == 8) | (frame["variant"] != "baseline")]
    panels = [axes for axes in draw("variants", sweep).axes if axes.axison]
    assert [len(bold(axes)) for axes in panels] == [3, 2, 9, 8]


def test_columns_of_many_m_go_from_the_least_to_the_greatest() -> None:
    shown = titles(draw("variants", many([1.0, 4.0, 8.0, 16.0, 64.0, math.inf])))
    assert len(shown) >= 4
    assert (shown[0], shown[3]) == ("M = 1", "M = ∞")


def test_variants_without_a_shared_m_have_no_row() -> None:
    sweep = many([8.0], lonely=made_up_sweep([4.0], 1))
    keys = [axes.get_legend() for axes in draw("variants", sweep).axes if axes.get_legend()]
    assert "lonely" not in [text.get_text() for key in keys for text in key.get_texts()]


def test_a_dot_is_where_a_seed_ends() -> None:
    sweep = many([8.0], 2)
    late = sweep["evaluation"]["step"].max()
    short = (sweep["evaluation"]["variant"] == "variant_0") & (sweep["evaluation"]["seed"] == 1)
    short &= sweep["evaluation"]["step"] > late / 2
    sweep["evaluation"] = sweep["evaluation"][~short]
    panel = draw("variants", sweep).axes[0]
    dots = [line for line in panel.lines if line.get_marker() == "o"]
    ends = sorted(line.get_xdata()[0] for line in dots if line.get_color() == COLOURS[0])
    assert ends[0] <= late / 2 and ends[1] == late


def test_variants_without_a_control_have_rows_too() -> None:
    sweep = many([8.0])
    sweep["interventions"] = sweep["interventions"].iloc[:0]
    figure = draw("variants", sweep)
    keys = [axes.get_legend() for axes in figure.axes if axes.get_legend()]
    assert [len(key.get_texts()) for key in keys] == [5, 5]


@pytest.mark.parametrize("num_tasks", [[4.0], PAPER])
def test_many_are_legible(num_tasks: list[float]) -> None:
    sweep = many(num_tasks, 2)
    long = {f"variant_{n}": f"a_name_as_long_as_names_may_be_{n}_" * 2 for n in range(8)}
    for name in ("evaluation", "transient_ridge", "interventions"):
        sweep[name] = sweep[name].replace({"variant": long})
    shown = texts(draw("variants", sweep, smoothing_window=3))
    assert min(text.get_fontsize() for text in shown) >= 7
    assert overlapping(shown) == []


@pytest.mark.parametrize("number", [2, 8])
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
