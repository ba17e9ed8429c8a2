"""Training is Adam on fresh data, and a resumed one ends as one that was not interrupted."""

import math
from dataclasses import replace

import pytest
import torch
from small import TRAINING, small_run

from transience.errors import InputError
from transience.model.transformer import initial_parameters, sequence_losses, unflatten
from transience.problem.drift import Drift
from transience.problem.tasks import sample_sequences, task_set
from transience.training.phases import Segment, learning_rate
from transience.training.settings import PhaseSettings, TrainingSettings
from transience.training.state import TrainingState
from transience.training.train import train

SETTINGS = TrainingSettings(**TRAINING)
ARCHITECTURE = small_run().architecture


def steps(state, *, num_tasks=4.0, **changes):
    return train(state, small_run(num_tasks, seed=0), SETTINGS.model_copy(update=changes))


def start():
    return TrainingState.initial(initial_parameters(ARCHITECTURE, 0))


def last(iterator):
    *_, state = iterator
    return state


def test_the_warm_up_is_linear_and_then_constant():
    def rate(step, warmup_steps):
        changes = {"learning_rate": 3.0, "warmup_steps": warmup_steps}
        return learning_rate(step, SETTINGS.model_copy(update=changes), Segment(0, 40))

    assert [rate(s, 4) for s in range(7)] == [0.75, 1.5, 2.25, 3.0, 3.0, 3.0, 3.0]
    assert rate(0, 0) == 3.0


def test_against_a_plain_loop_of_torch_adam():
    """Autograd, one tensor a parameter and a scheduler give the same parameters."""
    named = unflatten(initial_parameters(ARCHITECTURE, 0), ARCHITECTURE)
    named = {name: value.clone().requires_grad_() for name, value in named.items()}
    optimiser = torch.optim.Adam(named.values(), lr=1e-2)
    warm_up = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda s: min(1.0, (s + 1) / 10))
    for step in range(40):
        xs, ys = sample_sequences(
            0, "training", step, tasks=task_set(0, 4, 2), num_sequences=16, num_examples=3,
            task_dimension=2, noise_variance=0.125,
        )  # fmt: skip
        optimiser.zero_grad()
        sequence_losses(named, xs, ys, ARCHITECTURE).mean().backward()
        optimiser.step()
        warm_up.step()
    trained = unflatten(last(steps(start())).vector, ARCHITECTURE)
    for name, value in named.items():
        assert torch.allclose(trained[name], value, rtol=1e-3, atol=1e-4), name


def test_training_lowers_the_loss_and_logs_it():
    state = last(steps(start(), num_steps=400, batch_size=128, log_every=50))
    assert [row[0] for row in state.log] == [1, *range(50, 401, 50)]
    assert state.log[-1][1] < 0.9 * state.log[0][1]


@pytest.mark.parametrize("stop", [1, 17, 39])
def test_a_resumed_run_is_bit_identical(tmp_path, stop):
    undisturbed = last(steps(start()))
    for state in steps(start()):
        if state.step == stop:
            break
    state.save(tmp_path / "state.safetensors")
    resumed = TrainingState.load(tmp_path / "state.safetensors", torch.device("cpu"))
    resumed = last(steps(resumed))
    assert torch.equal(resumed.vector, undisturbed.vector)
    assert torch.equal(resumed.second_moment, undisturbed.second_moment)
    assert [row[:4] for row in resumed.log] == [row[:4] for row in undisturbed.log]


def test_task_diversity_changes_the_run_and_nothing_random_does_twice():
    vectors = [last(steps(start(), num_tasks=m)).vector for m in (4.0, 4.0, 8.0, math.inf)]
    assert torch.equal(vectors[0], vectors[1])
    assert not torch.equal(vectors[0], vectors[2])
    assert not torch.equal(vectors[2], vectors[3])


def test_divergence_stops_in_one_line():
    with pytest.raises(InputError, match=r"diverged at step 10: .*divergence_loss.*learning_rate"):
        last(steps(start(), learning_rate=1e8, warmup_steps=0))


# Phases


def ends(**changes):
    return last(steps(start(), **changes))


PHASES = {
    "more tasks": {"num_tasks": 8},
    "all tasks": {"num_tasks": "inf"},
    "fresh tasks": {"fresh_fraction": 0.3},
    "drift": {"task_drift": 0.05},
    "decay": {"weight_decay": 0.5},
    "decay of MLPs": {"weight_decay": 0.5, "weight_decay_of": "mlp"},
    "decay of attention": {"weight_decay": 0.5, "weight_decay_of": "attention"},
    "rate": {"learning_rate_factor": 0.1},
    "cooldown": {"learning_rate_factor": 0.0, "learning_rate_course": "linear"},
    "batch": {"batch_size": 5},
}


def phases(name: str) -> dict:
    return {"phases": [PhaseSettings(begin=10, end=30, **PHASES[name])]}


@pytest.mark.parametrize("name", PHASES)
def test_a_phase_changes_what_comes_after_its_begin_alone(name):
    plain, other = steps(start()), steps(start(), **phases(name))
    for one, two in zip(plain, other, strict=True):
        if one.step != 11:  # a rate is led away, and tasks wander, from what they are at first
            assert torch.equal(one.vector, two.vector) == (one.step <= 10), one.step


@pytest.mark.parametrize("name", PHASES)
@pytest.mark.parametrize("stop", [10, 19, 30])
def test_a_training_stopped_in_a_phase_resumes_bit_identically(tmp_path, name, stop):
    undisturbed = ends(**phases(name))
    for state in steps(start(), **phases(name)):
        if state.step == stop:
            break
    state.save(tmp_path / "state.safetensors")
    resumed = TrainingState.load(tmp_path / "state.safetensors", torch.device("cpu"))
    resumed = last(steps(resumed, **phases(name)))
    assert torch.equal(resumed.vector, undisturbed.vector)
    assert (
        resumed.sequences == undisturbed.sequences == 16 * 40 - (20 * 11 if name == "batch" else 0)
    )


def test_phases_that_change_nothing_change_nothing():
    nothing = [PhaseSettings(begin=5, end=9), PhaseSettings(begin=9, num_tasks=4, batch_size=16)]
    nothing += [PhaseSettings(begin=20, weight_decay=0.0, fresh_fraction=0.0)]
    assert torch.equal(ends(phases=nothing).vector, ends().vector)


def test_stages_to_the_very_end_are_trainings_with_other_tasks():
    whole = [PhaseSettings(num_tasks=8)]
    assert torch.equal(ends(phases=whole).vector, ends(num_tasks=8.0).vector)
    assert torch.equal(
        ends(phases=[PhaseSettings(num_tasks="inf")]).vector, ends(num_tasks=math.inf).vector
    )


def test_decay_is_that_of_adamw():
    """By PyTorch's, one tensor a parameter: those that decay, and those that don't."""
    decay, settings = 0.5, {"weight_decay": 0.5, "weight_decay_of": "mlp"}
    named = unflatten(initial_parameters(ARCHITECTURE, 0), ARCHITECTURE)
    named = {name: value.clone().requires_grad_() for name, value in named.items()}
    decaying = [v for n, v in named.items() if n.endswith(("mlp_in.weight", "mlp_out.weight"))]
    assert len(decaying) == 2 * ARCHITECTURE.num_layers
    others = [v for v in named.values() if not any(v is one for one in decaying)]
    groups = [{"params": decaying, "weight_decay": decay}, {"params": others, "weight_decay": 0.0}]
    optimiser = torch.optim.AdamW(groups, lr=1e-2)
    warm_up = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda s: min(1.0, (s + 1) / 10))
    for step in range(40):
        xs, ys = small_run(seed=0).sequences("training", step, num_sequences=16)
        optimiser.zero_grad()
        sequence_losses(named, xs, ys, ARCHITECTURE).mean().backward()
        optimiser.step()
        warm_up.step()
    trained = unflatten(ends(phases=[PhaseSettings(**settings)]).vector, ARCHITECTURE)
    for name, value in named.items():
        assert torch.allclose(trained[name], value, rtol=1e-3, atol=1e-4), name


def test_tasks_of_a_drifting_run_are_those_it_is_evaluated_on():
    """The loss of a step is that of sequences with the tasks of `Run.at`."""
    drifting = [PhaseSettings(begin=3, task_drift=0.5)]
    states, before = steps(start(), phases=drifting, log_every=1), start().vector
    run = replace(small_run(4.0, seed=0), drift=(Drift(3, 40, 0.5),))
    for state, number in zip(states, range(8), strict=False):
        xs, ys = run.at(number).sequences("training", number, num_sequences=16)
        loss = sequence_losses(unflatten(before, ARCHITECTURE), xs, ys, ARCHITECTURE).mean()
        assert state.log[-1][1] == pytest.approx(loss.item(), rel=1e-4)
        before = state.vector.clone()
    assert not torch.equal(run.at(3).tasks(), run.at(5).tasks())


def test_fresh_tasks_have_their_share_and_leave_inputs_and_noise_as_they_are():
    size = {"num_sequences": 4000, "num_examples": 2, "task_dimension": 2, "noise_variance": 1e-6}
    tasks = task_set(0, 3, 2)
    xs, ys = sample_sequences(0, "a", tasks=tasks, **size)
    fresh_xs, fresh_ys = sample_sequences(0, "a", tasks=tasks, fresh_fraction=0.25, **size)
    assert torch.equal(xs, fresh_xs)
    same = (ys == fresh_ys).all(dim=1)
    assert 0.75 - 4 * 0.007 < same.double().mean() < 0.75 + 4 * 0.007
    solved = torch.linalg.lstsq(xs[~same], fresh_ys[~same][..., None]).solution[..., 0]
    assert (solved.median(dim=0).values.abs() < 0.2).all()
