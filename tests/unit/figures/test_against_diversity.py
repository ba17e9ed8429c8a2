"""Points, bands and means against M."""

import itertools
import math

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from transience.figures.against_diversity import SPREAD, draw_against_diversity
from transience.figures.style import DiversityScale

SCALE = DiversityScale.of([2.0, 8.0, math.inf])


def rows(seeds: int) -> pd.DataFrame:
    """A value of M + seed for each run of M = 2, 8 and inf."""
    runs = pd.DataFrame(
        itertools.product(SCALE.values, range(seeds)), columns=["num_tasks", "seed"]
    )
    return runs.assign(value=runs["num_tasks"].replace(math.inf, 100) + runs["seed"])


def drawn(seeds: int) -> Axes:
    axes = Figure().subplots()
    look = {"shape": "o", "colour": "#000000", "filled": False}
    draw_against_diversity(axes, rows(seeds), "value", SCALE, **look)
    return axes


def test_few_seeds_are_points_side_by_side_and_the_mean_stops_before_infinity() -> None:
    points, mean = drawn(2).lines
    assert points.get_ydata().tolist() == [2, 3, 8, 9, 100, 101]
    places = points.get_xdata().reshape(3, 2)
    np.testing.assert_allclose(places.mean(axis=1), SCALE.positions(SCALE.values))
    np.testing.assert_allclose(np.diff(places), SPREAD)
    assert mean.get_xydata().tolist() == [[1, 2.5], [3, 8.5]]


def test_many_seeds_are_a_band() -> None:
    axes = drawn(20)
    (band,) = axes.collections
    heights = band.get_paths()[0].vertices[:, 1]
    assert (heights.min(), heights.max()) == (2, 8 + 19)
    assert axes.lines[0].get_ydata().tolist() == [11.5, 17.5, 109.5]
