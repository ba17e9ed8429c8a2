"""The preconditioner against the same matrix written out."""

import math

import pytest
import torch
from matrices import normal, product_with, rotation, symmetric

from transience.complexity.curvature import lanczos
from transience.complexity.preconditioner import STIFF, Curvature, Preconditioner, measure_curvature
from transience.complexity.settings import Scales

SCALES = Scales(step_size=1e-3, nbeta=50.0, gamma=10.0)
H_STAR = 0.2
VALUES = torch.tensor([-3.0, -0.1, 0.0, 0.1, 0.5, 0.9, 1.1, 4.0, 30.0, 60.0], dtype=torch.float64)
HESSIAN = symmetric(VALUES.tolist())
SIZE = len(VALUES)


def preconditioner() -> Preconditioner:
    return Preconditioner.of(lanczos(product_with(HESSIAN), normal(SIZE, seed=1), SIZE), H_STAR)


def factors() -> torch.Tensor:
    """Of A along the columns of `rotation`: 1 up to curvature 5 h* = 1."""
    return torch.where(VALUES > 1.0, 1.2 / (VALUES + 0.2), 1.0)


def dense(exponent: float) -> torch.Tensor:
    columns = rotation(SIZE)
    return columns @ torch.diag(factors() ** exponent) @ columns.T


def test_what_is_stiffer_than_some_h_star_is_slowed_down():
    found = preconditioner()
    assert STIFF * H_STAR == 1.0
    torch.testing.assert_close(found.curvatures, VALUES[VALUES > 1.0], rtol=1e-8, atol=0)
    torch.testing.assert_close(found.factors, factors()[VALUES > 1.0], rtol=1e-8, atol=0)
    pace = found.factors * (found.curvatures + H_STAR)
    torch.testing.assert_close(pace, torch.full_like(pace, 1.2))


@pytest.mark.parametrize("exponent", [1.0, 0.5, -0.5, -1.0, 0.0])
def test_powers_are_those_of_the_matrix(exponent: float):
    x = normal(3, SIZE, seed=2)
    found = preconditioner().power(x, exponent)
    torch.testing.assert_close(found, x @ dense(exponent), rtol=1e-7, atol=1e-7)
    one_by_one = torch.stack([preconditioner().power(row, exponent) for row in x])
    torch.testing.assert_close(found, one_by_one)


def test_powers_add_up():
    found, x = preconditioner(), normal(SIZE, seed=2)
    half = found.power(x, 0.5)
    torch.testing.assert_close(found.power(half, 0.5), found.power(x, 1.0))
    torch.testing.assert_close(found.power(found.power(x, 1.0), -1.0), x)
    assert not torch.allclose(half, x, rtol=0.1)


@pytest.mark.parametrize("shape", [(), (2,), (2, 3)])
def test_a_move_is_the_matrix_times_drift_and_its_root_times_noise(shape: tuple[int, ...]):
    drift, noise = normal(*shape, SIZE, seed=2), normal(*shape, SIZE, seed=3)
    given = drift.clone(), noise.clone()
    found = preconditioner().move(drift, noise)
    expected = drift @ dense(1.0) + noise @ dense(0.5)
    torch.testing.assert_close(found, expected, rtol=1e-7, atol=1e-7)
    assert torch.equal(drift, given[0]) and torch.equal(noise, given[1])


def test_a_start_has_the_posteriors_variance_along_stiff_directions():
    anchor = normal(SIZE, seed=4)
    basis = torch.eye(SIZE, dtype=torch.float64)
    root = preconditioner().start(anchor, basis, SCALES) - anchor  # of the covariance
    variances = torch.diagonal(rotation(SIZE).T @ (root.T @ root) @ rotation(SIZE))
    stiff = VALUES > 1.0
    along = 1 / (SCALES.nbeta * VALUES[stiff] + SCALES.gamma)
    torch.testing.assert_close(variances[stiff], along, rtol=1e-7, atol=0)
    others = variances[~stiff]
    torch.testing.assert_close(others, torch.full_like(others, 1 / math.sqrt(10.0 * 60.0)))
    # as far off at curvature 0 as at the pace
    ends = [others[0] * SCALES.gamma, others[0] * (SCALES.nbeta * 1.0 + SCALES.gamma)]
    assert ends[0].item() == pytest.approx(1 / math.sqrt(STIFF + 1))
    assert ends[1].item() == pytest.approx(math.sqrt(STIFF + 1))


def test_a_start_is_drawn_around_the_anchor():
    anchor, given = normal(SIZE, seed=4), normal(20_000, SIZE, seed=5)
    starts = preconditioner().start(anchor, given, SCALES)
    spread = starts.std(dim=0) / math.sqrt(len(starts))
    assert ((starts.mean(dim=0) - anchor).abs() < 4 * spread).all()


def test_without_a_stiff_direction_it_is_the_identity():
    spectrum = lanczos(product_with(HESSIAN / 100), normal(SIZE, seed=1), SIZE)
    found, x = Preconditioner.of(spectrum, H_STAR), normal(2, SIZE, seed=2)
    assert found.directions.shape == (0, SIZE)
    assert torch.equal(found.power(x, 0.5), x)
    assert torch.equal(found.move(x, 2 * x), 3 * x)
    assert found.start(x[0], x[1], SCALES).isfinite().all()


# What it leaves


def measured(steps: int, scales: Scales = SCALES) -> Curvature:
    product = product_with(HESSIAN)
    spectrum = lanczos(product, normal(SIZE, seed=1), steps)
    return measure_curvature(product, spectrum, normal(SIZE, seed=6), scales)


def test_the_curvature_left_is_that_of_the_preconditioned_hessian():
    found = measured(SIZE)
    assert found.largest == pytest.approx(60.0)
    # A scales 60 by 1.2/60.2 and so on: 1.2 h/(h + h*), most for the stiffest
    half = dense(0.5)
    exact = torch.linalg.eigvalsh(half @ HESSIAN @ half)[-1].item()
    assert exact == pytest.approx(1.2 * 60 / 60.2)
    assert 0.97 * exact < found.remaining <= exact * (1 + 1e-9)


def test_what_few_steps_did_not_see_is_measured():
    """Ritz vectors that are not exact leave curvature, which is told."""
    found = measured(3)
    assert found.preconditioner is not None
    basis = torch.eye(SIZE, dtype=torch.float64)
    half = found.preconditioner.power(basis, 0.5)
    exact = torch.linalg.eigvalsh(half @ HESSIAN @ half)[-1].item()
    assert exact > 1.3
    assert found.remaining == pytest.approx(exact, rel=0.03)
    assert found.remaining <= exact * (1 + 1e-9)


def test_the_largest_curvature_is_the_larger_of_what_was_seen():
    """Of a soft Hessian nothing is taken away, and the second look may see more of it."""
    product = product_with(HESSIAN / 100)
    spectrum = lanczos(product, normal(SIZE, seed=1), 1)
    found = measure_curvature(product, spectrum, normal(SIZE, seed=6), SCALES)
    assert spectrum.largest < 0.5 < found.largest == found.remaining <= 0.6 + 1e-9


def test_stiffness_is_that_of_the_curvature_left():
    found = Curvature(largest=100.0, remaining=3.0, preconditioner=None)
    assert SCALES.stiffness(found.remaining) == pytest.approx(1e-3 * (50 * 3 + 10) / 4)


def test_without_a_pull_there_is_no_preconditioner():
    found = measured(SIZE, SCALES.model_copy(update={"gamma": 0.0}))
    assert found.preconditioner is None
    assert found.largest == found.remaining == pytest.approx(60.0)
