"""Branches in the plane of their parent: where they leave and end, and reasons for empty panels."""

import math

import numpy as np
import pandas as pd
import pytest
from legible import overlapping, texts
from made_up import made_up_sweep, without_components
from matplotlib.axes import Axes
from matplotlib.colors import same_color

from transience.figures.branches import OTHERS, PARENT
from transience.figures.draw import draw
from transience.figures.panels import COLOURS


def tables(num_seeds: int = 2) -> dict[str, pd.DataFrame]:
    return dict(made_up_sweep([8, 64, math.inf], num_seeds))


def with_branches(made: dict[str, pd.DataFrame], *names: str) -> dict[str, pd.DataFrame]:
    """The branch of the made-up sweep again under other names, the later ones shorter."""
    points, runs = made["branch_trajectories"], made["interventions"]
    later = [points[points["step"] >= 5_000 + 500 * n] for n in range(len(names))]
    renamed = [one.assign(variant=name) for one, name in zip(later, names, strict=True)]
    return made | {
        "branch_trajectories": pd.concat(renamed),
        "interventions": pd.concat([runs.assign(variant=name) for name in names]),
    }


def marked(axes: Axes, shape: str) -> list:
    return [line for line in axes.lines if line.get_marker() == shape]


def test_a_branch_leaves_its_parent_and_ends():
    made = tables()
    figure = draw("branches", made)
    assert [axes.get_title(loc="left") for axes in figure.axes[:3]] == ["M = 8", "M = 64", "M = ∞"]
    points = made["branch_trajectories"].query("num_tasks == 8 and seed == 0").sort_values("step")
    path = points[["pc1", "pc2"]].to_numpy()
    axes = figure.axes[0]
    (line,) = [
        one for one in axes.lines if one.get_color() == COLOURS[0] and one.get_marker() == "None"
    ]
    np.testing.assert_allclose(line.get_xydata(), path)
    for shape, expected in (("o", path[0]), ("*", path[-1])):
        (mark,) = marked(axes, shape)
        np.testing.assert_allclose(mark.get_xydata(), [expected])
    parent = made["trajectory_pca"].query("num_tasks == 8 and seed == 0 and predictor.isna()")
    on = parent[parent["step"] == points["step"].min()][["pc1", "pc2"]]
    np.testing.assert_allclose(on, path[:1])


def test_a_branch_is_smoothed_together_with_what_its_parent_did_before():
    made = tables()
    points = made["branch_trajectories"].query("num_tasks == 8 and seed == 0").sort_values("step")
    path = points[["pc1", "pc2"]].to_numpy()
    parent = made["trajectory_pca"].query("num_tasks == 8 and seed == 0 and predictor.isna()")
    before = parent[parent["step"] < points["step"].min()].sort_values("step")
    last = before[["pc1", "pc2"]].to_numpy()[-1]
    axes = draw("branches", made, smoothing_window=3).axes[0]
    (line,) = [
        one for one in axes.lines if one.get_color() == COLOURS[0] and one.get_marker() == "None"
    ]
    drawn = line.get_xydata()
    np.testing.assert_allclose(drawn[0], np.mean([last, *path[:2]], axis=0))
    np.testing.assert_allclose(drawn[3], path[2:5].mean(axis=0))
    np.testing.assert_allclose(drawn[-1], path[-1])
    for shape, expected in (("o", drawn[0]), ("*", path[-1])):
        (mark,) = marked(axes, shape)
        np.testing.assert_allclose(mark.get_xydata(), [expected])


def test_a_branch_of_a_branch_begins_where_it_leaves():
    made = tables()
    made["branch_trajectories"]["parent"] = "other"
    points = made["branch_trajectories"].query("num_tasks == 8 and seed == 0").sort_values("step")
    (mark,) = marked(draw("branches", made, smoothing_window=3).axes[0], "o")
    np.testing.assert_allclose(mark.get_xydata()[0], points[["pc1", "pc2"]].head(2).mean())


def test_the_parent_is_darker_than_the_paths_of_other_m():
    for axes in draw("branches", tables()).axes[:3]:
        greys = [line.get_color() for line in axes.lines if line.get_color() in (OTHERS, PARENT)]
        assert sorted(greys) == sorted([PARENT, OTHERS, OTHERS])


def test_ridge_and_dmmse_stand_in_each_panel():
    axes = draw("branches", tables()).axes[0]
    (ridge,), (dmmse,) = marked(axes, "s"), marked(axes, "D")
    assert ridge.get_xydata().tolist() == [[6.0, 3.0]]
    assert same_color(ridge.get_color(), dmmse.get_color())


def test_rows_are_kinds_and_their_keys_name_the_variants_as_they_leave():
    names = [f"b{9 - number}" for number in range(len(COLOURS) + 1)]
    made = with_branches(tables(), *names)
    made["interventions"].loc[made["interventions"]["variant"] == "b9", "kind"] = "none"
    figure = draw("branches", made)
    keys = [axes.get_legend() for axes in figure.axes if axes.get_legend()]
    assert [key.get_title().get_text().replace("\n", " ") for key in keys] == [
        "other settings", "share of new tasks"
    ]  # fmt: skip
    assert [[text.get_text() for text in key.get_texts()] for key in keys] == [["b9"], names[1:]]


def test_more_variants_than_colours_have_rows_of_their_own():
    names = [f"b{number:02}" for number in range(len(COLOURS) + 2)]
    figure = draw("branches", with_branches(tables(), *names))
    keys = [axes.get_legend() for axes in figure.axes if axes.get_legend()]
    assert [len(key.get_texts()) for key in keys] == [len(COLOURS) // 2 + 1] * 2


def test_branches_of_the_main_variant_are_shown():
    made = tables()
    other = made["branch_trajectories"].assign(variant="a", plane="a_root")
    made["branch_trajectories"] = pd.concat([other, made["branch_trajectories"]])
    (key,) = [axes.get_legend() for axes in draw("branches", made).axes if axes.get_legend()]
    assert [text.get_text() for text in key.get_texts()] == ["fresh"]


def test_a_branch_without_a_control_is_drawn():
    made = tables(1)
    made["interventions"] = made["interventions"].iloc[:0]
    (key,) = [axes.get_legend() for axes in draw("branches", made).axes if axes.get_legend()]
    assert key.get_title().get_text().replace("\n", " ") == "other variants"


def test_a_sweep_without_branches_says_so():
    made = tables()
    made["branch_trajectories"] = made["branch_trajectories"].iloc[:0]
    said = [text.get_text().replace("\n", " ") for text in texts(draw("branches", made))]
    assert said == ["no variant branches from another one"]


@pytest.mark.parametrize("kept", [0, 1])
def test_checkpoints_that_span_no_plane(kept: int):
    made = without_components(made_up_sweep([8, 64], 1), kept)
    later = [f"pc{number}" for number in range(kept + 1, 5)]
    made["branch_trajectories"][later] = math.nan
    for axes in draw("branches", made).axes[:2]:
        (said,) = [text.get_text().replace("\n", " ") for text in axes.texts]
        assert said == "the checkpoints span no plane"


@pytest.mark.parametrize("num_tasks", [[8.0], [4.0, 8.0, 16.0, 64.0, 128.0, math.inf]])
def test_it_is_legible(num_tasks: list[float]):
    names = ["a_name_as_long_as_names_may_be_" * 2, *map("branch_{}".format, range(20))]
    shown = texts(draw("branches", with_branches(made_up_sweep(num_tasks, 2), *names)))
    assert min(text.get_fontsize() for text in shown) >= 7
    assert overlapping(shown) == []
