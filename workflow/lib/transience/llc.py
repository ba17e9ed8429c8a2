"""Estimate the local learning coefficient (LLC) by SGLD with a paired baseline (paper, section 5).

λ̂ = nβ (E_w[L(w)] - L(w*)), the expectation over p(w) ~ exp(-nβ L(w) - γ/2 |w - w*|²). The update
and its conventions are those of `transience.sgld`. What else the number depends on:

- **Loss.** L is the mean of whatever per-sample loss is passed in, and nβ multiplies just that.
  For the transformer it is the squared error per position (mean over sequences and K positions).
  The negative log-likelihood of a sequence is K/2σ² times it, up to a constant, so nβ here is
  K/2σ² times the one that goes with that likelihood.
- **Data.** Mode `fixed`: one dataset of n samples; each draw of each chain sees a new minibatch of
  B of them, chosen uniformly with replacement. Mode `fresh`: B new samples for each draw, so L is
  the loss of the whole distribution and n only a temperature.
- **L(w*).** Paired, by default: the loss of a draw is compared with that of w* on the *same*
  minibatch, λ̂ = nβ mean_t [L_Bt(w_t) - L_Bt(w*)]. Its mean is that of the unpaired form, which
  subtracts L(w*) over the dataset, and its error far smaller, as the minibatch noise cancels. The
  losses of w* on all samples of a fixed dataset are computed once, so pairing costs nothing.
- **nβ and h* = γ/nβ.** On a quadratic loss with curvatures h, λ̂ = ½ Σ h/(h + h*) - nβ Δ: it counts
  directions with h above h*, less the loss Δ = L(w*) - L(m) that w* has still to lose before the
  pull holds it, at m = argmin L(w) + h*/2 |w - w*|². Compare estimates only at equal nβ, γ, ε and
  numbers of draws.
- **The point that loss is compared with.** Weights trained at a constant learning rate are no
  minimum, so λ̂ reads low, the more so the larger nβ. The *centred* estimate (ours) compares with
  the mean w̄ of the draws instead: nβ (E_w[L(w)] - L(w̄)) = λ̂ + nβ (L(w*) - L(w̄)). On a quadratic
  it is ½ Σ h/(h + h*) whatever w* is; at a minimum it equals λ̂. `LLCEstimate` has both.
"""

import argparse
import itertools
import math
import shutil
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from transience import command, tables
from transience.checkpoints import CheckpointReader
from transience.errors import InputError
from transience.gradients import LossAndGradient
from transience.llc_estimate import LLCEstimate, LLCSettings, draw_table, summary_table
from transience.minibatches import Data, FixedData, FreshData, sample_losses
from transience.randomness import generator
from transience.resume import state_folder
from transience.run_identity import open_checkpoints
from transience.sgld import (
    Batch,
    Chain,
    Losses,
    StackedValueAndGradient,
    ValueAndGradient,
    sample_chains,
    side_by_side,
    stack_of_one,
)
from transience.tasks import format_num_tasks, sample_sequences, task_set
from transience.transformer import Architecture, sequence_losses, unflatten


def estimate_llc(
    loss: Callable[..., torch.Tensor],
    parameters: dict[str, torch.Tensor],
    data: Data,
    settings: LLCSettings,
    *,
    together: bool = False,
    **options: Any,
) -> LLCEstimate:
    """Estimate the LLC of any differentiable loss of named tensors, with gradients by autograd.

    ``loss`` takes (parameters, *batch) to per-sample losses (B,); ``parameters`` are w*, of one
    dtype and device. With ``together`` all chains take their draws at once, by `torch.func.vmap`:
    for a GPU, or a model of a few parameters. For the rest, and for the options, see
    `estimate_llc_of_vector`.
    """
    losses_of, value_and_gradient, vector = flatten(loss, parameters)
    if together:
        options["stacked"] = side_by_side(losses_of)
    options["losses_of"] = torch.no_grad()(losses_of)
    return estimate_llc_of_vector(value_and_gradient, vector, data, settings, **options)


def flatten(
    loss: Callable[..., torch.Tensor], parameters: dict[str, torch.Tensor]
) -> tuple[Losses, ValueAndGradient, torch.Tensor]:
    """Turn a loss of named tensors into one of a flat vector, alone and with its gradient."""
    shapes = {name: tensor.shape for name, tensor in parameters.items()}
    sizes = [tensor.numel() for tensor in parameters.values()]

    def named(vector: torch.Tensor) -> dict[str, torch.Tensor]:
        parts = zip(shapes.items(), vector.split(sizes), strict=True)
        return {name: part.view(shape) for (name, shape), part in parts}

    def losses_of(vector: torch.Tensor, *batch: torch.Tensor) -> torch.Tensor:
        return loss(named(vector), *batch)

    def value_and_gradient(vector: torch.Tensor, *batch: torch.Tensor) -> Batch:
        leaf = vector.detach().requires_grad_()
        losses = losses_of(leaf, *batch)
        (gradient,) = torch.autograd.grad(losses.mean(), leaf)
        return losses.detach(), gradient

    vector = torch.cat([tensor.detach().reshape(-1) for tensor in parameters.values()])
    return losses_of, value_and_gradient, vector


def estimate_llc_of_vector(
    value_and_gradient: ValueAndGradient,
    vector: torch.Tensor,
    data: Data,
    settings: LLCSettings,
    *,
    losses_of: Losses | None = None,
    stacked: StackedValueAndGradient | None = None,
    step: int = 0,
    trivial_loss: float | None = None,
    on_draw: Callable[[], None] = lambda: None,
) -> LLCEstimate:
    """Estimate the LLC at w* of a loss that brings its own gradient.

    Args:
        value_and_gradient: (w (P,), *batch) -> per-sample losses (B,), gradient (P,) of their mean.
        vector: w* (P,); the chains run in its precision and on its device.
        data: tensors with n rows each, a minibatch being the same B rows of all; in data mode
            `fresh`, a function of (chain, draw) that returns a minibatch.
        settings: ε, nβ, γ, chains, draws, batch, seed.
        losses_of: (w (P,), *batch) -> per-sample losses (B,), if they can be had for less than with
            the gradient.
        stacked: value_and_gradient of all R chains at once, (w (R, P), *batch (R, B, …)) ->
            (R, B), (R, P), if they are to run side by side. Changes nothing beyond rounding.
        step: optimiser step of w*; random numbers of a chain are a function of (seed, step, chain).
        trivial_loss: loss of a predictor that has learnt nothing, the far end of the loss range;
            without it, nothing is said about locality.
        on_draw: called after each draw of each chain.

    Raises:
        InputError: weights or losses at w* are not finite, the batch is larger than the data, or
            data and data mode don't fit.
    """
    bad = int((~torch.isfinite(vector)).sum())
    if bad:
        raise InputError(f"parameters: expected finite numbers, found {bad} of {len(vector)} not")
    losses_of = losses_of or (lambda w, *batch: value_and_gradient(w, *batch)[0])
    source: FixedData | FreshData
    if settings.data_mode == "fresh":
        source = FreshData(data, losses_of, vector, settings)
    else:
        source = FixedData(data, losses_of, vector, settings, step)
    numbers = range(settings.num_chains)
    chains: list[Chain] = []
    for group in [numbers] if stacked else [[chain] for chain in numbers]:
        chains += sample_chains(
            stacked or stack_of_one(value_and_gradient),
            vector,
            _side_by_side(source.batches(chain) for chain in group),
            [_noise(settings, step, chain, vector.device) for chain in group],
            settings,
            num_burn_in=settings.num_burn_in,
            on_draw=on_draw,
        )
    losses = np.full((len(chains), settings.num_burn_in + settings.num_draws), math.nan)
    for row, chain in zip(losses, chains, strict=True):
        row[: len(chain.losses)] = chain.losses
    baselines = np.full_like(losses, source.initial.mean().item())
    if settings.baseline == "paired":
        baselines = np.stack([source.baselines(chain) for chain in range(len(chains))])
    return LLCEstimate(
        settings=settings,
        losses=losses,
        baseline_losses=baselines,
        initial_loss=source.initial.mean().item(),
        centre_losses=_centre_losses(losses_of, chains, source.reference, settings.batch_size),
        trivial_loss=trivial_loss,
        acceptances=np.array([chain.acceptance for chain in chains]),
        distances=np.array([(chain.position - vector).norm().item() for chain in chains]),
        diverged=np.array([chain.diverged for chain in chains]),
    )


def _side_by_side(sources: Iterable[Iterator[Batch]]) -> Iterator[Batch]:
    """Stacks of the minibatches of several chains."""
    for batches in zip(*sources, strict=True):
        yield tuple(map(torch.stack, zip(*batches, strict=True)))


def _noise(settings: LLCSettings, step: int, chain: int, device: torch.device) -> torch.Generator:
    return generator(settings.seed, "sgld noise", step, chain, device=device)


def _centre_losses(
    losses_of: Losses, chains: Sequence[Chain], reference: Batch, batch_size: int
) -> np.ndarray:
    """L at the mean of all draws kept, then of all but those of chain 0, 1, … (1 + chains,).

    Of the chains that did not diverge; if one did, or there is but one, nothing is left out (NaN).
    """
    centre_losses = np.full(1 + len(chains), math.nan)
    sound = [chain.mean for chain in chains if not chain.diverged]
    if sound:
        means = torch.stack(sound)  # R P
        centres = [means.mean(dim=0)]
        if len(chains) == len(sound) > 1:
            centres.extend((means.sum(dim=0) - means) / (len(sound) - 1))
        for index, centre in enumerate(centres):
            losses = sample_losses(losses_of, centre, reference, batch_size)
            centre_losses[index] = losses.mean().item()
    return centre_losses


# Command


def choose_checkpoints(saved: Sequence[int], wanted: Sequence[int | float | str]) -> list[int]:
    """Indices of the checkpoints meant by `final`, steps or shares of training, ascending.

    The nearest saved one stands for a step; a number between 0 and 1 is a share of the last step.
    """
    steps = np.asarray(saved)
    in_steps = [steps[-1] if w == "final" else w * steps[-1] if 0 < w < 1 else w for w in wanted]
    return sorted({int(abs(steps - step).argmin()) for step in in_steps})


def estimate_run(
    reader: CheckpointReader,
    args: argparse.Namespace,
    device: torch.device,
    finished: Collection[int] = (),
) -> Iterator[tuple[int, LLCEstimate]]:
    """Estimate the LLC of a run's chosen checkpoints but the finished steps, on its q_M."""
    section = dict(args.settings["llc"])
    architecture = Architecture.from_settings(args.settings)
    model = LossAndGradient(architecture)
    indices = choose_checkpoints(reader.steps, section.pop("checkpoints"))
    data = dataset(section.pop("num_sequences"), args, device)
    settings = LLCSettings(**section, seed=args.seed)
    what = f"llc {args.variant} M={format_num_tasks(args.num_tasks)} seed={args.seed}"
    draws = settings.num_chains * (settings.num_burn_in + settings.num_draws)  # of a checkpoint
    left = [index for index in indices if reader.steps[index] not in finished]
    done = itertools.count(draws * (len(indices) - len(left)))
    progress = command.Progress(draws * len(indices), what, "draw", done=next(done))

    def by_autograd(w: torch.Tensor, xs: torch.Tensor, ys: torch.Tensor) -> torch.Tensor:
        return sequence_losses(unflatten(w, architecture), xs, ys, architecture)

    for index in left:
        step = reader.steps[index]
        fresh = settings.data_mode == "fresh"
        try:
            estimate = estimate_llc_of_vector(
                model,
                reader.parameters(index).to(device),
                fresh_batches(settings, step, args, device) if fresh else data,
                settings,
                losses_of=lambda w, xs, ys: (model.predict(w, xs, ys) - ys).square().mean(dim=1),
                stacked=side_by_side(by_autograd) if device.type == "cuda" else None,
                step=step,
                trivial_loss=data[1].square().mean().item(),  # that of predicting zero
                on_draw=lambda: progress.update(next(done)),
            )
        except InputError as error:
            raise InputError(f"{reader.path}, step {step}: {error}") from None
        yield step, estimate


def dataset(
    num_sequences: int, args: argparse.Namespace, device: torch.device, *stream: int
) -> Batch:
    """Sequences from the q_M of a run: xs (n, K, D), ys (n, K)."""
    task = args.settings["task"]
    tasks = task_set(args.seed, args.num_tasks, task["task_dimension"])
    size = {"num_sequences": num_sequences, **task}
    return sample_sequences(args.seed, "llc", *stream, tasks=tasks, device=device, **size)


def fresh_batches(
    settings: LLCSettings, step: int, args: argparse.Namespace, device: torch.device
) -> Callable[[int, int], Batch]:
    """Minibatches of data mode `fresh`, a function of (chain, draw)."""
    return lambda chain, draw: dataset(settings.batch_size, args, device, step, chain, draw)


def main() -> None:
    """Estimate the LLC of a run's chosen checkpoints and write the tables llc and llc_trace.

    What a killed job had finished, checkpoint by checkpoint, waits in `--state-dir`.
    """
    flags = command.parser(main.__doc__)
    command.add_run_flags(flags)
    for name in ("--checkpoints", "--llc", "--llc-trace", "--state-dir"):
        flags.add_argument(name, required=True, metavar="PATH")
    args = flags.parse_args()
    device = command.use_resources(args)
    reader = open_checkpoints(args)
    metadata = command.provenance(args)
    folder = state_folder(args, device, reader.metadata)
    kept = _read_state(folder, reader.steps)
    run = {"variant": args.variant, "num_tasks": args.num_tasks, "seed": args.seed}
    for step, estimate in estimate_run(reader, args, device, kept):
        kept[step] = {
            "llc_trace": draw_table(estimate, run | {"step": step}),
            "llc": summary_table(estimate, run | {"step": step}),
        }
        for name, frame in kept[step].items():
            tables.write_table(folder / f"{name}_{step}.parquet", name, frame, metadata)
    for name, path in {"llc": args.llc, "llc_trace": args.llc_trace}.items():
        whole = pd.concat([kept[step][name] for step in sorted(kept)])
        tables.write_table(path, name, whole, metadata)
    shutil.rmtree(args.state_dir)


def _read_state(folder: Path, steps: Sequence[int]) -> dict[int, dict[str, pd.DataFrame]]:
    """Tables of the checkpoints that an earlier start of this very job finished, by step."""
    kept = {}
    for step in steps:
        paths = {name: folder / f"{name}_{step}.parquet" for name in ("llc", "llc_trace")}
        if not all(path.exists() for path in paths.values()):
            continue
        try:
            kept[step] = {name: tables.read_table(path, name) for name, path in paths.items()}
        except InputError as error:
            print(f"{error}; estimating step {step} again", file=sys.stderr)
    if kept:
        print(f"resuming after {len(kept)} checkpoints", file=sys.stderr)
    return kept


if __name__ == "__main__":
    command.run(main)
