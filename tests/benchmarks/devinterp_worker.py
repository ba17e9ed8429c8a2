"""One LLC estimator in a process of its own, for `devinterp_comparison.py`.

`python devinterp_worker.py PACKAGE FILE.npz...`, PACKAGE being ours, plain (ours without
preconditioner), devinterp1 or devinterp2.
Reads requests as JSON lines (file, seed, num_chains, num_burn_in, num_draws), answers each with
a line.
"""

import json
import math
import os
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from plain import PlainTransformer

from transience.model.transformer import Architecture

Answer = dict[str, float]
ROUNDING = 1e-4  # of one sequence's loss in float32, as a fraction of the mean loss


class Checkpoint:
    """w*, its data and its losses, as the main process wrote them."""

    def __init__(self, path: str) -> None:
        with np.load(path) as file:
            self.vector, self.xs, self.ys, self.losses = (
                torch.from_numpy(file[name]) for name in ("vector", "xs", "ys", "losses")
            )
            names = ("settings", "plain", "task", "model", "run")
            found = {name: json.loads(str(file[name])) for name in names}
            self.task, self.model, self.run = found["task"], found["model"], found["run"]
            self.llc, chosen = found["settings"], found["settings"] | found["plain"]
            names = ("step_size", "nbeta", "gamma", "batch_size")
            self.settings = {name: chosen[name] for name in names}
            self.architecture = Architecture(**json.loads(str(file["architecture"])))
        self.stamps: list[float] = []  # one moment of every draw

    def plain_model(self) -> PlainTransformer:
        """The same function in `torch.nn`, checked, with the faster of two attentions."""
        models = [
            PlainTransformer(self.architecture, fused_attention=fused).load(
                self.vector, self.architecture
            )
            for fused in (False, True)
        ]
        for model in models:
            self._check(model)
        return min(models, key=self._seconds)

    def losses_of(
        self, model: PlainTransformer, xs: torch.Tensor, ys: torch.Tensor
    ) -> torch.Tensor:
        """Loss of each sequence (B,); notes the time."""
        self.stamps.append(time.perf_counter())
        return (model(xs, ys) - ys).square().mean(dim=1)

    def full_loss(self, model: PlainTransformer) -> tuple[float, float]:
        """Loss on the whole dataset, and the CPU seconds that it took."""
        start = time.process_time()
        with torch.no_grad():
            size = self.settings["batch_size"]
            batches = zip(self.xs.split(size), self.ys.split(size), strict=True)
            losses = torch.cat([self.losses_of(model, *batch) for batch in batches])
        return losses.double().mean().item(), time.process_time() - start

    @torch.no_grad()
    def _check(self, model: PlainTransformer) -> None:
        losses = self.losses_of(model, self.xs, self.ys)
        error = ((losses - self.losses).abs().max() / self.losses.mean()).item()
        assert error < ROUNDING, f"expected our losses, found them {error:.1e} of their mean apart"

    def _seconds(self, model: PlainTransformer) -> float:
        """Least time of a forward and backward pass."""
        times, size = [], self.settings["batch_size"]
        for _ in range(30):
            start = time.perf_counter()
            self.losses_of(model, self.xs[:size], self.ys[:size]).mean().backward()
            times.append(time.perf_counter() - start)
        model.zero_grad()
        return min(times)


def ours(c: Checkpoint) -> Callable[..., Answer]:
    """What the rule `llc` does at a checkpoint, its preconditioner included."""
    from transience.complexity.checkpoint import Checkpoint as Estimated
    from transience.complexity.settings import LLCSettings
    from transience.model.settings import ModelSettings
    from transience.problem.diversity import parse_num_tasks
    from transience.problem.settings import TaskSettings
    from transience.run import Run

    kinds = TaskSettings(**c.task), ModelSettings(**c.model)
    run = Run("baseline", parse_num_tasks(c.run[0]), 0, *kinds)

    def estimated(seed: int, **sizes: int) -> Answer:
        settings = LLCSettings(**c.llc)
        sampler = settings.sampler(seed).model_copy(update=sizes)
        checkpoint = Estimated(run, c.run[1], c.vector, (c.xs, c.ys), settings)
        stamp = lambda: c.stamps.append(time.perf_counter())  # noqa: E731
        return _both_forms(checkpoint.estimate(sampler, stamp))

    return estimated


def plain(c: Checkpoint) -> Callable[..., Answer]:
    """`estimate_llc_with_gradient` without a preconditioner, from w*."""
    from transience.complexity.estimator import estimate_llc_with_gradient
    from transience.complexity.settings import SamplerSettings
    from transience.model.loss_and_gradient import LossAndGradient

    model = LossAndGradient(c.architecture)

    def run(seed: int, **sizes: int) -> Answer:
        estimate = estimate_llc_with_gradient(
            model,
            c.vector,
            (c.xs, c.ys),
            SamplerSettings(**c.settings | sizes, seed=seed),
            losses_of=model.losses,
            on_draw=lambda: c.stamps.append(time.perf_counter()),
        )
        return _both_forms(estimate)

    return run


def _both_forms(estimate: Any) -> Answer:
    return {
        "llc": estimate.llc,
        "standard_error": estimate.standard_error,
        "centred_llc": estimate.centred_llc,
        "centred_error": estimate.centred_standard_error,
    }


def devinterp1(c: Checkpoint) -> Callable[..., Answer]:
    """`estimate_learning_coeff_with_summary` with its default sampler (SGMCMC.sgld is slower)."""
    from devinterp.slt.sampler import estimate_learning_coeff_with_summary

    model, s = c.plain_model(), c.settings
    full_loss, full_loss_seconds = c.full_loss(model)
    dataset = torch.utils.data.TensorDataset(c.xs, c.ys)

    def evaluate(model: PlainTransformer, batch: list[torch.Tensor]) -> torch.Tensor:
        xs, ys = batch  # nothing of c: devinterp pickles this function for every chain
        return (model(xs, ys) - ys).square().mean()

    def run(seed: int, num_chains: int, num_burn_in: int, num_draws: int) -> Answer:
        torch.manual_seed(seed)
        found = estimate_learning_coeff_with_summary(
            model,
            torch.utils.data.DataLoader(dataset, batch_size=s["batch_size"], shuffle=True),
            callbacks=[lambda **_: c.stamps.append(time.perf_counter())],
            evaluate=evaluate,
            optimizer_kwargs={
                "lr": s["step_size"], "nbeta": s["nbeta"], "localization": s["gamma"],
            },
            num_chains=num_chains,
            num_draws=num_draws,
            num_burnin_steps=num_burn_in,
            seed=seed,
            verbose=False,
        )  # fmt: skip
        return {
            "llc": found["llc/mean"],
            "standard_error": found["llc/std"] / math.sqrt(num_chains),
            "llc_full": s["nbeta"] * (found["loss/trace"].astype(float).mean() - full_loss),
            "full_loss_seconds": full_loss_seconds,
        }

    return run


def devinterp2(c: Checkpoint) -> Callable[..., Answer]:
    """`sample` and `compute_llc`; a row number stands for the tokens that they expect."""
    from datasets import Dataset
    from devinterp.slt.llc import compute_llc
    from devinterp.slt.sampling import sample

    model, s = c.plain_model(), c.settings
    full_loss, full_loss_seconds = c.full_loss(model)
    rows = {"input_ids": [[row, 0] for row in range(len(c.ys))]}
    dataset = Dataset.from_dict(rows).with_format("torch")

    def loss(model: PlainTransformer, input_ids: torch.Tensor) -> torch.Tensor:
        rows = input_ids[:, 0]
        return c.losses_of(model, c.xs[rows], c.ys[rows])[:, None]

    def run(seed: int, num_chains: int, num_burn_in: int, num_draws: int) -> Answer:
        with tempfile.TemporaryDirectory() as folder:
            samples = sample(
                model, dataset, {}, lr=s["step_size"], n_beta=s["nbeta"],
                localization=s["gamma"], batch_size=s["batch_size"], num_chains=num_chains,
                num_draws=num_draws, num_burnin_steps=num_burn_in, init_seed=seed,
                output_path=f"{folder}/samples.zarr", loss_fn=loss,
            )  # fmt: skip
            found = compute_llc(samples)
            kept = found.loss_trace.values[:, num_burn_in:].astype(float).mean()
            return {
                "llc": float(found.llc_mean),
                "standard_error": float(found.llc_std) / math.sqrt(num_chains),
                "llc_draws": s["nbeta"] * (kept - float(found.init_loss)),
                "llc_full": s["nbeta"] * (kept - full_loss),
                "full_loss_seconds": full_loss_seconds,
            }

    return run


def answer(c: Checkpoint, run: Callable[..., Answer], sizes: dict[str, Any]) -> Answer:
    """Do one estimate; adds the seconds it took, and those of a step of its last chain."""
    c.stamps.clear()
    start, cpu_start = time.perf_counter(), time.process_time()
    found = run(**sizes)
    found |= {
        "seconds": time.perf_counter() - start,
        "cpu_seconds": time.process_time() - cpu_start,
    }
    draws = sizes["num_draws"]
    step_seconds = (c.stamps[-1] - c.stamps[-draws]) / (draws - 1)
    return found | {"step_seconds": step_seconds}


def main() -> None:
    """Serve requests until the input ends."""
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    replies = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # whatever a package prints is no answer
    package, *paths = sys.argv[1:]
    checkpoints = [Checkpoint(path) for path in paths]
    packages = {"ours": ours, "plain": plain, "devinterp1": devinterp1, "devinterp2": devinterp2}
    runs = [packages[package](c) for c in checkpoints]
    for line in sys.stdin:
        request = json.loads(line)
        index = request.pop("file")
        print(json.dumps(answer(checkpoints[index], runs[index], request)), file=replies)


if __name__ == "__main__":
    main()
