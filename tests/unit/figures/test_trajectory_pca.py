"""Joint trajectories: marks on the paths, and the predictors."""

import numpy as np
from made_up import FEW, made_up_sweep

from transience.figures.draw import draw


def test_planes_mark_t_crit_the_end_and_the_predictors() -> None:
    tables = made_up_sweep(FEW, 2)
    plane = draw("trajectory_pca", tables).axes[1]  # of seed 1
    of_seed = tables["trajectory_pca"].query("seed == 1")
    runs = tables["transient_ridge"].query("seed == 1")
    marks = {
        shape: np.array(
            [line.get_xydata()[0] for line in plane.lines if line.get_marker() == shape]
        )
        for shape in "o*Ds"
    }
    points = of_seed.set_index(["num_tasks", "step"])[["pc1", "pc2"]]
    critical = [points.loc[(m, t)] for m, t in zip(runs["num_tasks"], runs["t_crit"], strict=True)]
    np.testing.assert_allclose(marks["o"], critical)
    np.testing.assert_allclose(marks["*"], [points.loc[(m, 10_000)] for m in FEW])
    dmmse = of_seed.query("predictor == 'dmmse' and num_tasks < inf")[["pc1", "pc2"]]
    np.testing.assert_allclose(marks["D"], dmmse)
    np.testing.assert_allclose(marks["s"], [[6.0, 3.0]])


def test_axes_tell_the_variance_explained() -> None:
    plane, *_ = draw("trajectory_pca", made_up_sweep(FEW, 1)).axes
    assert (plane.get_xlabel(), plane.get_ylabel()) == ("PC1 (60% of variance)", "PC2 (30%)")
