"""A checkpoint's estimates: ε where it is stiff, the preconditioner, and nothing of the others."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from small import small_run

from transience.complexity.checkpoint import Checkpoint, dataset
from transience.complexity.estimate import LLCEstimate
from transience.complexity.estimator import estimate_llc_with_gradient
from transience.complexity.limits import MAX_STIFFNESS
from transience.complexity.settings import LLCCurveSettings, LLCSettings
from transience.errors import InputError
from transience.model.loss_and_gradient import LossAndGradient
from transience.model.transformer import initial_parameters, sequence_losses, unflatten

SECTION = {
    "checkpoints": ["final"], "step_size": 1e-4, "nbeta": 50.0, "gamma": 10.0, "num_chains": 2,
    "num_draws": 10, "num_burn_in": 2, "batch_size": 16, "data_mode": "fixed",
    "num_sequences": 32, "lanczos_steps": 12, "lanczos_sequences": 32,
}  # fmt: skip
CURVE = LLCCurveSettings(
    checkpoints=["final"], h_star=[1.0, 0.1], sampled_h_star=[], num_probes=3, lanczos_steps=10,
    num_sequences=16,
)  # fmt: skip
RUN = small_run()


def checkpoint(step: int = 9, **changes: Any) -> Checkpoint:
    settings = LLCSettings(**SECTION | changes)
    vector = initial_parameters(RUN.architecture, seed=step)
    data = dataset(RUN, settings, torch.device("cpu"))
    return Checkpoint(RUN, step, vector, data, settings)


def estimate(one: Checkpoint, **changes: Any) -> LLCEstimate:
    sampler = one.settings.sampler(RUN.seed).model_copy(update=changes)
    return one.estimate(sampler)


def dense_hessian(one: Checkpoint) -> torch.Tensor:
    def losses(w: torch.Tensor, xs: torch.Tensor, ys: torch.Tensor) -> torch.Tensor:
        return sequence_losses(unflatten(w, RUN.architecture), xs, ys, RUN.architecture)

    return torch.autograd.functional.hessian(
        lambda w: losses(w, *one.data).mean(), one.vector, vectorize=True
    )


def test_the_curvature_is_that_of_the_loss_on_its_sequences():
    one = checkpoint()
    hessian = dense_hessian(one)
    exact = torch.linalg.eigvalsh(hessian)[-1].item()
    found = estimate(one)
    assert found.largest_curvature == pytest.approx(exact, rel=0.01)
    _, curvature = one.prepared(one.settings.sampler(RUN.seed))
    assert curvature.preconditioner is not None
    half = curvature.preconditioner.power(torch.eye(len(hessian)), 0.5)
    left = torch.linalg.eigvalsh(half @ hessian @ half)[-1].item()
    assert found.remaining_curvature == pytest.approx(left, rel=0.05)
    assert found.remaining_curvature < 0.8 * found.largest_curvature


@pytest.mark.parametrize("step_size", [1e-5, 1.0])
def test_the_step_is_lowered_where_it_is_too_large_and_only_there(step_size: float):
    found = estimate(checkpoint(), step_size=step_size)
    if step_size == 1e-5:
        assert found.settings.step_size == step_size and found.stiffness < MAX_STIFFNESS
    else:
        assert found.settings.step_size < step_size
        assert found.stiffness == pytest.approx(MAX_STIFFNESS, rel=1e-5)
    assert "STIFF" not in found.flags


def test_without_a_preconditioner_the_step_stays_and_draws_are_those_of_plain_sgld():
    one = checkpoint(lanczos_steps=0)
    model, sampler = LossAndGradient(RUN.architecture), one.settings.sampler(RUN.seed)
    plain = estimate_llc_with_gradient(
        model, one.vector, one.data, sampler, losses_of=model.losses, step=9
    )
    found = estimate(one)
    assert np.array_equal(found.losses, plain.losses)
    assert np.array_equal(found.centre_losses, plain.centre_losses)
    assert found.settings == sampler
    assert math.isnan(found.largest_curvature) and math.isnan(found.remaining_curvature)
    assert np.array_equal(found.losses[:, 0], found.baseline_losses[:, 0])  # they start at w*
    assert not np.array_equal(estimate(checkpoint()).losses, plain.losses)


def test_chains_with_a_preconditioner_start_away_from_the_weights():
    found = estimate(checkpoint())
    assert (found.losses[:, 0] != found.baseline_losses[:, 0]).all()


def test_without_a_pull_sgld_runs_plain_at_a_stable_step():
    found = estimate(checkpoint(), gamma=0.0, step_size=1.0)
    assert found.settings.step_size < 1.0
    assert found.remaining_curvature == found.largest_curvature
    assert np.array_equal(found.losses[:, 0], found.baseline_losses[:, 0])


def test_fresh_sequences_go_with_the_preconditioner():
    found = estimate(checkpoint(data_mode="fresh"))
    assert len(np.unique(found.baseline_losses)) == found.baseline_losses.size
    assert np.isfinite(found.llc) and np.isfinite(found.remaining_curvature)


def test_estimates_do_not_depend_on_what_was_asked_before():
    alone = estimate(checkpoint())
    one = checkpoint()
    one.quadrature(CURVE)
    estimate(checkpoint(step=0))
    estimate(one, gamma=100.0)
    again = estimate(one)
    assert np.array_equal(alone.losses, again.losses)
    assert alone.settings == again.settings
    assert not np.array_equal(estimate(checkpoint(step=0)).losses, alone.losses)


def test_the_spectrum_is_measured_once(monkeypatch: pytest.MonkeyPatch):
    one, calls = checkpoint(), []
    original = one.model.gates
    monkeypatch.setattr(one.model, "gates", lambda *args: calls.append(1) or original(*args))
    estimate(one)
    estimate(one, gamma=100.0)
    assert len(calls) == 1


def test_the_quadrature_is_the_sum_over_the_spectrum():
    one = checkpoint()
    chosen = CURVE.model_copy(update={"num_probes": 40, "lanczos_steps": 60, "num_sequences": 32})
    values = torch.linalg.eigvalsh(dense_hessian(one).double()).numpy()
    for h_star, group in one.quadrature(chosen).groupby("h_star"):
        error = group["llc"].sem()
        exact = np.sum(values / (np.abs(values) + h_star)) / 2
        assert abs(group["llc"].mean() - exact) < 4 * error + 0.02 * abs(exact)
        assert error < 3  # of 568 parameters, at weights that were never trained


def test_quadrature_uses_no_more_sequences_than_there_are():
    all_of_them = CURVE.model_copy(update={"num_sequences": 32})
    more = CURVE.model_copy(update={"num_sequences": 1000})
    found = checkpoint().quadrature(all_of_them)
    assert found.equals(checkpoint().quadrature(more))
    assert not found.equals(checkpoint().quadrature(CURVE))  # fewer: another Hessian


def test_weights_that_are_not_finite_are_refused():
    one = checkpoint()
    one.vector[3] = math.nan
    with pytest.raises(InputError, match=r"^parameters: expected finite numbers, found 1 of \d+ "):
        estimate(one)
    with pytest.raises(InputError, match=r"^parameters: expected finite numbers, found 1 of \d+ "):
        one.quadrature(CURVE)
