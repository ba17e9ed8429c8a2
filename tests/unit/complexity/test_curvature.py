"""Lanczos iteration on matrices whose spectrum is known, and on a transformer's Hessian."""

import math

import pytest
import torch
from matrices import normal, product_with, rotation, symmetric
from small import small_run

from transience.complexity.curvature import hessian_product, lanczos
from transience.errors import InputError
from transience.model.transformer import initial_parameters, sequence_losses, unflatten

VALUES = torch.linspace(-9.0, 7.0, 12, dtype=torch.float64)


def test_as_many_steps_as_parameters_find_every_eigenvalue_and_direction():
    hessian = symmetric(VALUES.tolist())
    found = lanczos(product_with(hessian), normal(12, seed=1), 12)
    torch.testing.assert_close(found.values, VALUES, rtol=0, atol=1e-10)
    torch.testing.assert_close(
        found.vectors @ found.vectors.T, torch.eye(12, dtype=torch.float64), rtol=0, atol=1e-10
    )
    torch.testing.assert_close(
        found.vectors @ hessian, found.values[:, None] * found.vectors, rtol=0, atol=1e-8
    )
    assert found.largest == pytest.approx(7.0)  # the most positive, not the largest in size


def test_there_are_no_more_steps_than_parameters():
    assert len(lanczos(product_with(symmetric([1.0, 2.0, 5.0])), normal(3), 10).values) == 3


def test_few_steps_find_the_stiffest_directions():
    values = torch.linspace(-1.0, 1.0, 200, dtype=torch.float64)
    values[-3:] = torch.tensor([20.0, 50.0, 90.0])
    found = lanczos(product_with(symmetric(values.tolist())), normal(200, seed=1), 12)
    assert len(found.values) == 12
    torch.testing.assert_close(found.values[-3:], values[-3:], rtol=1e-6, atol=0)
    along = (found.vectors[-3:] * rotation(200)[:, -3:].T).sum(dim=1).abs()
    torch.testing.assert_close(along, torch.ones_like(along), rtol=0, atol=1e-6)


def test_ritz_values_are_never_above_the_largest_eigenvalue():
    hessian, start = symmetric(torch.linspace(0.0, 7.0, 60).tolist()), normal(60, seed=1)
    largest = [lanczos(product_with(hessian), start, steps).largest for steps in range(1, 20)]
    assert largest == sorted(largest) and largest[0] < 6 < largest[-1] <= 7 + 1e-10


def test_vectors_stay_orthogonal_in_single_precision_long_after_the_stiffest_is_found():
    """Without making each orthogonal to all before it, copies of the stiffest would turn up."""
    values = torch.cat([torch.linspace(0.0, 1.0, 299), torch.tensor([1000.0])]).tolist()
    hessian = symmetric(values).float()
    found = lanczos(product_with(hessian), normal(300, seed=1).float(), 60)
    overlaps = found.vectors @ found.vectors.T - torch.eye(60)
    assert overlaps.abs().max() < 1e-5
    assert (found.values > 500).sum() == 1


def test_a_start_in_an_invariant_subspace_sees_only_that():
    columns = rotation(12)
    start = columns[:, [2, 5, 11]] @ torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)
    found = lanczos(product_with(symmetric(VALUES.tolist())), start, 10)
    torch.testing.assert_close(found.values, VALUES[[2, 5, 11]], rtol=0, atol=1e-9)
    expected = torch.tensor([1.0, 4.0, 0.25], dtype=torch.float64) / 5.25
    torch.testing.assert_close(found.weights, expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize("rank", [0, 1, 3])
def test_a_hessian_of_low_rank_is_exhausted_early(rank: int):
    """Its range, and one direction of the rest, hold all there is."""
    values = [0.0] * (40 - rank) + [2.0, 3.0, 8.0][:rank]
    found = lanczos(product_with(symmetric(values)), normal(40, seed=1), 20)
    expected = torch.tensor([0.0, *values[40 - rank :]], dtype=torch.float64)
    torch.testing.assert_close(found.values, expected, rtol=0, atol=1e-9)
    assert found.vectors.isfinite().all() and found.weights.sum().item() == pytest.approx(1)


@pytest.mark.parametrize("function", [torch.exp, torch.abs, lambda h: h / (h.abs() + 0.3)])
def test_weights_give_quadratic_forms_exactly_at_full_length(function):
    columns, start = rotation(12), normal(12, seed=1)
    found = lanczos(product_with(symmetric(VALUES.tolist())), start, 12)
    exact = (columns.T @ start).square() @ function(VALUES)
    by_lanczos = start.square().sum() * (found.weights @ function(found.values))
    assert by_lanczos.item() == pytest.approx(exact.item(), rel=1e-10)


@pytest.mark.parametrize("steps", [2, 4])
def test_weights_give_moments_exactly_up_to_twice_the_steps_less_one(steps: int):
    hessian, start = symmetric(VALUES.tolist()), normal(12, seed=1)
    found = lanczos(product_with(hessian), start, steps)
    for power in range(2 * steps + 1):
        exact = start @ torch.linalg.matrix_power(hessian, power) @ start / start.square().sum()
        close = (found.weights @ found.values**power).item() == pytest.approx(exact.item())
        assert close == (power < 2 * steps)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_hessian_that_is_not_finite_is_refused(bad: float):
    hessian = symmetric(VALUES.tolist())
    hessian[3, 3] = bad
    with pytest.raises(InputError) as error:
        lanczos(product_with(hessian), normal(12), 5)
    assert str(error.value) == ("parameters: expected a finite Hessian of the loss, found it not")


# Products by autograd


@pytest.mark.parametrize("chunk", [5, 64])
def test_products_are_those_of_the_transformers_dense_hessian(chunk: int):
    run = small_run(math.inf, width=2, num_heads=1, mlp_width=3)
    xs, ys = (part.double() for part in run.sequences("test", num_sequences=12))
    vector = initial_parameters(run.architecture, seed=0).double()

    def losses(w: torch.Tensor, xs: torch.Tensor, ys: torch.Tensor) -> torch.Tensor:
        return sequence_losses(unflatten(w, run.architecture), xs, ys, run.architecture)

    dense = torch.autograd.functional.hessian(lambda w: losses(w, xs, ys).mean(), vector)
    product = hessian_product(losses, vector, (xs, ys), chunk=chunk)
    directions = normal(3, len(vector))
    found = torch.stack([product(direction) for direction in directions])
    torch.testing.assert_close(found, directions @ dense, rtol=1e-8, atol=1e-10)
    spectrum = lanczos(product, directions[0], 30)
    exact = torch.linalg.eigvalsh(dense)[-1].item()
    assert exact > 0 and spectrum.largest == pytest.approx(exact, rel=1e-3)


def test_a_linear_loss_has_no_curvature():
    data = (normal(7, 4),)
    product = hessian_product(lambda w, x: x @ w, normal(4), data, chunk=3)
    assert torch.equal(product(normal(4, seed=1)), torch.zeros(4, dtype=torch.float64))
    assert lanczos(product, normal(4, seed=1), 4).values.tolist() == [0.0]
