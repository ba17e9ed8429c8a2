"""The test sets, and the measures on them."""

import math
import weakref
from dataclasses import replace

import numpy as np
import pytest
import torch
from fake_cuda import fake_cuda
from small import DRIFT, TASK, small_run

from transience.evaluation.evaluate import DISTRIBUTIONS, EvaluationSet, evaluate, evaluation_sets
from transience.evaluation.settings import EvaluationSettings, ProbeSettings
from transience.model.loss_and_gradient import LossAndGradient
from transience.model.transformer import initial_parameters, num_parameters, predict, unflatten
from transience.problem import ideal_predictors
from transience.problem.drift import Drift, drifted
from transience.problem.tasks import sample_sequences, task_set

D, K = TASK["task_dimension"], TASK["num_examples"]


def sets_of(num_tasks: float = 4.0, seed: int = 1) -> dict[str, EvaluationSet]:
    sizes = EvaluationSettings(num_sequences=20), ProbeSettings(num_sequences=7)
    return evaluation_sets(small_run(num_tasks, seed), *sizes)


# Test sets


def test_all_task_diversities_see_the_same_inputs_and_noise():
    few, many = sets_of(2.0), sets_of(64.0)
    for name in few:
        assert few[name].xs.equal(many[name].xs)
    for name in ("gaussian", "root", "probe"):
        assert few[name].ys.equal(many[name].ys)
    assert not few["training"].ys.equal(many["training"].ys)
    assert not few["gaussian"].dmmse.equal(many["gaussian"].dmmse)


def test_the_root_set_and_the_probe_have_the_root_task():
    sets, root = sets_of(), task_set(1, 1, D)[0]
    for name in ("root", "probe"):
        noise = sets[name].ys - sets[name].xs @ root
        assert 0.05 < noise.var() < 0.25
    assert not sets["root"].xs[:7].equal(sets["probe"].xs)


def test_equal_distributions_share_one_set():
    infinite, one = sets_of(math.inf), sets_of(1.0)
    assert infinite["training"] is infinite["gaussian"]
    assert one["training"] is one["root"]
    assert infinite["gaussian"].ys.equal(one["gaussian"].ys)


def test_ideal_predictions_are_those_of_the_runs_own_task_set():
    sets = sets_of()
    for one in sets.values():
        expected = ideal_predictors.dmmse(one.xs, one.ys, task_set(1, 4, D), noise_variance=0.125)
        assert one.dmmse.equal(expected)
        assert one.ridge.equal(ideal_predictors.ridge(one.xs, one.ys, noise_variance=0.125))


def test_evaluation_never_sees_a_training_batch():
    batches = [
        sample_sequences(1, *stream, tasks=None, num_sequences=20, **TASK)[0]
        for stream in (("training", 0), ("training", 1), ("training",))
    ]
    seen = [one.xs for one in sets_of().values()]
    assert not any(batch[:7].equal(xs[:7]) for batch in batches for xs in seen)


DRIFTS = tuple(Drift(*one) for one in DRIFT)


@pytest.mark.parametrize("num_tasks", [1.0, 4.0])
def test_where_tasks_wander_the_own_set_and_dmmse_follow_and_all_else_stays(num_tasks):
    sizes = EvaluationSettings(num_sequences=20), ProbeSettings(num_sequences=7)
    start, run = sets_of(num_tasks), replace(small_run(num_tasks), drift=DRIFTS)
    before, after = (evaluation_sets(run.at(step), *sizes) for step in (2, 9))
    tasks = drifted(task_set(1, num_tasks, D), 1, DRIFTS, 9)
    for name in start:
        for part in ("xs", "ys", "dmmse", "ridge"):
            assert getattr(before[name], part).equal(getattr(start[name], part))
        one = after[name]
        assert one.xs.equal(start[name].xs)
        assert one.ys.equal(start[name].ys) == (name != "training")
        assert one.dmmse.equal(ideal_predictors.dmmse(one.xs, one.ys, tasks, noise_variance=0.125))
        assert not one.dmmse.equal(start[name].dmmse)
        assert one.ridge.equal(ideal_predictors.ridge(one.xs, one.ys, noise_variance=0.125))


def test_where_tasks_wander_noise_and_the_choice_of_tasks_stay():
    sizes = EvaluationSettings(num_sequences=20), ProbeSettings(num_sequences=7)
    run = replace(small_run(4.0), drift=DRIFTS)
    start, after = (evaluation_sets(run.at(step), *sizes)["training"] for step in (0, 9))
    moved = drifted(task_set(1, 4.0, D), 1, DRIFTS, 9) - task_set(1, 4.0, D)
    moves = torch.einsum("bkd,md->bmk", start.xs, moved)  # of the labels, had they been of task m
    errors = ((after.ys - start.ys)[:, None] - moves).abs().amax(dim=2)  # b m
    assert errors.amin(dim=1).max() < 1e-5 and errors.argmin(dim=1).unique().tolist() == [
        0,
        1,
        2,
        3,
    ]


def test_every_checkpoint_is_measured_on_sets_of_its_own():
    architecture = small_run().architecture
    checkpoints = [initial_parameters(architecture, seed) for seed in range(3)]
    first, second, model = sets_of(4.0), sets_of(8.0), LossAndGradient(architecture)
    found = evaluate(checkpoints, iter([first, second, second]), model.predict)
    for c, sets in enumerate((first, second, second)):
        expected = evaluate([checkpoints[c]], sets, model.predict)
        for one, alone in zip(found, expected, strict=True):
            np.testing.assert_array_equal(one[c], alone[0])


# Measures


def test_measures_are_mean_squared_differences():
    one = sets_of()["training"]
    predictions = torch.randn(20, K, generator=torch.Generator().manual_seed(0))
    found = one.measure(predictions)
    for row, target in enumerate((one.ys, one.dmmse, one.ridge)):
        for k in range(K):
            squares = [(predictions[b, k] - target[b, k]).item() ** 2 for b in range(20)]
            assert found[row, k].item() == pytest.approx(sum(squares) / 20, rel=1e-5)


def test_every_checkpoint_is_measured_on_every_set():
    architecture = small_run().architecture
    checkpoints = [initial_parameters(architecture, seed) for seed in range(3)]
    sets = sets_of()
    found, probe = evaluate(checkpoints, sets, LossAndGradient(architecture).predict)
    assert found.shape == (3, 3, 3, K) and probe.shape == (3, 7 * K)
    for c, vector in enumerate(checkpoints):
        parameters = unflatten(vector, architecture)
        for d, name in enumerate(DISTRIBUTIONS):
            one = sets[name]
            expected = one.measure(predict(parameters, one.xs, one.ys, architecture))
            np.testing.assert_allclose(found[c, d], expected, rtol=1e-4, atol=1e-6)
        expected = predict(parameters, sets["probe"].xs, sets["probe"].ys, architecture)
        np.testing.assert_allclose(probe[c], expected.flatten(), rtol=1e-4, atol=1e-5)


def test_nothing_waits_for_the_device_until_the_end(monkeypatch):
    """On a GPU that is not there, which refuses to tell a number and to become a NumPy array."""
    run, on = small_run(), {"device": "cuda:0"}
    P, taken, fetched = num_parameters(run.architecture), [], []
    with fake_cuda():
        sets = {
            name: EvaluationSet(torch.empty(5, K, D, **on), *torch.empty(3, 5, K, **on))
            for name in (*DISTRIBUTIONS, "probe")
        }
        vectors = (taken.append(n) or torch.empty(P, **on) for n in range(3))
        cpu = torch.Tensor.cpu
        monkeypatch.setattr(torch.Tensor, "cpu", lambda x: fetched.append(len(taken)) or cpu(x))
        with pytest.raises(RuntimeError, match="numpy"):
            evaluate(vectors, sets, LossAndGradient(run.architecture).predict)
    assert taken == [0, 1, 2] and set(fetched) == {3}


def test_what_is_kept_of_a_checkpoint_is_its_probe_alone():
    """Not the predictions on all sets, of which the probe is a part."""
    kept = []

    def predict(vector: torch.Tensor, xs: torch.Tensor, ys: torch.Tensor) -> torch.Tensor:
        kept.append(weakref.ref(made := torch.zeros_like(ys)))
        return made

    def vectors():
        for _ in range(3):
            yield torch.zeros(1)
            assert sum(one() is not None for one in kept) <= 1

    evaluate(vectors(), sets_of(), predict)
