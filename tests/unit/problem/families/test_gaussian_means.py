"""Two Gaussian classes: the formulas of both predictors, and evidence by explicit densities."""

import math

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal

from transience.problem.families.gaussian_means import FAMILY
from transience.problem.tasks import sample_sequences, task_set

D, K, NOISE = 2, 5, 0.7
TASKS = task_set(0, 3, D).double()


@pytest.fixture
def batch():
    parts = sample_sequences(
        0, "test", tasks=TASKS.float(), num_sequences=3, num_examples=K, task_dimension=D,
        noise_variance=NOISE, family="gaussian_means",
    )  # fmt: skip
    return tuple(part.double() for part in parts)


def test_inputs_are_means_with_the_sign_of_the_label():
    tasks, noise = torch.tensor([[1.0, -2.0]]), torch.tensor([[0.3, -0.1]])
    inputs = torch.tensor([[[1.0, 0.0], [0.0, 1.0]]])
    xs, ys = FAMILY.sequences(tasks, inputs, noise, 0.5)
    assert ys.tolist() == [[1.0, -1.0]]
    assert xs.tolist() == [[[1.5, -2.0], [-1.0, 2.5]]]


def density(xs: np.ndarray, ys: np.ndarray, task: np.ndarray, x: np.ndarray, y: float) -> float:
    """Of one sequence's examples before, and of an input with a label, given a task."""
    points = zip([*xs, x], [*ys, y], strict=True)
    noise = NOISE * np.eye(D)
    return math.prod(multivariate_normal.pdf(p, label * task, noise) for p, label in points)


def test_the_memorising_predictor_is_bayes_rule(batch):
    xs, ys = (part.numpy() for part in batch)
    found = FAMILY.memorised(*batch, TASKS, NOISE)
    for b in range(len(xs)):
        for k in range(K):
            both = [
                sum(density(xs[b, :k], ys[b, :k], task, xs[b, k], label) for task in TASKS.numpy())
                for label in (1, -1)
            ]
            expected = (both[0] - both[1]) / sum(both)
            assert found[b, k].item() == pytest.approx(expected, rel=1e-8, abs=1e-10)


def test_the_general_predictor_is_its_formula(batch):
    xs, ys = batch
    found = FAMILY.generalised(xs, ys, NOISE)
    for k in range(K):
        mean = (ys[:, :k, None] * xs[:, :k]).sum(1) / (k + NOISE)
        variance = NOISE / (k + NOISE)
        expected = torch.tanh((xs[:, k] * mean).sum(-1) / (NOISE + variance))
        torch.testing.assert_close(found[:, k], expected)


def test_evidence_of_tasks_differs_from_densities_by_a_constant(batch):
    """The constant is that of the normal density and of a label's probability, 1/2."""
    xs, ys = (part.numpy() for part in batch)
    found = FAMILY.weighed_memorising(*batch, TASKS, NOISE)[1]
    for k in range(K):
        means = [
            np.mean(
                [density(xs[0, :k], ys[0, :k], task, xs[0, k], label) for task in TASKS.numpy()]
            )
            for label in (1, -1)
        ]
        constant = (k + 1) * D / 2 * math.log(2 * math.pi * NOISE)
        assert found[0, k].item() == pytest.approx(math.log(sum(means)) + constant, rel=1e-9)


def test_a_label_does_not_depend_on_the_sign_of_the_mean(batch):
    xs, ys = batch
    flipped = FAMILY.generalised(-xs, ys, NOISE)
    torch.testing.assert_close(flipped, FAMILY.generalised(xs, ys, NOISE))
