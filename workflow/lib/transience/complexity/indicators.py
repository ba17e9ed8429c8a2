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
from collections.abc import Iterator, Sequence

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
from transience.files.tables import write_table
from transience.model.loss_and_gradient import LossAndGradient
from transience.model.settings import ModelSettings
from transience.problem.randomness import generator
from transience.problem.settings import TaskSettings
from transience.run import Run

# δ, in units of weight (ours have a root mean square of 0.1 to 0.3). On six checkpoints: kinks
# of ReLU between the two points add noise that grows as δ falls, and at 1e-4 it swamps the trace
# of late checkpoints; between 1e-3 and 1e-2 the trace moves by less than its error. From 3e-4 on,
# single and double precision agree.
DISPLACEMENT = 3e-3


def indicators(
    value_and_gradient: ValueAndGradient,
    losses_of: Losses,
    vector: torch.Tensor,
    batches: Sequence[Batch],
    scales: PerturbationScales,
    *,
    seed: int,
) -> pd.DataFrame:
    """Measure all indicators at w with one probe for each minibatch.

    Args:
        value_and_gradient: (w (P,), *batch) -> per-sample losses (B,), gradient (P,) of their mean.
        losses_of: (w (P,), *batch) -> per-sample losses (B,).
        vector: w (P,).
        batches: minibatches of an even number of samples.
        scales: nβ and γ of the LLC that `perturbation_rise` is compared with.
        seed: of the directions.

    Returns:
        One row an indicator, with columns indicator, value, standard_error (from the spread of the
        probes; missing if there is one only) and num_probes.

    InputError if the loss at w is not finite.
    """
    probes = []
    for number, batch in enumerate(batches):
        directions = generator(seed, "indicators", number, device=vector.device)
        probes.append(_probe(value_and_gradient, losses_of, vector, batch, directions, scales))
    frame = pd.DataFrame(probes)
    measured = {
        "value": frame.mean(),
        "standard_error": frame.std() / math.sqrt(len(frame)),
        "num_probes": len(frame),
    }
    return pd.DataFrame(measured).rename_axis("indicator").reset_index()


def _probe(
    value_and_gradient: ValueAndGradient,
    losses_of: Losses,
    vector: torch.Tensor,
    batch: Batch,
    directions: torch.Generator,
    scales: PerturbationScales,
) -> dict[str, float]:
    """All indicators from one minibatch and one direction each."""
    halves = zip(*(tensor.chunk(2) for tensor in batch), strict=True)
    losses, gradients = zip(*(value_and_gradient(vector, *half) for half in halves), strict=True)
    first, second = (gradient.double() for gradient in gradients)
    loss = torch.cat(losses).double().mean().item()
    if not math.isfinite(loss):
        raise InputError(f"loss: expected finite values, found a mean of {loss}")

    like = {"generator": directions, "dtype": vector.dtype, "device": vector.device}
    signs = torch.randint(0, 2, vector.shape, **like) * 2 - 1
    normal = torch.randn(vector.shape, **like) / math.sqrt(scales.gamma or math.nan)
    trace = (
        second_difference(losses_of, vector, DISPLACEMENT * signs, batch, loss) / DISPLACEMENT**2
    )
    rise = second_difference(losses_of, vector, normal, batch, loss) / 2
    noise = len(batch[0]) / 4 * (first - second).square().sum().item()
    return {
        "batch_loss": loss,
        "gradient_noise": noise,
        "relative_gradient_noise": noise / loss,
        "squared_gradient": (first @ second).item(),
        "hessian_trace": trace,
        "perturbation_rise": scales.nbeta * rise,
        "squared_weight_norm": vector.double().square().sum().item(),
    }


def second_difference(
    losses_of: Losses, vector: torch.Tensor, displacement: torch.Tensor, batch: Batch, loss: float
) -> float:
    """L(w + d) + L(w - d) - 2 L(w): for a small displacement d (P,) it is d·H d."""
    ends = (vector + displacement, vector - displacement)
    return sum(losses_of(end, *batch).double().mean().item() for end in ends) - 2 * loss


def measure_run(
    run: Run,
    reader: CheckpointReader,
    settings: IndicatorSettings,
    scales: PerturbationScales,
    device: torch.device,
) -> Iterator[pd.DataFrame]:
    """Indicators of a run, a table for each checkpoint."""
    model = LossAndGradient(run.architecture)
    size = {"num_sequences": settings.batch_size, "device": device}
    batches = [run.sequences("indicators", probe, **size) for probe in range(settings.num_probes)]
    progress = Progress(len(reader), label("indicators", run), "checkpoint")
    for index, step in enumerate(reader.steps):
        vector = reader.parameters(index).to(device)
        try:
            found = indicators(model, model.losses, vector, batches, scales, seed=run.seed)
        except InputError as error:
            raise InputError(f"{reader.path}, step {step}: {error}") from None
        progress.update(index + 1)
        yield found.assign(**run.keys, step=step)


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
