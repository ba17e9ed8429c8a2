"""The figure of loss and LLC over training: what stands in its panels."""

import numpy as np
import pandas as pd
import pytest
from made_up import FEW, Tables, made_up_sweep
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from transience.figures.draw import draw
from transience.files.selections import mean_over_positions


def with_course(tables: Tables) -> Tables:
    """The LLC at two earlier checkpoints too, 20 and 10 higher than at the end."""
    llc, steps = tables["llc"], sorted(tables["evaluation"]["step"].unique())
    earlier = [
        llc.assign(step=step, centred_llc=llc["centred_llc"] + more, flags="")
        for step, more in ((steps[-10], 20), (steps[-5], 10))
    ]
    return tables | {"llc": pd.concat([*earlier, llc], ignore_index=True)}


@pytest.fixture
def tables() -> Tables:
    return with_course(made_up_sweep(FEW, 2))


def points(axes: Axes, *, hollow: bool) -> np.ndarray:
    """Coordinates of circles, sorted."""
    white = (1, 1, 1)
    circles = [line for line in axes.lines if line.get_marker() == "o" and len(line.get_xdata())]
    chosen = [line for line in circles if (to_rgb(line.get_markerfacecolor()) == white) == hollow]
    return np.array(sorted(xy for line in chosen for xy in line.get_xydata().tolist()))


def words(figure: Figure) -> list[str]:
    return [text.get_text() for legend in figure.legends for text in legend.get_texts()]


def test_llc_is_the_mean_of_seeds_in_a_band_of_their_range(tables: Tables) -> None:
    axes = draw("llc_over_training", tables).axes[1]
    runs = tables["llc"].groupby(["num_tasks", "step", "seed"])["centred_llc"].mean()
    means = runs.groupby(["num_tasks", "step"]).mean()
    shown = np.concatenate([points(axes, hollow=False), points(axes, hollow=True)])
    expected = sorted((float(step), mean) for (_, step), mean in means.items())
    np.testing.assert_allclose(sorted(shown.tolist()), expected)
    assert [step for step, _ in points(axes, hollow=True)] == [10_000]  # only M = inf has flags
    for band, (_, seeds) in zip(axes.collections, runs.groupby("num_tasks"), strict=True):
        heights = {y for path in band.get_paths() for _, y in path.vertices}
        assert {round(h, 6) for h in heights} == {round(llc, 6) for llc in seeds}


def test_paths_end_in_a_star_at_the_last_loss_and_llc(tables: Tables) -> None:
    axes = draw("llc_over_training", tables).axes[2]
    losses = mean_over_positions(tables["evaluation"], "training")
    losses = losses[losses["step"] == 10_000].groupby("num_tasks")["loss"].mean()
    last = tables["llc"][tables["llc"]["step"] == 10_000]
    expected = np.stack([losses, last.groupby("num_tasks")["centred_llc"].mean()], axis=1)
    stars = [line.get_xydata()[0] for line in axes.lines if line.get_marker() == "*"]
    np.testing.assert_allclose(stars, expected)
    assert len(axes.texts) == 2 * len(FEW)  # an arrow from each checkpoint to the next


def test_indicator_against_llc_of_every_checkpoint(tables: Tables) -> None:
    axes = draw("llc_over_training", tables).axes[3]
    assert len(points(axes, hollow=False)) == 16 and len(points(axes, hollow=True)) == 2
    assert axes.get_xlabel().splitlines()[1:] == [
        "rank correlation (of the loss), all points 0.91 (0.60)",  # none within a run in the table
        "at the end 0.83, loss held fixed 0.50",
    ]


def test_what_has_no_place_on_log_axes_is_counted(tables: Tables) -> None:
    llc = tables["llc"]
    below = llc["centred_llc"].where(llc["num_tasks"] > 1, -1.0)
    axes = draw("llc_over_training", tables | {"llc": llc.assign(centred_llc=below)}).axes[3]
    assert len(points(axes, hollow=False)) == 10
    assert "missing or not above 0: 6 points" in axes.get_xlabel()


def test_missing_llc_is_a_cross_at_its_step() -> None:
    sound, diverged = made_up_sweep(FEW, 2), made_up_sweep(FEW, 2, diverged=[8.0])
    figure = draw("llc_over_training", diverged)
    crosses = [line.get_xdata() for line in figure.axes[1].lines if line.get_marker() == "x"]
    assert np.concatenate(crosses).tolist() == [10_000]
    assert "LLC missing (diverged)" in words(figure)
    assert "LLC missing (diverged)" not in words(draw("llc_over_training", sound))
