"""Training is Adam on fresh data, and an interrupted run ends as one that was not."""

import json
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from transience.checkpoints import CheckpointReader
from transience.errors import InputError
from transience.tables import read_table
from transience.tasks import sample_sequences, task_set
from transience.training import TrainingState, learning_rate, loss_and_gradient, train
from transience.transformer import Architecture, initial_parameters, sequence_losses, unflatten

CPU = torch.device("cpu")
ARCHITECTURE = Architecture(2, 3, 8, 2, 2, 8, output_projection=False, doubled_residual=False)
TRAINING = {
    "num_steps": 40,
    "batch_size": 16,
    "learning_rate": 1e-2,
    "warmup_steps": 10,
    "beta1": 0.9,
    "beta2": 0.999,
    "precision": "float32",
    "log_every": 10,
    "divergence_loss": 1e3,
}
SETTINGS = {
    "task": {"task_dimension": 2, "num_examples": 3, "noise_variance": 0.125},
    "model": {
        "width": 8,
        "num_layers": 2,
        "num_heads": 2,
        "mlp_width": 8,
        "output_projection": False,
        "doubled_residual": False,
    },
    "training": TRAINING,
    "checkpoints": {"linear_every": 10, "logarithmic_count": 5},
}


def run(state, *, num_tasks=4.0, **changes):
    return train(
        state,
        ARCHITECTURE,
        tasks=task_set(0, num_tasks, 2),
        seed=0,
        noise_variance=0.125,
        settings=TRAINING | changes,
    )


def start():
    return TrainingState.initial(initial_parameters(ARCHITECTURE, 0))


def last(iterator):
    *_, state = iterator
    return state


def test_the_warm_up_is_linear_and_then_constant():
    rates = [learning_rate(s, learning_rate=3.0, warmup_steps=4) for s in range(7)]
    assert rates == [0.75, 1.5, 2.25, 3.0, 3.0, 3.0, 3.0]
    assert learning_rate(0, learning_rate=3.0, warmup_steps=0) == 3.0


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
    trained = unflatten(last(run(start())).vector, ARCHITECTURE)
    for name, value in named.items():
        assert torch.allclose(trained[name], value, rtol=1e-3, atol=1e-4), name


def test_training_lowers_the_loss_and_logs_it():
    state = last(run(start(), num_steps=400, batch_size=128, log_every=50))
    assert [row[0] for row in state.log] == [1, *range(50, 401, 50)]
    assert state.log[-1][1] < 0.9 * state.log[0][1]


@pytest.mark.parametrize("stop", [1, 17, 39])
def test_a_resumed_run_is_bit_identical(tmp_path, stop):
    undisturbed = last(run(start()))
    for state in run(start()):
        if state.step == stop:
            break
    state.save(tmp_path / "state.safetensors")
    resumed = TrainingState.load(tmp_path / "state.safetensors", torch.device("cpu"))
    resumed = last(run(resumed))
    assert torch.equal(resumed.vector, undisturbed.vector)
    assert torch.equal(resumed.second_moment, undisturbed.second_moment)
    assert [row[:4] for row in resumed.log] == [row[:4] for row in undisturbed.log]


def test_task_diversity_changes_the_run_and_nothing_random_does_twice():
    vectors = [last(run(start(), num_tasks=m)).vector for m in (4.0, 4.0, 8.0, math.inf)]
    assert torch.equal(vectors[0], vectors[1])
    assert not torch.equal(vectors[0], vectors[2])
    assert not torch.equal(vectors[2], vectors[3])


def test_divergence_stops_in_one_line():
    with pytest.raises(InputError, match=r"diverged at step 10: .*divergence_loss.*learning_rate"):
        last(run(start(), learning_rate=1e8, warmup_steps=0))


@pytest.mark.parametrize("precision", ["float32", "tf32", "bf16"])
def test_every_precision_computes_nearly_the_same_gradient(precision):
    vector = initial_parameters(ARCHITECTURE, 0)
    xs, ys = torch.randn(16, 3, 2), torch.randn(16, 3)
    exact = loss_and_gradient(ARCHITECTURE, "float32", CPU)(vector, xs, ys)
    found = loss_and_gradient(ARCHITECTURE, precision, CPU)(vector, xs, ys)
    for a, b in zip(found, exact, strict=True):
        assert a.dtype == torch.float32
        assert (a - b).norm() <= 0.05 * b.norm()


# --- the command ------------------------------------------------------------------------------


def command(folder: Path, **training) -> list[str]:
    settings = SETTINGS | {"training": TRAINING | training}
    flags = ["--variant", "baseline", "--num-tasks", "4", "--seed", "0", "--device", "cpu"]
    flags += ["--state-dir", str(folder / "state"), "--settings", json.dumps(settings)]
    flags += ["--save-state-every", "0.1"]
    flags += [
        "--checkpoints",
        str(folder / "c.safetensors"),
        "--training",
        str(folder / "t.parquet"),
    ]
    return [sys.executable, "-m", "transience.training", *flags]


@pytest.fixture
def environment(monkeypatch):
    library = Path(__file__).parents[2] / "workflow" / "lib"
    return os.environ | {"PYTHONPATH": str(library), "OMP_NUM_THREADS": "1"}


def wait_for(condition, process, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_a_killed_command_goes_on_and_ends_the_same(tmp_path, environment, number):
    changes = {"num_steps": 1500, "log_every": 100}
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    subprocess.run(command(whole, **changes), env=environment, check=True, capture_output=True)
    process = subprocess.Popen(
        command(cut, **changes), env=environment, stderr=subprocess.PIPE, text=True
    )
    wait_for(lambda: list(cut.glob("state/*/state.safetensors")), process)
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == (-9 if number == signal.SIGKILL else 128 + number)
    assert not (cut / "c.safetensors").exists()
    if number != signal.SIGKILL:
        assert "run again to go on" in errors
    again = subprocess.run(
        command(cut, **changes), env=environment, check=True, capture_output=True, text=True
    )
    assert "resuming at step" in again.stderr
    a, b = (CheckpointReader(f / "c.safetensors") for f in (whole, cut))
    assert a.steps == b.steps
    assert all(torch.equal(a.parameters(i), b.parameters(i)) for i in range(len(a)))
    a, b = (read_table(f / "t.parquet", "training").drop(columns="seconds") for f in (whole, cut))
    assert a.equals(b)
    assert not (cut / "state").exists()


def test_state_of_another_configuration_or_code_is_not_continued(tmp_path, environment):
    changes = {"num_steps": 100_000}
    process = subprocess.Popen(
        command(tmp_path, **changes), env=environment, stderr=subprocess.PIPE, text=True
    )
    wait_for(lambda: list(tmp_path.glob("state/*/state.safetensors")), process)
    process.terminate()
    process.communicate(timeout=60)
    for other in (command(tmp_path), [*command(tmp_path, num_steps=41), "--code", "edited"]):
        done = subprocess.run(other, env=environment, check=True, capture_output=True, text=True)
        assert "resuming" not in done.stderr


def test_a_damaged_state_starts_again(tmp_path, environment):
    changes = {"num_steps": 1500, "log_every": 100}
    process = subprocess.Popen(
        command(tmp_path, **changes), env=environment, stderr=subprocess.PIPE, text=True
    )
    wait_for(lambda: list(tmp_path.glob("state/*/state.safetensors")), process)
    process.kill()
    process.communicate(timeout=60)
    (state,) = tmp_path.glob("state/*/state.safetensors")
    state.write_bytes(state.read_bytes()[:-10])
    done = subprocess.run(
        command(tmp_path, **changes), env=environment, check=True, capture_output=True, text=True
    )
    assert "damaged; starting again at step 0" in done.stderr
    assert CheckpointReader(tmp_path / "c.safetensors").steps[-1] == 1500
