"""Linear regression: labels by hand. Its predictors are tested in test_ideal_predictors."""

import torch

from transience.problem.families.linear import FAMILY


def test_labels_are_products_with_noise():
    tasks, inputs = torch.tensor([[1.0, -2.0]]), torch.tensor([[[3.0, 1.0], [0.0, 2.0]]])
    xs, ys = FAMILY.sequences(tasks, inputs, torch.tensor([[1.0, -1.0]]), 0.5)
    assert xs.equal(inputs) and ys.tolist() == [[1.5, -4.5]]
