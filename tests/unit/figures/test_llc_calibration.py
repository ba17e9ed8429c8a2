"""The figure of a calibration, from a made-up one."""

import math

import pytest
from legible import overlapping, texts
from made_up_calibration import made_up, made_up_curvature

from transience.complexity.calibration.ordering import ordering_table
from transience.figures.draw import draw


@pytest.mark.parametrize("steps", [[1000, 25000], [25000]])
def test_the_figure_is_labelled_and_legible(steps: list[int]) -> None:
    calibration = made_up(num_tasks=(1.0, 4.0, 8.0, 12.0, 16.0, 64.0, math.inf))
    calibration = calibration[calibration["step"].isin(steps)]
    read = {
        "llc_calibration": calibration,
        "llc_curvature": made_up_curvature(calibration),
        "llc_ordering": ordering_table(calibration),
    }
    figure = draw("llc_calibration", read)
    assert len(figure.axes) == 3 * (len(steps) + 1)
    for axes in figure.axes:
        assert axes.has_data() and axes.get_title(loc="left")
        assert axes.get_xlabel()
        assert axes.get_ylabel() or axes.get_subplotspec().colspan.start > 0
    shown = texts(figure)
    assert overlapping(shown) == []
    assert min(text.get_fontsize() for text in shown) >= 7


@pytest.mark.parametrize("num_tasks", [(math.inf,), (1.0, 8.0)])
@pytest.mark.parametrize("diverged", [False, True])
def test_one_m_alone_and_diverged_chains_are_drawn(num_tasks: tuple, diverged: bool) -> None:
    calibration = made_up(num_tasks=num_tasks)
    if diverged:
        numbers = ["llc", "centred_llc", "descent", "loss_rise_fraction", "acceptance", "rhat"]
        calibration[numbers], calibration["diverged"] = math.nan, True
    read = {
        "llc_calibration": calibration,
        "llc_curvature": made_up_curvature(calibration),
        "llc_ordering": ordering_table(calibration),
    }
    said = [text.get_text().replace("\n", " ") for text in texts(draw("llc_calibration", read))]
    assert ("one M, nothing to order" in said) == (len(num_tasks) == 1)
    assert ("every difference is missing" in said) == (len(num_tasks) > 1 and diverged)


@pytest.mark.parametrize(("lowered", "labels"), [(0.73, 2), (0.98, 2), (0.25, 3)])
def test_a_step_size_that_was_lowered_has_a_label_if_there_is_room(lowered, labels) -> None:
    calibration = made_up(num_tasks=(1.0, 8.0))
    configured = (calibration["setting"] == "configured") & (calibration["num_tasks"] == 8)
    calibration.loc[configured, "step_size"] *= lowered
    read = {
        "llc_calibration": calibration,
        "llc_curvature": made_up_curvature(calibration),
        "llc_ordering": ordering_table(calibration),
    }
    figure = draw("llc_calibration", read)
    assert overlapping(texts(figure)) == []
    assert len(figure.axes[1].get_xticks()) == labels
