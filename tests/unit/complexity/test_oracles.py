"""The LLC estimator against known answers; the full grid is behind the marker `oracles`.

`make oracles` runs the grid, ten minutes on one core, and writes workflow/docs/llc_oracles.md.
"""

import math
from pathlib import Path

import numpy as np
import oracle_grid
import pytest
import torch
from oracle_values import (
    deep_linear_network,
    half_codimension,
    hamiltonian_monte_carlo,
    quadrature_two_layers,
    reduced_rank_regression,
)
from oracles import deep_linear, hessian_of, minibatch_regression, preconditioner_for
from regression import sampler

from transience.complexity.preconditioner import Preconditioner
from transience.problem.randomness import numpy_generator

PAGE = Path(__file__).parents[3] / "workflow/docs/llc_oracles.md"

# The known answers agree with each other


def test_closed_forms_agree_on_random_shapes():
    choose = numpy_generator(0, "shapes")
    for _ in range(3000):
        widths = choose.integers(1, 12, size=choose.integers(2, 7)).tolist()
        rank = int(choose.integers(0, min(widths) + 1))
        value, multiplicity = deep_linear_network(widths, rank)
        assert value == half_codimension(widths, rank), (widths, rank)
        assert multiplicity >= 1
        if len(widths) == 3:
            assert value == reduced_rank_regression(*widths, rank), (widths, rank)


@pytest.mark.parametrize("layers", range(1, 7))
def test_a_product_of_numbers_has_one_half_and_its_number_of_factors(layers):
    assert deep_linear_network([1] * (layers + 1), rank=0) == (0.5, layers)


# inputs, hidden, outputs: each case of the formula, the fourth with an even and an odd sum
TWO_LAYERS = [(1, 2, 4), (4, 2, 1), (1, 3, 1), (2, 2, 2), (2, 2, 3), (1, 1, 1)]


@pytest.mark.parametrize("widths", TWO_LAYERS)
def test_exact_values_tend_to_the_closed_form(widths):
    """nβ E[L] = λ - (m - 1)/log nβ + ..., from the pole of order m at λ (Watanabe 2013, WBIC)."""
    value, multiplicity = deep_linear_network(widths, rank=0)
    slow = (multiplicity - 1) / math.log(1e12)
    exact = quadrature_two_layers(*widths, nbeta=1e12, gamma=1.0)
    assert exact == pytest.approx(float(value) - slow, abs=0.1 * slow + 1e-3)


def test_hamiltonian_monte_carlo_agrees_with_quadrature():
    exact = quadrature_two_layers(2, 3, 2, nbeta=400.0, gamma=2.0)
    found, error = hamiltonian_monte_carlo(
        deep_linear((2, 3, 2), rank=0), nbeta=400.0, gamma=2.0, leap=0.015, copies=800, paths=60
    )
    assert error < 0.01 * exact
    assert abs(found - exact) < 4 * error


# The estimator has them


@pytest.mark.parametrize("widths", TWO_LAYERS[:5])
def test_reduced_rank_regression_of_rank_zero(widths):
    """At nβ/γ² = 30 the exact value is 5 to 19 % below λ."""
    case = oracle_grid.layers(widths, 0, nbeta=30.0, gamma=1.0, step_size=2e-3)
    result = oracle_grid.run(case, copies=600)
    assert result.error < 0.04 * result.exact
    assert abs(result.z) < 4


@pytest.mark.parametrize(("widths", "rank"), [((4, 3, 4), 1), ((3, 2, 2, 3), 1)])
def test_deep_linear_networks(widths, rank):
    case = oracle_grid.layers(widths, rank, nbeta=1000.0, gamma=20.0, step_size=6e-5)
    result = oracle_grid.run(case, copies=250, paths=60)
    assert result.error < 0.03 * result.exact
    assert abs(result.z) < 4


@pytest.mark.parametrize("step_size", [0.002, 0.01])
def test_minibatch_noise_adds_exactly_what_it_should(step_size):
    problem = minibatch_regression(copies=64, batch_size=16)
    settings = sampler(
        step_size=step_size, gamma=1.0, num_chains=8, num_draws=200, num_burn_in=100, batch_size=1
    )
    found, error = problem.estimate(settings)
    exact = problem.exact(settings)
    assert error < 0.02 * exact
    assert abs(found - exact) < 4.5 * error  # an error from 8 chains
    without = problem.exact(settings, additive=True)
    assert step_size < 0.01 or found - without > 10 * error  # the curvature's noise is seen


# It has them with a preconditioner


@pytest.mark.parametrize("widths", [(4, 3, 4), (3, 2, 2, 3)])
def test_deep_linear_networks_with_a_preconditioner(widths):
    """The directions that T fixes are slowed down eightfold, with an ε three times as large."""
    case = oracle_grid.layers(widths, 1, nbeta=1000.0, gamma=20.0, step_size=1.8e-4)
    metric = preconditioner_for(hessian_of(case.problem), h_star=20.0 / 1000)
    assert len(metric.directions) > 3 and metric.factors.max() < 0.12
    result = oracle_grid.run(case, copies=1000, paths=60, preconditioner=metric)
    assert result.error < 0.03 * result.exact
    assert abs(result.z) < 4


@pytest.mark.parametrize(("a", "b"), [(1, 1), (1, 2)])
def test_normal_crossings_with_any_preconditioner(a, b):
    """Their Hessian is 0, so this one is made up: the posterior is the same for every A."""
    direction = torch.tensor([[0.6, 0.8]], dtype=torch.float64)
    metric = Preconditioner(
        direction, torch.tensor([0.5], dtype=torch.float64), pace=0.15, h_star=0.03
    )
    assert metric.factors.item() == pytest.approx(0.18 / 0.53)
    case = oracle_grid.crossing(a, b, 100.0, 2e-3)
    result = oracle_grid.run(case, copies=8000, preconditioner=metric)
    assert result.error < 0.05 * result.exact
    assert abs(result.z) < 4


@pytest.mark.parametrize("step_size", [0.002, 0.01])
def test_minibatch_noise_with_a_preconditioner(step_size):
    """It scales the noise of minibatches as well, where it acts."""
    problem = minibatch_regression(copies=64, batch_size=16)
    settings = sampler(
        step_size=step_size, gamma=20.0, num_chains=8, num_draws=200, num_burn_in=20, batch_size=1
    )
    metric = preconditioner_for(problem.hessian, h_star=20.0 / 50)
    assert 0 < len(metric.directions) < 5  # of curvatures 0.5 to 4.5
    found, error = problem.estimate(settings, metric)
    exact = problem.exact(settings, preconditioner=metric)
    assert error < 0.02 * exact
    assert abs(found - exact) < 4.5 * error
    assert step_size < 0.01 or problem.exact(settings) - exact > 10 * error  # the plain one's bias


# The full grid


@pytest.mark.oracles
def test_full_grid_and_write_its_page():
    results = [
        oracle_grid.run(case, copies=min(4000, 8000 // len(case.problem.anchor)), seed=number)
        for number, case in enumerate(oracle_grid.cases())
    ]
    exact_at_steps = oracle_grid.run_exact_at_steps()
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(oracle_grid.page(results, exact_at_steps))
    every = np.array([result.z for result in (*results, *exact_at_steps)])
    assert (abs(every) < 4).all(), PAGE
    assert np.mean(every**2) < 2, PAGE  # 1, if errors are what they are said to be
