"""Signals of a batch: against definitions, and a training that is the same without them."""

import math
from dataclasses import replace

import pytest
import torch
from small import TRAINING, small_run

from transience.model.transformer import initial_parameters, predict, unflatten
from transience.problem.drift import Drift
from transience.problem.ideal_predictors import dmmse, ridge
from transience.training import signals
from transience.training.settings import TrainingSettings
from transience.training.signals import beside, gradient_variance
from transience.training.state import SIGNAL_COLUMNS, TRAINING_COLUMNS, TrainingState
from transience.training.train import train

RUN = small_run()
NOISE = RUN.task.noise_variance
SETTINGS = TrainingSettings(**TRAINING)


@pytest.fixture
def batch():
    return RUN.sequences("training", 7, num_sequences=16)


def ideal(batch, run=RUN):
    return (
        ridge(*batch, noise_variance=NOISE),
        dmmse(*batch, run.tasks(), noise_variance=NOISE),
    )


@pytest.mark.parametrize("part", [0.0, 0.25, 1.0, 1.5])
def test_a_model_on_the_line_between_both_is_placed_there(batch, part):
    general, memorised = ideal(batch)
    found = beside(general + part * (memorised - general), *batch, RUN.tasks(), NOISE)
    assert found.projection == pytest.approx(part, abs=1e-5)
    assert found.residual == pytest.approx(0, abs=1e-10)
    assert found.ridge_loss == pytest.approx((general - batch[1]).square().mean().item())
    assert found.dmmse_loss == pytest.approx((memorised - batch[1]).square().mean().item())


def test_what_lies_off_the_line_is_at_right_angles_to_it(batch):
    general, memorised = ideal(batch)
    predictions = torch.linspace(-1, 1, general.numel()).view_as(general)
    found = beside(predictions, *batch, RUN.tasks(), NOISE)
    off = predictions - general - found.projection * (memorised - general)
    assert (off * (memorised - general)).sum().item() == pytest.approx(0, abs=1e-4)
    assert found.residual == pytest.approx(off.square().mean().item(), rel=1e-5)


def test_for_infinitely_many_tasks_there_is_no_line(batch):
    found = beside(batch[1], *batch, None, NOISE)
    assert found.dmmse_loss == found.ridge_loss
    assert math.isnan(found.projection) and math.isnan(found.residual)


def test_of_many_tasks_a_part_of_the_batch_stands_beside_them(batch, monkeypatch):
    monkeypatch.setattr(signals, "CHUNK_ELEMENTS", 5 * len(RUN.tasks()))
    general, memorised = ideal(batch)
    found = beside(memorised, *batch, RUN.tasks(), NOISE)
    assert found.dmmse_loss == pytest.approx((memorised - batch[1])[:5].square().mean().item())
    assert found.ridge_loss == pytest.approx((general - batch[1]).square().mean().item())
    assert found.projection == pytest.approx(1, abs=1e-5)


def moments(gradients, beta1, beta2):
    """Adam's, after gradients (t, P)."""
    first = second = torch.zeros_like(gradients[0])
    for gradient in gradients:
        first = beta1 * first + (1 - beta1) * gradient
        second = beta2 * second + (1 - beta2) * gradient**2
    return first, second


@pytest.mark.parametrize("step", [2, 5, 400])
def test_the_variance_of_gradients_is_that_of_their_distribution(step):
    """Unbiased at any step; the mean gradient is taken off."""
    generator = torch.Generator().manual_seed(0)
    deviations = torch.tensor([0.5, 1.0, 2.0]).repeat(8000).double()
    noise = torch.randn(step, len(deviations), generator=generator, dtype=torch.float64)
    found = gradient_variance(*moments(3 + noise * deviations, 0.9, 0.99), step, 0.9, 0.99)
    assert found == pytest.approx(deviations.square().sum().item(), rel=0.03)


def test_gradients_that_are_always_the_same_have_none():
    first, second = moments(torch.full((50, 4), 2.0).double(), 0.9, 0.999)
    assert gradient_variance(first, second, 50, 0.9, 0.999) == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize(("step", "beta1"), [(1, 0.9), (20, 0.0)])
def test_one_gradient_has_no_variance(step, beta1):
    first, second = moments(torch.ones(step, 3), beta1, 0.999)
    assert math.isnan(gradient_variance(first, second, step, beta1, 0.999))


def trained(num_tasks=4.0, **changes):
    state = TrainingState.initial(initial_parameters(RUN.architecture, 1))
    for _ in train(state, small_run(num_tasks), TrainingSettings(**TRAINING | changes)):
        pass
    return state


def test_a_training_is_the_same_however_often_they_are_taken():
    often, seldom = trained(log_every=1), trained(log_every=40)
    assert torch.equal(often.vector, seldom.vector)
    assert often.log[-1][1] == seldom.log[-1][1]


def test_they_are_of_the_batch_that_comes_next_and_the_model_before_it():
    first = dict(zip((*TRAINING_COLUMNS, *SIGNAL_COLUMNS), trained().log[0], strict=True))
    batch = RUN.sequences("training", 0, num_sequences=16)
    start = unflatten(initial_parameters(RUN.architecture, 1), RUN.architecture)
    predictions = predict(start, *batch, RUN.architecture)
    assert first["batch_loss"] == pytest.approx((predictions - batch[1]).square().mean().item())
    found = beside(predictions, *batch, RUN.tasks(), NOISE)
    for name in ("ridge_loss", "dmmse_loss", "projection", "residual"):
        assert first[name] == pytest.approx(getattr(found, name), rel=1e-4)


def test_tasks_that_wander_are_followed():
    """At the last step dMMSE knows the tasks as they stand there."""
    last = trained(phases=[{"task_drift": 0.1}]).log[-1]
    there = replace(RUN, drift=(Drift(0, 40, 0.1),)).at(39)
    batch = there.sequences("training", 39, num_sequences=16)
    _, memorised = ideal(batch, there)
    dmmse_loss = last[len(TRAINING_COLUMNS) + SIGNAL_COLUMNS.index("dmmse_loss")]
    assert dmmse_loss == pytest.approx((memorised - batch[1]).square().mean().item(), rel=1e-4)
