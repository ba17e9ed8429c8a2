"""Estimate the local learning coefficient (LLC) by SGLD with a paired baseline (paper, section 5).

λ̂ = nβ (E_w[L(w)] - L(w*)), the expectation over p(w) ~ exp(-nβ L(w) - γ/2 |w - w*|²). The update
and its conventions are those of `transience.sgld`. What else the number depends on:

- **Loss.** L is the mean of whatever per-sample loss is passed in, and nβ multiplies just that.
  For the transformer it is the squared error per position (mean over sequences and K positions).
  The negative log-likelihood of a sequence is K/2σ² times it, up to a constant, so nβ here is
  K/2σ² times the one that goes with that likelihood.
- **Data.** One fixed dataset of n samples. Each draw of each chain sees a new minibatch of B of
  them, chosen uniformly with replacement.
- **L(w*).** Paired, by default: the loss of a draw is compared with that of w* on the *same*
  minibatch, λ̂ = nβ mean_t [L_Bt(w_t) - L_Bt(w*)]. Its mean is that of the unpaired form, which
  subtracts L(w*) over the dataset, and its error far smaller, as the minibatch noise cancels. The
  losses of w* on all samples are computed once, so pairing costs nothing.
- **nβ and h* = γ/nβ.** On a quadratic loss with curvatures h, λ̂ = ½ Σ h/(h + h*) - nβ Δ: it counts
  directions with h above h*, less the loss Δ = L(w*) - L(m) that w* has still to lose before the
  pull holds it, at m = argmin L(w) + h*/2 |w - w*|². A w* that is no minimum reads low, the more so
  the larger nβ. Compare estimates only at equal nβ, γ, ε and numbers of draws.
"""

import argparse
import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch

from transience import command, tables
from transience.checkpoints import CheckpointReader
from transience.errors import InputError
from transience.gradients import LossAndGradient
from transience.llc_estimate import LLCEstimate, LLCSettings, draw_table, summary_table
from transience.randomness import generator
from transience.run_identity import open_checkpoints
from transience.sgld import Batch, Chain, ValueAndGradient, sample_chain
from transience.tasks import format_num_tasks, sample_sequences, task_set
from transience.transformer import Architecture


def estimate_llc(
    loss: Callable[..., torch.Tensor],
    parameters: dict[str, torch.Tensor],
    data: Batch,
    settings: LLCSettings,
    *,
    seed: int,
    **options: Any,
) -> LLCEstimate:
    """Estimate the LLC of any differentiable loss of named tensors, with gradients by autograd.

    ``loss`` takes (parameters, *batch) to per-sample losses (B,); ``parameters`` are w*, of one
    dtype and device. For the rest, and for the options, see `estimate_llc_of_vector`.
    """
    value_and_gradient, vector = flatten(loss, parameters)
    return estimate_llc_of_vector(value_and_gradient, vector, data, settings, seed=seed, **options)


def flatten(
    loss: Callable[..., torch.Tensor], parameters: dict[str, torch.Tensor]
) -> tuple[ValueAndGradient, torch.Tensor]:
    """Turn a loss of named tensors into one of a flat vector with its gradient, by autograd."""
    shapes = {name: tensor.shape for name, tensor in parameters.items()}
    sizes = [tensor.numel() for tensor in parameters.values()]

    def value_and_gradient(vector: torch.Tensor, *batch: torch.Tensor) -> Batch:
        leaf = vector.detach().requires_grad_()
        parts = zip(shapes.items(), leaf.split(sizes), strict=True)
        losses = loss({name: part.view(shape) for (name, shape), part in parts}, *batch)
        (gradient,) = torch.autograd.grad(losses.mean(), leaf)
        return losses.detach(), gradient

    return value_and_gradient, torch.cat([t.detach().reshape(-1) for t in parameters.values()])


def estimate_llc_of_vector(
    value_and_gradient: ValueAndGradient,
    vector: torch.Tensor,
    data: Batch,
    settings: LLCSettings,
    *,
    seed: int,
    step: int = 0,
    trivial_loss: float | None = None,
    on_draw: Callable[[], None] = lambda: None,
) -> LLCEstimate:
    """Estimate the LLC at w* of a loss that brings its own gradient.

    Args:
        value_and_gradient: (w (P,), *batch) -> per-sample losses (B,), gradient (P,) of their mean.
        vector: w* (P,); the chains run in its precision and on its device.
        data: tensors with n rows each; a minibatch is the same B rows of all.
        settings: ε, nβ, γ, chains, draws, batch.
        seed: the random numbers of a chain are a function of (seed, step, chain).
        step: optimiser step of w*; names its random streams.
        trivial_loss: loss of a predictor that has learnt nothing, the far end of the loss range;
            without it, nothing is said about locality.
        on_draw: called after each draw of each chain.

    Raises:
        InputError: weights or losses at w* are not finite, or the batch is larger than the data.
    """
    check_inputs(vector, data, settings)
    initial = initial_losses(value_and_gradient, vector, data, settings.batch_size)
    size = (settings.num_burn_in + settings.num_draws, settings.batch_size)
    chains, baselines = [], []
    for chain in range(settings.num_chains):
        choice = generator(seed, "sgld batches", step, chain, device=vector.device)
        rows = torch.randint(len(initial), size, generator=choice, device=vector.device)
        baselines.append(initial[rows].mean(dim=1).cpu().numpy())
        drawn = sample_chain(
            value_and_gradient,
            vector,
            (tuple(tensor[row] for tensor in data) for row in rows),
            generator(seed, "sgld noise", step, chain, device=vector.device),
            step_size=settings.step_size,
            nbeta=settings.nbeta,
            gamma=settings.gamma,
            on_draw=on_draw,
        )
        chains.append(drawn)
    return _assemble(settings, vector, initial, chains, baselines, trivial_loss)


def check_inputs(vector: torch.Tensor, data: Batch, settings: LLCSettings) -> None:
    """Raise InputError if weights are not finite, or the data do not fit together or the batch."""
    bad = int((~torch.isfinite(vector)).sum())
    if bad:
        raise InputError(f"parameters: expected finite numbers, found {bad} of {len(vector)} not")
    lengths = {len(tensor) for tensor in data}
    if len(lengths) != 1:
        raise InputError(f"data: expected tensors of one length, found lengths {sorted(lengths)}")
    if settings.batch_size > min(lengths):
        found = f"found {settings.batch_size} of {min(lengths)}"
        raise InputError(f"batch_size: expected at most the samples of the dataset, {found}")


def initial_losses(
    value_and_gradient: ValueAndGradient, vector: torch.Tensor, data: Batch, batch_size: int
) -> torch.Tensor:
    """Loss of w* on every sample, float64 (n,); a minibatch's baseline is a mean of these."""
    batches = zip(*(tensor.split(batch_size) for tensor in data), strict=True)
    losses = [torch.atleast_1d(value_and_gradient(vector, *batch)[0]) for batch in batches]
    losses = torch.cat(losses).double()
    if losses.shape != (len(data[0]),):
        expected, found = f"{len(data[0])} samples", f"shape {tuple(losses.shape)}"
        raise InputError(f"loss: expected one value for each of {expected}, found {found}")
    bad = int((~torch.isfinite(losses)).sum())
    if bad:
        raise InputError(f"loss: expected finite values at w*, found {bad} of {len(losses)} not")
    return losses


def _assemble(
    settings: LLCSettings,
    vector: torch.Tensor,
    initial: torch.Tensor,
    chains: Sequence[Chain],
    baselines: Sequence[np.ndarray],
    trivial_loss: float | None,
) -> LLCEstimate:
    losses = np.full((len(chains), len(baselines[0])), math.nan)
    for row, chain in zip(losses, chains, strict=True):
        row[: len(chain.losses)] = chain.losses
    initial_loss = initial.mean().item()
    paired = settings.baseline == "paired"
    return LLCEstimate(
        settings=settings,
        losses=losses,
        baseline_losses=np.stack(baselines) if paired else np.full_like(losses, initial_loss),
        initial_loss=initial_loss,
        trivial_loss=trivial_loss,
        distances=np.array([(chain.position - vector).norm().item() for chain in chains]),
        diverged=np.array([chain.diverged for chain in chains]),
    )


# Command


def choose_checkpoints(saved: Sequence[int], wanted: Sequence[int | str]) -> list[int]:
    """Indices of the checkpoints meant by `final` or by steps (the nearest saved), ascending."""
    steps = np.asarray(saved)
    chosen = [len(steps) - 1 if w == "final" else int(abs(steps - w).argmin()) for w in wanted]
    return sorted(set(chosen))


def estimate_run(
    reader: CheckpointReader, args: argparse.Namespace, device: torch.device
) -> Iterator[tuple[int, LLCEstimate]]:
    """Estimate the LLC of a run's chosen checkpoints, on one dataset from its q_M."""
    section = dict(args.settings["llc"])
    architecture = Architecture.from_settings(args.settings)
    indices = choose_checkpoints(reader.steps, section.pop("checkpoints"))
    data = _dataset(section.pop("num_sequences"), args, device)
    settings = LLCSettings(**section)
    what = f"llc {args.variant} M={format_num_tasks(args.num_tasks)} seed={args.seed}"
    draws = len(indices) * settings.num_chains * (settings.num_burn_in + settings.num_draws)
    progress, done = command.Progress(draws, what, "draw"), itertools.count(1)
    for index in indices:
        try:
            estimate = estimate_llc_of_vector(
                LossAndGradient(architecture),
                reader.parameters(index).to(device),
                data,
                settings,
                seed=args.seed,
                step=reader.steps[index],
                trivial_loss=data[1].square().mean().item(),  # that of predicting zero
                on_draw=lambda: progress.update(next(done)),
            )
        except InputError as error:
            raise InputError(f"{reader.path}, step {reader.steps[index]}: {error}") from None
        yield reader.steps[index], estimate


def _dataset(num_sequences: int, args: argparse.Namespace, device: torch.device) -> Batch:
    task = args.settings["task"]
    tasks = task_set(args.seed, args.num_tasks, task["task_dimension"])
    size = {"num_sequences": num_sequences, **task}
    return sample_sequences(args.seed, "llc", tasks=tasks, device=device, **size)


def main() -> None:
    """Estimate the LLC of a run's chosen checkpoints and write the tables llc and llc_trace."""
    flags = command.parser(main.__doc__)
    command.add_run_flags(flags)
    for name in ("--checkpoints", "--llc", "--llc-trace"):
        flags.add_argument(name, required=True, metavar="FILE")
    args = flags.parse_args()
    device = command.use_resources(args)
    reader = open_checkpoints(args)
    run = {"variant": args.variant, "num_tasks": args.num_tasks, "seed": args.seed}
    summaries, draws = [], []
    for step, estimate in estimate_run(reader, args, device):
        summaries.append(summary_table(estimate, run | {"step": step}))
        draws.append(draw_table(estimate, run | {"step": step}))
    metadata = command.provenance(args)
    tables.write_table(args.llc, "llc", pd.concat(summaries), metadata)
    tables.write_table(args.llc_trace, "llc_trace", pd.concat(draws), metadata)


if __name__ == "__main__":
    command.run(main)
