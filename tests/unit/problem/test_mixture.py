"""Mixtures of dMMSE_M and ridge: against explicit densities, an integral, limits, other weights."""

import math

import numpy as np
import pytest
import torch
from fake_cuda import fake_cuda
from scipy.stats import multivariate_normal

from transience.errors import InputError
from transience.problem.ideal_predictors import dmmse, ridge
from transience.problem.mixture import mixture
from transience.problem.tasks import sample_sequences, task_set

D, K, NOISE_VARIANCE = 3, 6, 0.125
FRACTIONS = [0.0, 1e-6, 0.3, 0.9, 1.0]


def sequences(
    num_tasks: float = 5, num_sequences: int = 4, dimension: int = D
) -> tuple[torch.Tensor, torch.Tensor]:
    return sample_sequences(
        0,
        "test",
        tasks=task_set(0, num_tasks, dimension),
        num_sequences=num_sequences,
        num_examples=K,
        task_dimension=dimension,
        noise_variance=NOISE_VARIANCE,
    )


def found_of(xs, ys, tasks, fractions=FRACTIONS, noise_variance=NOISE_VARIANCE, **options):
    options |= {"noise_variance": noise_variance, "fresh_fractions": fractions}
    return mixture(xs, ys, tasks, **options)


def ends(xs, ys, tasks, noise_variance: float = NOISE_VARIANCE):
    from_set = dmmse(xs, ys, tasks, noise_variance=noise_variance)
    return from_set, ridge(xs, ys, noise_variance=noise_variance)


# Definition


def slow_weight(xs: np.ndarray, ys: np.ndarray, tasks: np.ndarray, fraction: float) -> float:
    """Probability that the task of one sequence (k, D), (k,) is from the set."""
    if not len(ys):
        return 1 - fraction
    noise = NOISE_VARIANCE * np.eye(len(ys))
    of_set = np.mean([multivariate_normal.pdf(ys, xs @ task, noise) for task in tasks])
    gaussian = multivariate_normal.pdf(ys, np.zeros(len(ys)), xs @ xs.T + noise)
    return (1 - fraction) * of_set / ((1 - fraction) * of_set + fraction * gaussian)


@pytest.mark.parametrize("drawn_from", [5, math.inf])
def test_weights_are_those_of_explicit_densities(drawn_from):
    (xs, ys), tasks = (part.double() for part in sequences(drawn_from)), task_set(0, 5, D).double()
    found, (from_set, gaussian) = found_of(xs, ys, tasks), ends(xs, ys, tasks)
    for e, fraction in enumerate(FRACTIONS):
        for b in range(len(xs)):
            for k in range(K):
                w = slow_weight(*(p.numpy() for p in (xs[b, :k], ys[b, :k], tasks)), fraction)
                expected = (w * from_set[b, k] + (1 - w) * gaussian[b, k]).item()
                assert found[e, b, k].item() == pytest.approx(expected, rel=1e-9, abs=1e-11)


def test_in_one_dimension_it_is_the_integral_over_the_prior():
    (xs, ys), tasks = (part.double() for part in sequences(dimension=1)), task_set(0, 5, 1).double()
    grid = torch.linspace(-9, 9, 20_001, dtype=torch.float64)
    gaussian = (-grid.square() / 2).softmax(0)
    for fraction, one in zip(FRACTIONS, found_of(xs, ys, tasks), strict=True):
        support = torch.cat([tasks[:, 0], grid])
        prior = torch.cat([torch.full_like(tasks[:, 0], (1 - fraction) / 5), fraction * gaussian])
        for k in range(K):
            errors = ys[:, :k, None] - xs[:, :k] * support  # B k S
            weights = (prior.log() - errors.square().sum(1) / (2 * NOISE_VARIANCE)).softmax(1)
            expected = xs[:, k, 0] * (weights @ support)
            torch.testing.assert_close(one[:, k], expected, rtol=1e-8, atol=1e-10)


# Limits


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_ends_are_dmmse_and_ridge(dtype):
    (xs, ys), tasks = (part.to(dtype) for part in sequences(num_sequences=50)), task_set(0, 5, D)
    found = found_of(xs, ys, tasks)
    for one, expected in zip((found[0], found[-1]), ends(xs, ys, tasks), strict=True):
        assert one.dtype == dtype and one.equal(expected)


def test_towards_the_ends_it_tends_to_them():
    (xs, ys), tasks = (part.double() for part in sequences(num_sequences=50)), task_set(0, 5, D)
    from_set, gaussian = ends(xs, ys, tasks)
    near = found_of(xs, ys, tasks, [1e-300, 1e-4, 1e-2])
    torch.testing.assert_close(near[0], from_set)
    distances = (near - from_set).abs().amax(dim=(1, 2))
    assert distances[0] < distances[1] < distances[2]
    first = found_of(xs, ys, tasks, [1 - 1e-12])[0, :, 0]
    torch.testing.assert_close(first, gaussian[:, 0], rtol=0, atol=1e-10)


def test_the_first_prediction_has_the_weights_of_the_prior():
    (xs, ys), tasks = sequences(), task_set(0, 5, D)
    first = found_of(xs, ys, tasks, [0.3])[0, :, 0]
    torch.testing.assert_close(first, 0.7 * xs[:, 0] @ tasks.mean(0))


def test_one_task_is_believed_until_a_label_contradicts_it():
    (task,) = tasks = task_set(0, 1, D)
    xs, ys = sequences(1, num_sequences=50)
    torch.testing.assert_close(found_of(xs, ys, tasks, [0.01])[0][:, -1], xs[:, -1] @ task,
                               rtol=0, atol=0.05)  # fmt: skip
    far = xs @ (task + 10)
    found, (_, gaussian) = found_of(xs, far, tasks, [0.01])[0], ends(xs, far, tasks)
    torch.testing.assert_close(found[:, -1], gaussian[:, -1], rtol=1e-3, atol=1e-3)


def test_infinitely_many_tasks_are_ridge():
    xs, ys = sequences(math.inf)
    for one in found_of(xs, ys, None):
        assert one.equal(ridge(xs, ys, noise_variance=NOISE_VARIANCE))


@pytest.mark.parametrize("noise_variance", [1e-6, 1e30])
def test_any_noise_leaves_it_finite(noise_variance):
    (xs, ys), tasks = sequences(), task_set(0, 5, D)
    assert found_of(xs, 1e3 * ys, tasks, noise_variance=noise_variance).isfinite().all()


# What it is good for


def test_other_weights_have_a_higher_loss_on_the_mixture_of_both_distributions():
    size, tasks, fraction = 20_000, task_set(0, 5, D), 0.3
    of_set, new = sequences(5, size), sequences(math.inf, size)

    def loss(mixed_with: float, towards: int = 0, part: float = 0.0) -> float:
        """Mixed loss of a predictor, pulled by a part to dMMSE_M or ridge."""
        each = []
        for xs, ys in (of_set, new):
            one = found_of(xs, ys, tasks, [mixed_with])[0]
            one = one + part * (ends(xs, ys, tasks)[towards] - one)
            each.append((one - ys).square().mean().item())
        return (1 - fraction) * each[0] + fraction * each[1]

    best = loss(fraction)
    for other in (0.03, 0.1, 0.6, 0.9):
        assert loss(other) > 1.001 * best
    for towards in (0, 1):
        assert loss(fraction, towards, 0.1) > 1.001 * best


# How it is computed


def test_labels_from_a_position_on_are_not_looked_at():
    (xs, ys), tasks = sequences(), task_set(0, 5, D)
    changed = torch.cat([ys[:, :3], ys[:, 3:] + 1], dim=1)
    before, after = found_of(xs, ys, tasks), found_of(xs, changed, tasks)
    assert before[:, :, :4].equal(after[:, :, :4])
    assert not before[:, :, 4:].equal(after[:, :, 4:])


def test_chunks_change_nothing():
    (xs, ys), tasks = sequences(num_sequences=7), task_set(0, 5, D)
    for chunk_elements in (1, 20, 300):
        chunked = found_of(xs, ys, tasks, chunk_elements=chunk_elements)
        torch.testing.assert_close(chunked, found_of(xs, ys, tasks), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("fraction", [-0.1, 1.5, math.nan])
def test_fractions_are_from_0_to_1(fraction):
    with pytest.raises(InputError, match=r"^fresh_fractions: .* from 0 to 1, found \S*$"):
        found_of(*sequences(), task_set(0, 5, D), [0.5, fraction])


def test_predictions_are_on_the_device_of_the_sequences():
    """Whatever that of the tasks; on a GPU that is not there."""
    with fake_cuda():
        xs, ys = torch.empty(5, 4, 3, device="cuda"), torch.empty(5, 4, device="cuda")
        for tasks in (torch.empty(7, 3), None):
            found = found_of(xs, ys, tasks)
            assert (found.device, found.dtype, found.shape) == (xs.device, xs.dtype, (5, 5, 4))
