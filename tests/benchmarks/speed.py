"""Speed of training, evaluation and SGLD, beside plain `torch.nn` and beside the machine's floor.

    make benchmark
    .venv/bin/python tests/benchmarks/speed.py --device cuda --paper-batch 1024

All contestants run in this process on one thread and take turns; the table gives medians. A
training step has its precision to itself; all else is in float32.

- *plain*: the same work as everybody writes it with `torch.nn` and autograd, in float32, with
  attention as two matrix products or as PyTorch's fused kernel, whichever is faster.
- *products*: floating-point operations of our matrix products (attention's too) over the rate of a
  large matrix product in the same precision, measured here. On a CPU a step can hardly be faster.
- *memory*: bytes that must move (parameters, gradients, Adam's moments, noise and data, each once)
  over the rate of a large copy. What stays in a cache between two steps can beat it.

A training step draws its batch; an SGLD step measures the Metropolis acceptance as often as the
workflow does.
"""

import argparse
import itertools
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch.utils.flop_counter import FlopCounterMode

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(HERE), str(ROOT / "workflow" / "lib")]

from plain import PlainTransformer, plain_step  # noqa: E402

from transience.complexity.settings import Scales  # noqa: E402
from transience.complexity.sgld import (  # noqa: E402
    PROBE_EVERY,
    sample_chains,
    side_by_side,
    stack_of_one,
)
from transience.model.loss_and_gradient import LossAndGradient  # noqa: E402
from transience.model.settings import ModelSettings  # noqa: E402
from transience.model.transformer import (  # noqa: E402
    initial_parameters,
    sequence_losses,
    unflatten,
)
from transience.planning.configuration import completed, load  # noqa: E402
from transience.problem.settings import TaskSettings  # noqa: E402
from transience.run import Run  # noqa: E402
from transience.training.arithmetic import products  # noqa: E402
from transience.training.settings import TrainingSettings  # noqa: E402
from transience.training.state import TrainingState  # noqa: E402
from transience.training.train import train  # noqa: E402

ROUNDS = 7
SECONDS = 0.2  # of every contestant in a round, or one call
MODELS = {"smoke": "smoke.yaml", "laptop": "config.yaml", "paper": "paper.yaml"}
SCALES = Scales(step_size=1e-8, nbeta=1.0, gamma=1.0)
NUMBER = 4  # bytes
CHAINS = {"cpu": 1, "cuda": 4}  # of SGLD, side by side
Calls = dict[str, Callable[[], object]]


@dataclass(frozen=True)
class Case:
    """A model, how it is trained, and where."""

    run: Run
    training: TrainingSettings
    device: torch.device

    @classmethod
    def of(cls, file: str, device: torch.device, batch: int | None = None, **model: int) -> "Case":
        """M = 8 of a configuration in config/, with another batch size or model if so wished."""
        settings = completed(load(str(ROOT / "config" / file)))
        training = settings["training"] | ({"batch_size": batch} if batch else {})
        kinds = TaskSettings(**settings["task"]), ModelSettings(**settings["model"] | model)
        return cls(Run("baseline", 8.0, 0, *kinds), TrainingSettings(**training), device)

    def start(self, dtype: torch.dtype = torch.float32) -> torch.Tensor:
        return initial_parameters(self.run.architecture, 0).to(self.device, dtype)

    def draw(self, index: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
        size = self.training.batch_size
        return self.run.sequences("training", index, num_sequences=size, device=self.device)

    def plain(self, fused_attention: bool) -> PlainTransformer:
        model = PlainTransformer(self.run.architecture, fused_attention=fused_attention)
        return model.to(self.device).load(self.start(), self.run.architecture)


# What is measured: contestants that do the same number of units of work a call


def training(case: Case) -> Calls:
    """One step of Adam on a fresh batch."""

    def plain(fused_attention: bool) -> Callable[[], object]:
        model, steps = case.plain(fused_attention), itertools.count()
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-6)
        return lambda: plain_step(model, optimizer, *case.draw(next(steps)))

    return both_plain(plain) | {name: our_step(case, name) for name in precisions(case.device)}


def our_step(case: Case, precision: str) -> Callable[[], object]:
    """A step of training as the workflow does it, again and again; the loss is never logged."""
    rare = {"num_steps": 10**9, "log_every": 10**9, "learning_rate": 1e-6, "warmup_steps": 0}
    settings = case.training.model_copy(update=rare | {"precision": precision})
    states = train(TrainingState.initial(case.start()), case.run, settings)
    return lambda: next(states)


def precisions(device: torch.device) -> list[str]:
    """Those that a device has units for."""
    return ["float32", "bf16"] + ["tf32"] * (device.type == "cuda")


def evaluation(case: Case) -> Calls:
    """Predictions for a batch."""
    xs, ys = case.draw()

    def plain(fused_attention: bool) -> Callable[[], object]:
        model = case.plain(fused_attention)
        return torch.no_grad()(lambda: model(xs, ys))

    fast, vector = LossAndGradient(case.run.architecture), case.start()
    return both_plain(plain) | {"float32": lambda: fast.predict(vector, xs, ys)}


def sgld(case: Case) -> Calls:
    """PROBE_EVERY steps of one chain, or of some side by side, the last with its acceptance."""
    batches = [case.draw(index) for index in range(PROBE_EVERY)]
    chains = CHAINS[case.device.type]
    noises = [torch.Generator(case.device).manual_seed(chain) for chain in range(chains)]

    def plain(fused_attention: bool) -> Callable[[], object]:
        model = case.plain(fused_attention)
        anchor = [p.detach().clone() for p in model.parameters()]
        return lambda: [plain_sgld_step(model, anchor, *batch) for batch in batches * chains]

    fast, vector = LossAndGradient(case.run.architecture), case.start()
    shape, alone = case.run.architecture, stack_of_one(fast)
    together = side_by_side(lambda w, xs, ys: sequence_losses(unflatten(w, shape), xs, ys, shape))
    stacks = [tuple(tensor.expand(chains, *tensor.shape) for tensor in batch) for batch in batches]

    def ours() -> None:
        sample_chains(together if chains > 1 else alone, vector, stacks, noises, SCALES)

    return both_plain(plain) | {"float32": ours}


def plain_sgld_step(
    model: PlainTransformer, anchor: list[torch.Tensor], xs: torch.Tensor, ys: torch.Tensor
) -> float:
    """One SGLD step as everybody writes it."""
    model.zero_grad()
    loss = (model(xs, ys) - ys).square().mean()
    loss.backward()
    with torch.no_grad():
        for p, start in zip(model.parameters(), anchor, strict=True):
            pull = SCALES.nbeta * p.grad + SCALES.gamma * (p - start)
            p.add_(pull, alpha=-SCALES.step_size / 2)
            p.add_(torch.randn_like(p), alpha=SCALES.step_size**0.5)
    return loss.item()


def both_plain(plain: Callable[[bool], Callable[[], object]]) -> Calls:
    return {"plain, products": plain(False), "plain, fused": plain(True)}


# Floors


@dataclass(frozen=True)
class Work:
    """A kind of work, and what a unit of it takes at least."""

    contestants: Callable[[Case], Calls]
    units: int  # of work a call
    gradients: float  # a unit; 0 where there are predictions only
    unit: str
    moved: int  # numbers that a unit must read or write


def works(case: Case) -> dict[str, Work]:
    """All kinds of work, by name."""
    size, numbers = len(case.start()), sum(tensor.numel() for tensor in case.draw())
    chain_steps = CHAINS[case.device.type] * PROBE_EVERY
    with_probe = 1 + 1 / PROBE_EVERY
    return {
        "training step": Work(training, 1, 1.0, "steps", 8 * size + numbers),
        "evaluation": Work(evaluation, 1, 0.0, "sequences", size + numbers),
        "SGLD step": Work(sgld, chain_steps, with_probe, "chain-steps", 7 * size + numbers),
    }


def floors(case: Case, work: Work, rates: dict[str, float]) -> dict[str, float]:
    """Least seconds of a unit: for its products in each precision, for a `copy` of what moves."""
    floating = operations(case, gradient=work.gradients > 0) * (work.gradients or 1)
    amounts = {name: NUMBER * work.moved if name == "copy" else floating for name in rates}
    return {name: amount / rates[name] for name, amount in amounts.items()}


def operations(case: Case, *, gradient: bool) -> int:
    """Floating-point operations of our matrix products, counted by PyTorch.

    Counted for few sequences on a CPU: there are those of every sequence, and those of the weights.
    """
    few, more = (_counted(case, sequences, gradient) for sequences in (16, 32))
    return few + (case.training.batch_size - 16) * (more - few) // 16


def _counted(case: Case, sequences: int, gradient: bool) -> int:
    training = case.training.model_copy(update={"batch_size": sequences})
    case = replace(case, training=training, device=torch.device("cpu"))
    model = LossAndGradient(case.run.architecture)  # in float64, so all in PyTorch operations
    xs, ys = (tensor.double() for tensor in case.draw())
    start = case.start(torch.float64)
    return products_in(lambda: (model if gradient else model.predict)(start, xs, ys))


def products_in(work: Callable[[], object]) -> int:
    """Floating-point operations of all matrix products in some work, those in place too."""

    def in_place(total, left, right, **_) -> int:  # shapes; PyTorch would leave these out
        return 2 * left[0] * left[1] * right[1]

    mapping = {torch.ops.aten.addmm_: in_place}
    with FlopCounterMode(display=False, custom_mapping=mapping) as counter:
        work()
    return counter.get_total_flops()


def measured_rates(device: torch.device) -> dict[str, float]:
    """Operations a second of a large product in each precision, bytes a second of a large copy."""
    rates = {
        "float32": product_rate(torch.float32, device),
        "bf16": product_rate(torch.bfloat16, device),
        "copy": copy_rate(device),
    }
    if device.type == "cuda":
        with products(tf32=True):
            rates["tf32"] = product_rate(torch.float32, device)
    return rates


def product_rate(dtype: torch.dtype, device: torch.device) -> float:
    """Operations a second of a large matrix product."""
    size = 1024 if device.type == "cpu" else 8192
    a, b = (torch.randn(size, size, device=device).to(dtype) for _ in range(2))
    out = torch.empty(size, size, dtype=dtype, device=device)
    return 2 * size**3 / medians({"": lambda: torch.mm(a, b, out=out)}, device)[""]


def copy_rate(device: torch.device) -> float:
    """Bytes a second read and written by a large copy."""
    a = torch.ones(2**26, device=device)
    b = torch.empty_like(a)
    return 2 * NUMBER * a.numel() / medians({"": lambda: b.copy_(a)}, device)[""]


# Time


def medians(calls: Calls, device: torch.device) -> dict[str, float]:
    """Median seconds a call, over rounds in which all take their turn."""
    repeats = {}
    for name, call in calls.items():
        seconds(call, 1, device)
        repeats[name] = max(1, round(SECONDS / seconds(call, 1, device)))
    rounds = [
        {name: seconds(call, repeats[name], device) for name, call in calls.items()}
        for _ in range(ROUNDS)
    ]
    return {name: statistics.median(times[name] for times in rounds) for name in calls}


def seconds(call: Callable[[], object], repeats: int, device: torch.device) -> float:
    wait = torch.cuda.synchronize if device.type == "cuda" else lambda: None
    wait()
    start = time.perf_counter()
    for _ in range(repeats):
        call()
    wait()
    return (time.perf_counter() - start) / repeats


# Table


HEADER = (
    "| model | batch | work | precision | plain ms | ours ms | ratio | ours a second "
    "| products ms | memory ms | products / ours |"
)


def rows(name: str, case: Case, rates: dict[str, float]) -> list[str]:
    """Table rows of a model."""
    batch, table = case.training.batch_size, []
    for name_of_work, work in works(case).items():
        times = medians(work.contestants(case), case.device)
        plain = min(times.pop("plain, products"), times.pop("plain, fused")) / work.units
        floor = floors(case, work, rates)
        for precision, ours in times.items():
            ours /= work.units
            count = batch / ours if work.unit == "sequences" else 1 / ours
            table.append(
                f"| {name} | {batch} | {name_of_work} | {precision} | {1e3 * plain:.3g} "
                f"| {1e3 * ours:.3g} | {plain / ours:.2f} | {count:.3g} {work.unit} "
                f"| {1e3 * floor[precision]:.3g} | {1e3 * floor['copy']:.3g} "
                f"| {floor[precision] / ours:.2f} |"
            )
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cpu", type=torch.device)
    parser.add_argument("--paper-batch", type=int, default=32, help="the paper's own is 1024")
    parser.add_argument("--models", nargs="+", default=list(MODELS), choices=MODELS)
    flags = parser.parse_args()
    torch.set_num_threads(1)
    rates = measured_rates(flags.device)
    for name, rate in rates.items():
        print(f"{name}: {rate / 1e9:.0f} {'GB/s' if name == 'copy' else 'GFLOP/s, large product'}")
    print(f"\n{HEADER}\n{'|---' * HEADER.count(' | ')}|---|")
    for name in flags.models:
        case = Case.of(MODELS[name], flags.device, flags.paper_batch if name == "paper" else None)
        print("\n".join(rows(name, case, rates)), flush=True)


if __name__ == "__main__":
    main()
