"""Do the kernels pay? Loss and gradient of one batch in five ways, in ms on one core.

    .venv/bin/pip install -r envs/requirements-jax.txt       # for the last row
    .venv/bin/python tests/benchmarks/kernels.py

Run it when nothing else runs (a few minutes; half of it is torch.compile). All are float32, must
agree, and take turns in this process; the table gives medians.
"""

import argparse
import os
from collections.abc import Callable
from importlib.util import find_spec
from unittest.mock import patch

import torch
from speed import Calls, Case, both_plain, medians
from torch.func import functional_call, grad_and_value

from transience.model import loss_and_gradient
from transience.model.loss_and_gradient import LossAndGradient
from transience.model.operations import TorchOperations

CPU, JAX = torch.device("cpu"), find_spec("jax") is not None
MODELS = {  # title: file in config/, batch, and what differs from the file's model
    "laptop": ("config.yaml", None, {}),
    "width 128": ("config.yaml", 128, {"width": 128, "mlp_width": 256}),
    "paper": ("paper.yaml", 32, {}),
}
AGREE = 1e-4  # relative difference of the loss and of the gradient's norm


def ways(case: Case) -> Calls:
    """What computes the loss and its gradient, by its row of the table and its attention."""
    batch, vector = case.draw(), case.start()
    fast, folded = (LossAndGradient(case.run.architecture) for _ in range(2))
    in_pytorch = patch.object(loss_and_gradient, "_operations_for", lambda _: TorchOperations)
    calls = {
        "Numba kernels": lambda: fast(vector, *batch),
        "the same in PyTorch operations": in_pytorch(lambda: folded(vector, *batch)),
    }

    def eager(fused_attention: bool) -> Callable:
        model = case.plain(fused_attention)

        def call() -> tuple[torch.Tensor, tuple[torch.Tensor, ...]]:
            loss = (model(*batch) - batch[1]).square().mean()
            return loss.detach(), torch.autograd.grad(loss, list(model.parameters()))

        return call

    def compiled(fused_attention: bool) -> Callable:
        model = case.plain(fused_attention)
        weights = {name: weight.detach() for name, weight in model.named_parameters()}

        def loss(weights: dict[str, torch.Tensor], *batch: torch.Tensor) -> torch.Tensor:
            return (functional_call(model, weights, batch) - batch[1]).square().mean()

        both = torch.compile(grad_and_value(loss))  # faster than autograd through a compiled loss
        return lambda: both(weights, *batch)[::-1]

    calls |= {f"`torch.nn`|{how}": call for how, call in both_plain(eager).items()}
    calls |= {f"`torch.compile` of that|{how}": call for how, call in both_plain(compiled).items()}
    if JAX:
        from plain_jax import loss_and_gradient as in_jax

        calls["JAX, `jit`"] = in_jax(case.run.architecture, vector, *batch)
    return calls


def check(calls: Calls) -> None:
    """All must have the same loss and length of the gradient."""
    found = {name: numbers(*call()) for name, call in calls.items()}
    expected = found["Numba kernels"]
    for name, pair in found.items():
        for number, wanted in zip(pair, expected, strict=True):
            assert abs(number - wanted) < AGREE * wanted, f"{name}: {pair}, expected {expected}"


def numbers(losses, gradient) -> tuple[float, float]:
    """Mean loss and the gradient's norm, of a vector, a tuple or a dictionary."""
    parts = gradient.values() if isinstance(gradient, dict) else gradient
    parts = [gradient] if isinstance(gradient, torch.Tensor) else parts
    return losses.mean().item(), sum((part**2).sum().item() for part in parts) ** 0.5


def measure(case: Case) -> dict[str, float]:
    """Median ms of every row, of the faster of two attentions where there are two."""
    calls = ways(case)
    check(calls)
    found: dict[str, float] = {}
    for name, seconds in medians(calls, CPU).items():
        row = name.partition("|")[0]
        found[row] = min(1e3 * seconds, found.get(row, float("inf")))
    return found


def main() -> None:
    """Print a Markdown table, one column for each model."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", default=list(MODELS), choices=MODELS)
    names = parser.parse_args().models
    if hasattr(os, "sched_setaffinity"):  # JAX takes all cores that it may use
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    torch.set_num_threads(1)
    print(f"load {os.getloadavg()[0]:.1f}; loss and gradient, ms:\n", flush=True)
    columns = []
    for name in names:
        file, batch, model = MODELS[name]
        columns.append(measure(Case.of(file, CPU, batch, **model)))
    print(f"| | {' | '.join(names)} |\n|---{'|---' * len(names)}|")
    for row in columns[0]:
        print(f"| {row} | {' | '.join(f'{column[row]:.3g}' for column in columns)} |")
    if not JAX:
        print("\nNo row for JAX, which is not installed: pip install -r envs/requirements-jax.txt")


if __name__ == "__main__":
    main()
