"""Training is Adam on fresh data, and a resumed one ends as one that was not interrupted."""

import math

import pytest
import torch
from small import small_run

from transience.errors import InputError
from transience.model.transformer import initial_parameters, sequence_losses, unflatten
from transience.problem.tasks import sample_sequences, task_set
from transience.training.settings import TrainingSettings
from transience.training.state import TrainingState
from transience.training.train import learning_rate, train

SETTINGS = TrainingSettings(
    num_steps=40,
    batch_size=16,
    learning_rate=1e-2,
    warmup_steps=10,
    beta1=0.9,
    beta2=0.999,
    precision="float32",
    log_every=10,
    divergence_loss=1e3,
)
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
        return learning_rate(step, SETTINGS.model_copy(update=changes))

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
