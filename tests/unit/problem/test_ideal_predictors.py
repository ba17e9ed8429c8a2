"""dMMSE_M and ridge: against slow loops, scikit-learn, limits, and the losses they should have."""

import math

import numpy as np
import pytest
import torch
from fake_cuda import fake_cuda
from sklearn.linear_model import Ridge

from transience.problem.ideal_predictors import dmmse, ridge
from transience.problem.tasks import sample_sequences, task_set

D, K, NOISE_VARIANCE = 4, 8, 0.125


def sequences(
    num_tasks: float = 8,
    num_sequences: int = 5,
    seed: int = 0,
    dimension: int = D,
    examples: int = K,
) -> tuple[torch.Tensor, torch.Tensor]:
    return sample_sequences(
        seed,
        "test",
        tasks=task_set(seed, num_tasks, dimension),
        num_sequences=num_sequences,
        num_examples=examples,
        task_dimension=dimension,
        noise_variance=NOISE_VARIANCE,
    )


# Definitions


def slow_dmmse(xs: np.ndarray, ys: np.ndarray, tasks: np.ndarray) -> np.ndarray:
    """Equation 4, one number at a time."""
    predictions = np.zeros_like(ys)
    for b in range(len(xs)):
        for k in range(xs.shape[1]):
            weights = []
            for task in tasks:
                squares = [(ys[b, j] - task @ xs[b, j]) ** 2 for j in range(k)]
                weights.append(math.exp(-sum(squares) / (2 * NOISE_VARIANCE)))
            mean = sum(w * t for w, t in zip(weights, tasks, strict=True)) / sum(weights)
            predictions[b, k] = mean @ xs[b, k]
    return predictions


def test_dmmse_is_equation_4():
    (xs, ys), tasks = sequences(), task_set(0, 8, D)
    expected = slow_dmmse(*(a.double().numpy() for a in (xs, ys, tasks)))
    found = dmmse(xs.double(), ys.double(), tasks, noise_variance=NOISE_VARIANCE)
    np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-10)


def test_ridge_is_that_of_scikit_learn():
    xs, ys = sequences()
    found = ridge(xs.double(), ys.double(), noise_variance=NOISE_VARIANCE).numpy()
    for b in range(len(xs)):
        for k in range(1, K):
            model = Ridge(alpha=NOISE_VARIANCE, fit_intercept=False)
            model.fit(xs[b, :k].double().numpy(), ys[b, :k].double().numpy())
            expected = model.predict(xs[b, k : k + 1].double().numpy())
            np.testing.assert_allclose(found[b, k], expected[0], rtol=1e-8, atol=1e-10)


# Limits


def test_the_first_prediction_is_the_prior_mean():
    xs, ys = sequences()
    tasks = task_set(0, 8, D)
    first = dmmse(xs, ys, tasks, noise_variance=NOISE_VARIANCE)[:, 0]
    torch.testing.assert_close(first, xs[:, 0] @ tasks.mean(dim=0))
    assert (ridge(xs, ys, noise_variance=NOISE_VARIANCE)[:, 0] == 0).all()


def test_one_task_is_always_believed():
    xs, ys = sequences(num_tasks=math.inf)
    found = dmmse(xs, ys, task_set(0, 1, D), noise_variance=NOISE_VARIANCE)
    torch.testing.assert_close(found, xs @ task_set(0, 1, D)[0])


def test_useless_examples_leave_the_prior_mean():
    (xs, ys), tasks = sequences(), task_set(0, 8, D)
    found = dmmse(xs, ys, tasks, noise_variance=1e9)
    torch.testing.assert_close(found, xs @ tasks.mean(dim=0))
    assert ridge(xs, ys, noise_variance=1e9).abs().max() < 1e-5


def test_exact_examples_give_the_task_away():
    tasks = task_set(0, 8, D)
    xs = sequences()[0]
    ys = xs @ tasks[3]
    found = dmmse(xs, ys, tasks, noise_variance=1e-6)
    torch.testing.assert_close(found[:, 1:], ys[:, 1:])
    torch.testing.assert_close(
        ridge(xs, ys, noise_variance=1e-9)[:, D:], ys[:, D:], rtol=1e-3, atol=1e-3
    )


def test_infinitely_many_tasks_are_ridge():
    xs, ys = sequences(math.inf, num_sequences=64, dimension=2)
    limit = ridge(xs, ys, noise_variance=NOISE_VARIANCE)
    assert dmmse(xs, ys, None, noise_variance=NOISE_VARIANCE).equal(limit)
    distances = [
        (dmmse(xs, ys, task_set(1, M, 2), noise_variance=NOISE_VARIANCE) - limit).square().mean()
        for M in (16, 256, 65536)
    ]
    assert distances[0] > 5 * distances[1] > 25 * distances[2]
    assert distances[2] < 2e-3


# How it is computed


@pytest.mark.parametrize("predictor", ["dmmse", "ridge"])
def test_the_label_of_a_prediction_and_later_examples_are_not_looked_at(predictor: str):
    xs, ys = sequences()
    changed_xs, changed_ys = xs.clone(), ys.clone()
    changed_ys[:, 4:] += 1
    changed_xs[:, 5:] += 1
    before, after = (
        dmmse(x, y, task_set(0, 8, D), noise_variance=NOISE_VARIANCE)
        if predictor == "dmmse"
        else ridge(x, y, noise_variance=NOISE_VARIANCE)
        for x, y in ((xs, ys), (changed_xs, changed_ys))
    )
    torch.testing.assert_close(before[:, :5], after[:, :5])
    assert not torch.isclose(before[:, 5:], after[:, 5:]).any()


def test_chunks_change_nothing():
    xs, ys = sequences(num_sequences=7)
    tasks = task_set(0, 8, D)
    options = {"noise_variance": NOISE_VARIANCE}
    for chunk_elements in (1, 20, 300):
        chunked = dmmse(xs, ys, tasks, chunk_elements=chunk_elements, **options)
        torch.testing.assert_close(chunked, dmmse(xs, ys, tasks, **options), rtol=1e-6, atol=1e-6)
        chunked = ridge(xs, ys, chunk_elements=chunk_elements, **options)
        torch.testing.assert_close(chunked, ridge(xs, ys, **options), rtol=1e-6, atol=1e-6)


def test_float32_in_float32_out_and_as_exact_as_float64():
    (xs, ys), tasks = sequences(num_sequences=64), task_set(0, 8, D)
    for predict in (ridge, lambda x, y, **options: dmmse(x, y, tasks, **options)):
        single = predict(xs, ys, noise_variance=1e-3)
        double = predict(xs.double(), ys.double(), noise_variance=1e-3)
        assert single.dtype == torch.float32 and double.dtype == torch.float64
        torch.testing.assert_close(single, double.float(), rtol=1e-6, atol=1e-6)


def test_a_long_context_with_little_noise_stays_finite():
    xs, ys = sequences(num_sequences=4, examples=200)
    ys = 1e3 * ys  # no task explains this
    found = dmmse(xs, ys, task_set(0, 8, D), noise_variance=1e-4)
    assert found.isfinite().all()


# The losses they should have at the paper's D = 8, K = 16, σ² = 0.125 (our Monte Carlo)

TASK_DRAWS = 24


def mean_losses(num_tasks: float, tasks_of: float) -> torch.Tensor:
    """Losses of dMMSE and ridge by position, (2, K): mean over draws of the task sequence."""
    losses = []
    for seed in range(TASK_DRAWS):
        xs, ys = sequences(tasks_of, 512, seed, dimension=8, examples=16)
        tasks = task_set(seed, num_tasks, 8)
        predictions = (
            dmmse(xs, ys, tasks, noise_variance=NOISE_VARIANCE),
            ridge(xs, ys, noise_variance=NOISE_VARIANCE),
        )
        losses.append(torch.stack([(p - ys).square().mean(dim=0) for p in predictions]))
    return torch.stack(losses).mean(dim=0)


@pytest.mark.parametrize(
    ("num_tasks", "dmmse_loss", "ridge_loss", "dmmse_spread", "ridge_spread"),
    [
        (1, 0.125, 2.56, 0.0, 0.81),
        (8, 0.79, 2.69, 0.11, 0.35),
        (32, 1.07, 2.72, 0.06, 0.21),
        (128, 1.31, 2.63, 0.02, 0.05),
        (362, 1.55, 2.74, 0.05, 0.09),
    ],
)
def test_losses_on_the_training_distribution(
    num_tasks: int, dmmse_loss: float, ridge_loss: float, dmmse_spread: float, ridge_spread: float
):
    found = mean_losses(num_tasks, num_tasks).mean(dim=1)
    monte_carlo = 0.01  # relative, of the sequences within a task draw and in the target
    for value, target, spread in zip(
        found, (dmmse_loss, ridge_loss), (dmmse_spread, ridge_spread), strict=True
    ):
        assert abs(value - target) < spread + 2 * monte_carlo * target


@pytest.mark.parametrize(
    ("num_tasks", "loss"), [(1, 15.7), (8, 10.0), (32, 8.2), (128, 6.7), (362, 5.8)]
)
def test_loss_of_dmmse_out_of_distribution(num_tasks: int, loss: float):
    found = mean_losses(num_tasks, math.inf)[0].mean()
    assert abs(found - loss) < (0.12 if num_tasks == 1 else 0.06) * loss


def test_loss_of_ridge_on_gaussian_tasks_by_position():
    by_position = mean_losses(1, math.inf)[1]
    expected = "8.15 7.18 6.10 5.40 4.19 3.30 2.59 1.80 1.19 0.86 0.64 0.48 0.40 0.35 0.31 0.28"
    expected = torch.tensor([float(value) for value in expected.split()])
    torch.testing.assert_close(by_position, expected, rtol=0.06, atol=0.0)
    torch.testing.assert_close(by_position.mean(), torch.tensor(2.70), rtol=0.02, atol=0.0)


def test_dmmse_is_the_best_predictor_of_its_own_tasks():
    xs, ys = sequences(16, num_sequences=4000)
    best = (dmmse(xs, ys, task_set(0, 16, D), noise_variance=NOISE_VARIANCE) - ys).square().mean()
    for other in (
        ridge(xs, ys, noise_variance=NOISE_VARIANCE),
        dmmse(xs, ys, task_set(0, 8, D), noise_variance=NOISE_VARIANCE),
        dmmse(xs, ys, task_set(0, 64, D), noise_variance=NOISE_VARIANCE),
        dmmse(xs, ys, task_set(0, 16, D), noise_variance=4 * NOISE_VARIANCE),
    ):
        assert (other - ys).square().mean() > 1.01 * best


@pytest.mark.parametrize("tasks_on", ["cpu", "cuda:0"])
def test_predictions_are_on_the_device_of_the_sequences(tasks_on):
    """Whatever that of the tasks; on a GPU that is not there."""
    with fake_cuda():
        xs, ys = torch.empty(5, 4, 3, device="cuda"), torch.empty(5, 4, device="cuda")
        tasks = torch.empty(7, 3, device=tasks_on)
        for found in (
            dmmse(xs, ys, tasks, noise_variance=0.1),
            dmmse(xs, ys, None, noise_variance=0.1),
            ridge(xs, ys, noise_variance=0.1, chunk_elements=1),
        ):
            assert (found.device, found.dtype, found.shape) == (xs.device, xs.dtype, ys.shape)
