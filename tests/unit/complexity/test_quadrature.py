"""Stochastic Lanczos quadrature against sums over known spectra."""

import math

import numpy as np
import pytest
import torch
from matrices import product_with, signs, symmetric

from transience.complexity.quadrature import quadrature

H_STARS = [3.0, 0.1]
VALUES = np.geomspace(1e-3, 30.0, 60)


def counted(values: np.ndarray, h_star: float) -> float:
    return float(np.sum(values / (np.abs(values) + h_star)) / 2)


def probed(hessian: torch.Tensor, number: int, steps: int, seed: int = 0):
    probes = list(signs(number, len(hessian), seed=seed))
    return quadrature(product_with(hessian), probes, H_STARS, steps)


def test_a_row_a_probe_and_h_star():
    told = []
    probes = list(signs(3, 4))
    hessian = product_with(symmetric([1.0, 2.0, 3.0, 4.0]))
    table = quadrature(hessian, probes, H_STARS, 3, lambda: told.append(1))
    assert table.columns.tolist() == ["h_star", "probe", "llc", "negative_part"]
    expected = [[h, probe] for probe in range(3) for h in H_STARS]
    assert table[["h_star", "probe"]].to_numpy().tolist() == expected
    assert len(told) == 3


def test_the_mean_over_probes_is_the_sum_over_the_spectrum():
    table = probed(symmetric(VALUES.tolist()), number=100, steps=30)
    for h_star, group in table.groupby("h_star"):
        error = group["llc"].std() / math.sqrt(len(group))
        assert 0 < error < 0.03 * counted(VALUES, h_star)
        assert abs(group["llc"].mean() - counted(VALUES, h_star)) < 4 * error
        assert (group["negative_part"].abs() < 1e-9).all()


def test_one_probe_is_exact_on_a_diagonal_hessian():
    """zᵀ f(H) z = Σ f(h) for signs z, whatever they are; not so for normal numbers."""
    values = np.concatenate([VALUES[::6], [-2.0, -0.05]])
    table = probed(torch.diag(torch.from_numpy(values)), number=3, steps=len(values))
    for h_star, group in table.groupby("h_star"):
        np.testing.assert_allclose(group["llc"], counted(values, h_star), rtol=1e-9)
        negative = counted(values[values < 0], h_star)
        np.testing.assert_allclose(group["negative_part"], negative, rtol=1e-9)
        assert negative < 0


def test_curvatures_around_nothing_cancel():
    values = np.concatenate([np.linspace(-0.2, 0.2, 30), [5.0]])
    table = probed(torch.diag(torch.from_numpy(values)), number=1, steps=31)
    at = table.set_index("h_star")
    assert at.loc[0.1, "llc"] == pytest.approx(0.5 * 5 / 5.1)
    assert at.loc[0.1, "negative_part"] < -2


def test_the_error_falls_with_the_number_of_probes():
    hessian, errors = symmetric(VALUES.tolist()), []
    for number in (4, 64):
        means = [
            probed(hessian, number, 20, seed).groupby("h_star")["llc"].mean() for seed in range(12)
        ]
        spread = [[mean[h_star] - counted(VALUES, h_star) for h_star in H_STARS] for mean in means]
        errors.append(np.sqrt(np.mean(np.square(spread), axis=0)))
    assert (errors[0] / errors[1] > 2).all() and (errors[0] / errors[1] < 8).all()  # 4 each


def test_a_smaller_h_star_needs_more_steps():
    """Of an ill-conditioned spectrum: few steps are exact only where h* smooths the function."""
    diagonal = torch.diag(torch.from_numpy(VALUES))
    rows = probed(diagonal, number=1, steps=8).set_index("h_star")["llc"]
    wrong = {h: abs(rows[h] / counted(VALUES, h) - 1) for h in H_STARS}
    assert wrong[3.0] < 1e-3 < wrong[0.1] < 0.2
