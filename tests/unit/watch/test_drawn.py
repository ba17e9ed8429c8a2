"""What is drawn of a training: few points, none made up."""

import json
import math

import numpy as np
import pytest
from made_up_lines import run_lines

from transience.watch.drawn import (
    LEAST_POINTS,
    MOST_POINTS,
    SWEEP,
    _means,
    _numbers,
    _thinned,
    as_json,
    curves,
    layout,
    points_each,
)
from transience.watch.losses import Losses
from transience.watch.monitor import Monitor
from transience.watch.places import places
from transience.watch.watched import Watched


def watched(folder):
    (place,) = places(folder)
    one = Watched(place)
    one.look()
    return one


@pytest.mark.parametrize("count", [0, 1, 5, 40, 41, 500, 2000])
def test_groups_cover_all_steps_and_keep_the_last_apart(count):
    edges = _thinned(np.arange(count), 40)
    assert edges[0] == 0 and edges[-1] == count
    assert (np.diff(edges) > 0).all() and len(edges) - 1 <= 40
    if count > 1:
        assert edges[-2] == count - 1


def test_points_are_means_of_what_is_known():
    values = np.array([1.0, 3.0, math.nan, 5.0, math.nan, math.nan])
    np.testing.assert_array_equal(_means(values, np.array([0, 2, 4, 6])), [2, 5, math.nan])
    assert len(_means(np.zeros(0), np.array([0]))) == 0


def test_numbers_are_short_and_finite():
    values = np.array([1234.56, 0.00012345, 3.0, math.nan, math.inf])
    assert _numbers(values) == [1230, 0.000123, 3, None, None]
    assert as_json({"a": "</script>"}) == '{"a":"\\u003c/script>"}'


def test_every_curve_of_the_layout_is_there(tmp_path):
    run_lines(tmp_path)
    one = watched(tmp_path)
    one.tested(Losses(by_step={0: [4, 4, 4, 0.5], 90: [1, 2, 3, 0.9]}, ridge=[1, 2, 3],
                      dmmse=[4, 5, 6]))  # fmt: skip
    found = curves(one, 50)
    for plot in layout(one):
        for key, *_ in plot["curves"] + plot["constants"]:
            points = found[key]
            if isinstance(points, list):
                steps = found["t" if key in ("t0", "t1", "t2", "t3") else "l"]
                assert len(points) == len(steps) <= 50
    assert found["t3"] == [0.5, 0.1]  # nearness to dMMSE, as the projection runs
    assert (found["r1"], found["d0"]) == (2, 4)
    json.loads(as_json(found))


def test_m_infinite_has_no_line_to_be_on(tmp_path):
    run_lines(tmp_path, math.inf)
    one = watched(tmp_path)
    one.tested(Losses(by_step={0: [4, 4, 4, 0.5]}, ridge=[1] * 3, dmmse=[1] * 3))
    found = curves(one, 50)
    assert found["t3"] == [None] and set(found["projection"]) == {None}


def test_a_run_without_files_has_nothing_to_draw(tmp_path):
    (tmp_path / "runs/baseline/M8_seed0").mkdir(parents=True)
    one = watched(tmp_path)
    assert curves(one, 50) == {} and layout(one) is SWEEP


def test_anyones_training_has_a_plot_of_losses_and_one_of_each_indicator(tmp_path):
    monitor = Monitor(tmp_path / "a.jsonl", every=1, references={"b": 0.5})
    for step in range(1, 4):
        monitor(step, {"a": 1.0, "b": 2.0}, {"norm": 3.0, "accuracy": 0.1})
    one = watched(tmp_path)
    losses, *others = layout(one)
    assert [name for _, name, _ in losses["curves"]] == ["a", "b"]
    assert [name for _, name, _ in losses["constants"]] == ["reference of b"]
    assert [plot["title"] for plot in others] == ["norm", "accuracy"]
    assert curves(one, 50)["ref b"] == 0.5


def test_a_curve_may_have_any_name(tmp_path):
    names = ["l", "t", "t0", "r1", "zero", "one", "sequences", "ref l"]
    monitor = Monitor(tmp_path / "a.jsonl", every=1, references={"l": 0.5})
    for step in range(1, 4):
        monitor(step, {"l": 7.0}, {name: 8.0 for name in names[1:]})
    one = watched(tmp_path)
    found, plots = curves(one, 50), layout(one)
    shown = {name: found[key] for plot in plots for key, name, _ in plot["curves"]}
    assert shown == {name: [7 if name == "l" else 8] * 3 for name in names}
    assert (found["l"], found["zero"], found["one"], found["ref l"]) == ([1, 2, 3], 0, 1, 0.5)


def test_a_page_of_many_runs_has_fewer_points_of_each():
    assert points_each(0) == points_each(26) == MOST_POINTS
    assert LEAST_POINTS < points_each(520) < points_each(200) <= MOST_POINTS
    assert points_each(10_000) == LEAST_POINTS
