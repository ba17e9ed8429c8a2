"""Regression on features: fixed, of variance 1, and ideal predictors are linear in them."""

import torch

from transience.problem.families.features import FAMILY, features
from transience.problem.ideal_predictors import dmmse, ridge


def test_features_are_waves_that_no_run_or_seed_changes():
    xs = torch.randn(4000, 4, 3, generator=torch.Generator().manual_seed(0))
    found = features(xs)
    assert found.shape == xs.shape and found.abs().max() <= 2**0.5 + 1e-6
    assert found.equal(features(xs)) and features(xs.double()).dtype == torch.float64
    assert (found.square().mean(dim=(0, 1)) - 1).abs().max() < 0.5


def test_labels_and_predictors_are_those_of_linear_regression_on_them():
    generator = torch.Generator().manual_seed(1)
    tasks, inputs = (torch.randn(*shape, generator=generator) for shape in [(6, 3), (6, 5, 3)])
    xs, ys = FAMILY.sequences(tasks, inputs, torch.zeros(6, 5), 0.5)
    assert xs.equal(inputs)
    torch.testing.assert_close(ys, (features(xs) * tasks[:, None]).sum(-1))
    for predict, more in ((dmmse, [tasks]), (ridge, [])):
        found = predict(xs, ys, *more, noise_variance=0.25, family="features")
        expected = predict(features(xs), ys, *more, noise_variance=0.25)
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
