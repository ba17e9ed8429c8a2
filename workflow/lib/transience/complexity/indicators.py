"""Cheap indicators of complexity at every checkpoint, to compare with the LLC (ours).

Each is the mean over probes, and costs a forward and backward pass of a minibatch, which training
does anyway, or that and two forward passes: a training loop could watch it. A probe has a minibatch
of B sequences of q_M, split into halves, and random directions; a run has the same probes at all
its checkpoints. With L the mean squared error, H its Hessian, g₁ and g₂ the gradients of the two
halves at w:

- `gradient_noise`, tr Cov of one sequence's gradient: B/4 |g₁ - g₂|², in units of (label²/weight)².
  McCandlish et al. 2018 (arXiv 1812.06162) divide it by |∇L|² for a batch size.
- `relative_gradient_noise`, tr Cov / L, in label²/weight²: the size of the errors taken out. It is
  (2/K) tr H for a model whose errors at K positions are independent noise (Fisher information).
- `squared_gradient`, |∇L|²: g₁·g₂, unbiased as the halves are independent; same units. A value
  can be negative.
- `hessian_trace`, tr H: [L(w + δξ) + L(w - δξ) - 2 L(w)] / δ² with signs ξ = ±1 (Hutchinson 1989),
  in label²/weight².
- `perturbation_rise`: nβ times the mean of L(w ± ξ) - L(w) for ξ ~ N(0, I/γ), no unit. One draw of
  a posterior that ignores the loss; on a quadratic ½ Σ h/h*, where λ̂ is ½ Σ h/(h + h*), h* = γ/nβ.
  So it is at least λ̂ there, and equal if no direction is stiff. Missing where γ = 0.
- `batch_loss`, L, in label²: what everybody watches, and what the others have to beat.
- `squared_weight_norm`, |w|², in weight²: what may lie behind them. Weights before a LayerNorm can
  grow without a change of the function; curvature then falls, and so does λ̂ at a fixed γ.

Both signs of a direction share a minibatch, so linear terms and most minibatch noise cancel.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import pandas as pd
import torch

from transience.command import flags, provenance
from transience.command.device import use_device
from transience.command.entry import ends_in_one_line
from transience.command.progress import Progress, label
from transience.complexity.settings import IndicatorSettings, PerturbationScales
from transience.complexity.sgld import Batch, Losses, ValueAndGradient
from transience.errors import InputError
from transience.files.checkpoints import CheckpointReader
from transience.files.read_ahead import on_device
from transience.files.tables import write_table
from transience.model.loss_and_gradient import LossAndGradient
from transience.model.settings import ModelSettings
from transience.problem.randomness import generator
from transience.problem.settings import TaskSettings
from transience.run import Run
from transience.training.cuda_graph import Replayed

# δ, in units of weight (ours have a root mean square of 0.1 to 0.3). On six checkpoints: kinks
# of ReLU between the two points add noise that grows as δ falls, and at 1e-4 it swamps the trace
# of late checkpoints; between 1e-3 and 1e-2 the trace moves by less than its error. From 3e-4 on,
# single and double precision agree.
DISPLACEMENT = 3e-3


INDICATORS = (
    *("batch_loss", "gradient_noise", "relative_gradient_noise", "squared_gradient"),
    *("hessian_trace", "perturbation_rise", "squared_weight_norm"),
)
# Checkpoints whose numbers a GPU hands over at once; in between the host does not wait for it.
TOGETHER = 64


@dataclass(frozen=True, eq=False)
class Probe:
    """A minibatch, and displacements of the weights in a random direction each."""

    batch: Batch
    short: torch.Tensor  # δξ with signs ξ (P,)
    long: torch.Tensor  # ξ/√γ with normal ξ (P,), NaN where γ = 0


def draw_probes(
    batches: Sequence[Batch], like: torch.Tensor, scales: PerturbationScales, *, seed: int
) -> list[Probe]:
    """A probe for each minibatch, in the size, precision and on the device of weights (P,)."""
    size, kind = like.shape, {"dtype": like.dtype, "device": like.device}
    probes = []
    for number, batch in enumerate(batches):
        draws = generator(seed, "indicators", number, device=like.device)
        signs = torch.randint(0, 2, size, generator=draws, **kind) * 2 - 1
        normal = torch.randn(size, generator=draws, **kind)
        scaled = normal / math.sqrt(scales.gamma or math.nan)
        probes.append(Probe(batch, DISPLACEMENT * signs, scaled))
    return probes


def indicators(
    value_and_gradient: ValueAndGradient,
    losses_of: Losses,
    vector: torch.Tensor,
    probes: Sequence[Probe],
    scales: PerturbationScales,
) -> torch.Tensor:
    """Measure all indicators at w by each probe, without waiting for the device.

    Args:
        value_and_gradient: (w (P,), *batch) -> per-sample losses (B,), gradient (P,) of their mean.
        losses_of: (w (P,), *batch) -> per-sample losses (B,).
        vector: w (P,).
        probes: of `draw_probes`, from minibatches of an even number of samples.
        scales: nβ and γ of the LLC that `perturbation_rise` is compared with.

    Returns:
        `INDICATORS` in their order, float64 (probes, indicators), on the device.
    """
    squared_weight_norm = vector.double().square().sum()
    rows = []
    for probe in probes:
        found = _indicators(value_and_gradient, losses_of, vector, probe, scales)
        rows.append(torch.stack([*found, squared_weight_norm]))
    return torch.stack(rows)


def _indicators(
    value_and_gradient: ValueAndGradient,
    losses_of: Losses,
    vector: torch.Tensor,
    probe: Probe,
    scales: PerturbationScales,
) -> list[torch.Tensor]:
    """All indicators of one probe but the norm of the weights, which it has no part in."""
    halves = zip(*(tensor.chunk(2) for tensor in probe.batch), strict=True)
    losses, gradients = zip(*(value_and_gradient(vector, *half) for half in halves), strict=True)
    first, second = (gradient.double() for gradient in gradients)
    loss = torch.cat(losses).double().mean()
    trace = second_difference(losses_of, vector, probe.short, probe.batch, loss) / DISPLACEMENT**2
    rise = second_difference(losses_of, vector, probe.long, probe.batch, loss) / 2
    noise = len(probe.batch[0]) / 4 * (first - second).square().sum()
    return [loss, noise, noise / loss, first @ second, trace, scales.nbeta * rise]


class Recorded:
    """`indicators` of one checkpoint after another, each as one launch on a GPU.

    They are thousands of short operations, and to launch them one by one would take a host longer
    than the GPU needs for them.
    """

    def __init__(
        self, model: LossAndGradient, probes: Sequence[Probe], scales: PerturbationScales
    ) -> None:
        """Fix all but the weights."""
        self.arguments = model, model.losses, torch.empty_like(probes[0].short), probes, scales
        self.launch = Replayed(self._measure, ())

    def __call__(self, vector: torch.Tensor) -> torch.Tensor:
        """Indicators at w (P,)."""
        self.arguments[2].copy_(vector)
        self.launch()
        return self.found.clone()  # the next launch writes there again

    def _measure(self) -> None:
        self.found = indicators(*self.arguments)


def second_difference(
    losses_of: Losses,
    vector: torch.Tensor,
    displacement: torch.Tensor,
    batch: Batch,
    loss: torch.Tensor,
) -> torch.Tensor:
    """L(w + d) + L(w - d) - 2 L(w), float64 (): for a small displacement d (P,) it is d·H d."""
    ahead, behind = (
        losses_of(end, *batch).double().mean()
        for end in (vector + displacement, vector - displacement)
    )
    return ahead + behind - 2 * loss


def summed_up(found: np.ndarray) -> pd.DataFrame:
    """One row an indicator of each checkpoint, of indicators (C, probes, indicators).

    Columns indicator, value (mean over probes), standard_error (from their spread; missing if there
    is one only) and num_probes.
    """
    num_checkpoints, num_probes, _ = found.shape
    by_probe = np.moveaxis(found, 1, 2).reshape(-1, num_probes).T
    frame = pd.DataFrame(by_probe)
    measured = {
        "indicator": np.tile(INDICATORS, num_checkpoints),
        "value": frame.mean(),
        "standard_error": frame.std() / math.sqrt(num_probes),
        "num_probes": num_probes,
    }
    return pd.DataFrame(measured)


def measure_run(
    run: Run,
    reader: CheckpointReader,
    settings: IndicatorSettings,
    scales: PerturbationScales,
    device: torch.device,
) -> Iterator[pd.DataFrame]:
    """Indicators of a run, a table for every few checkpoints; InputError at a loss not finite."""
    run, model = run.as_trained(reader), LossAndGradient(run.architecture)
    like = torch.empty(reader.num_parameters, device=device)
    probes_at = _probes(run, settings, scales, like)
    vectors = on_device(reader.parameters, len(reader), device)
    progress = Progress(len(reader), label("indicators", run), "checkpoint")
    on_gpu = device.type == "cuda"
    plain = partial(indicators, model, model.losses, scales=scales)
    recorded = None
    if on_gpu and not run.drift:  # a recording has its minibatches once and for all
        recorded = Recorded(model, probes_at(0), scales)
    together = TOGETHER if on_gpu else 1
    for first in range(0, len(reader), together):
        steps = reader.steps[first : first + together]
        found = [
            plain(vector, probes=probes_at(step)) if recorded is None else recorded(vector)
            for step, vector in zip(steps, vectors, strict=False)
        ]
        fetched = torch.stack(found).cpu().numpy()
        _check_losses(fetched[..., 0].mean(axis=1), steps, reader)
        progress.update(first + len(steps))
        yield summed_up(fetched).assign(**run.keys, step=np.repeat(steps, len(INDICATORS)))


def _probes(
    run: Run, settings: IndicatorSettings, scales: PerturbationScales, like: torch.Tensor
) -> Callable[[int], list[Probe]]:
    """The probes at a step: with the same directions at all, and tasks as they stand there."""

    def batches(there: Run) -> list[Batch]:
        size = {"num_sequences": settings.batch_size, "device": like.device}
        return [
            there.sequences("indicators", number, **size) for number in range(settings.num_probes)
        ]

    drawn = draw_probes(batches(run), like, scales, seed=run.seed)

    def probes(there: Run) -> list[Probe]:
        if there == run:
            return drawn
        pairs = zip(drawn, batches(there), strict=True)
        return [replace(probe, batch=batch) for probe, batch in pairs]

    return run.follow(probes)


def _check_losses(losses: np.ndarray, steps: Sequence[int], reader: CheckpointReader) -> None:
    """InputError if the loss (C,) at any checkpoint is not finite."""
    for step, loss in zip(steps, losses, strict=True):
        if not math.isfinite(loss):
            raise InputError(
                f"{reader.path}, step {step}: loss: expected finite values, found a mean of {loss}"
            )


class IndicatorReads(flags.Reads):
    """What the indicators depend on, besides checkpoints."""

    task: TaskSettings
    model: ModelSettings
    indicators: IndicatorSettings
    llc: PerturbationScales


def main() -> None:
    """Measure cheap indicators at every checkpoint of a run and write the table indicators."""
    parser = flags.parser(main.__doc__, IndicatorReads, of_run=True)
    flags.add_files(parser, "checkpoints", "indicators")
    args = parser.parse_args()
    run, device = flags.run_of(args), use_device(args.device, threads=args.threads)
    reader = run.open_checkpoints(args.checkpoints)
    table = pd.concat(measure_run(run, reader, args.settings.indicators, args.settings.llc, device))
    metadata = provenance.of_run(args, run, device.type)
    write_table(args.indicators, "indicators", table, metadata)


if __name__ == "__main__":
    ends_in_one_line(main)
