"""What chains see: paired baselines, fresh samples, and data that don't fit."""

import math

import numpy as np
import pytest
import torch
from regression import regression, sampler, squared_error

from transience.complexity.estimator import estimate_llc_of_loss
from transience.errors import InputError
from transience.problem.randomness import generator


def test_paired_baseline_has_the_same_mean_and_a_smaller_variance():
    parameters, data, _ = regression()
    seeds = range(40)
    both = {}
    for baseline in ("paired", "dataset"):
        scales = {"step_size": 1e-4, "nbeta": 500.0, "gamma": 100.0}
        few = {"baseline": baseline, "num_chains": 1, "num_draws": 100}
        each = [sampler(**scales, **few, seed=seed) for seed in seeds]
        both[baseline] = np.array(
            [
                estimate_llc_of_loss(squared_error, parameters, data, settings).llc
                for settings in each
            ]
        )
    difference = both["dataset"] - both["paired"]
    assert abs(difference.mean()) < 3 * difference.std(ddof=1) / math.sqrt(len(seeds))
    assert both["dataset"].var() > 10 * both["paired"].var()


def test_fresh_samples_and_a_fixed_dataset_of_the_same_distribution_agree():
    """The posterior mean of linear regression on N(0, I): Σ nβ h/(2(nβ h + γ)) with h = 2."""
    weight = {"weight": torch.ones(5, 1, dtype=torch.float64)}

    def draw_batch(chain: int, draw: int) -> tuple[torch.Tensor, torch.Tensor]:
        stream = generator(0, "fresh", chain, draw)
        xs = torch.randn(64, 5, generator=stream, dtype=torch.float64)
        return xs, xs.sum(dim=1) + torch.randn(64, generator=stream, dtype=torch.float64)

    settings = sampler(
        step_size=4e-4, batch_size=64, data_mode="fresh", num_chains=4, num_draws=1500,
        num_burn_in=300,
    )  # fmt: skip
    estimate = estimate_llc_of_loss(squared_error, weight, draw_batch, settings)
    expected = 5 * settings.nbeta * 2 / 2 / (settings.nbeta * 2 + settings.gamma)
    assert estimate.monte_carlo_error < 0.12
    assert estimate.llc == pytest.approx(expected, abs=4 * estimate.monte_carlo_error)
    assert estimate.initial_loss == pytest.approx(1.0, abs=0.02)  # the noise variance
    by_hand = [squared_error(weight, *draw_batch(2, draw)).mean().item() for draw in range(5)]
    np.testing.assert_allclose(estimate.baseline_losses[2, :5], by_hand, rtol=1e-12)


def test_unusable_data_get_one_line():
    parameters, (xs, ys), _ = regression(num_samples=20)

    def message(data=(xs, ys), **changes):
        with pytest.raises(InputError) as error:
            estimate_llc_of_loss(squared_error, parameters, data, sampler(**changes))
        return str(error.value)

    assert message(batch_size=21) == (
        "batch_size: expected at most the samples of the dataset, found 21 of 20"
    )
    assert message((xs, ys[:-1])) == (
        "data: expected tensors of one length, found lengths [19, 20]"
    )
    assert message(lambda chain, draw: (xs, ys)) == (
        "data: expected tensors in data_mode fixed, found a function"
    )
    assert message(data_mode="fresh") == (
        "data: expected a function in data_mode fresh, found tensors"
    )
