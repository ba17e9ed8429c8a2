"""Is a checkpoint a minimum? The LLC of checkpoints cooled down, beside that of themselves.

    PYTHONPATH=workflow/lib .venv/bin/python tests/benchmarks/cooled_down.py \
        results/laptop --num-tasks 8 16 inf

Training goes on from the last checkpoint of a run on fresh sequences, while the learning rate falls
to 0 in a straight line, and the LLC is estimated again with the settings of the sweep. Adam's
moments are not kept in checkpoints, so they are gathered for some steps first, with w* held fixed.
Prints a table in Markdown.
"""

import argparse
import json
import math
from pathlib import Path

import torch

from transience.complexity.checkpoint import Checkpoint, dataset
from transience.complexity.estimate import LLCEstimate
from transience.complexity.settings import LLCSettings
from transience.model.loss_and_gradient import LossAndGradient
from transience.model.settings import ModelSettings
from transience.planning.configuration import run_folder
from transience.problem.settings import TaskSettings
from transience.run import Run
from transience.training.settings import TrainingSettings

GATHERING = 100  # steps for Adam's moments; its second has a memory of 1000 steps, bias-corrected


def cooled(run: Run, vector: torch.Tensor, training: TrainingSettings, steps: int) -> torch.Tensor:
    """The weights w (P,) after that many more steps, with a rate that falls to 0."""
    model, w = LossAndGradient(run.architecture), vector.clone()
    adam = torch.optim.Adam([w], lr=0.0, betas=(training.beta1, training.beta2))
    for step in range(GATHERING + steps):
        xs, ys = run.sequences("cooling", step, num_sequences=training.batch_size)
        _, w.grad = model(w, xs, ys)
        left = 1 - (step - GATHERING) / steps
        adam.param_groups[0]["lr"] = training.learning_rate * left if step >= GATHERING else 0.0
        adam.step()
    return w


def row(name: str, estimate: LLCEstimate) -> str:
    """A line of the table."""
    at_w, centred = (
        f"{value:.1f} ± {error:.1f}"
        for value, error in (
            (estimate.llc, estimate.standard_error),
            (estimate.centred_llc, estimate.centred_standard_error),
        )
    )
    flags = ", ".join(estimate.flags)
    return f"| {name} | {estimate.initial_loss:.4f} | {at_w} | {centred} | {flags} |"


def main() -> None:
    """Cool down the last checkpoint of some runs of a finished sweep."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("results", type=Path, help="folder of a finished sweep, results/<name>")
    parser.add_argument("--num-tasks", type=float, nargs="+", default=[8, 16, math.inf])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=500)
    args = parser.parse_args()
    torch.set_num_threads(1)
    config = json.loads((args.results / "config.json").read_text(encoding="utf-8"))
    settings, training = LLCSettings(**config["llc"]), TrainingSettings(**config["training"])
    print("| M | | loss on the data set | λ̂ at w* | λ̂ centred | flags |\n|---|---|---|---|---|---|")
    for num_tasks in args.num_tasks:
        task, model = TaskSettings(**config["task"]), ModelSettings(**config["model"])
        run = Run("baseline", num_tasks, args.seed, task, model)
        folder = args.results / "runs" / run_folder("baseline", num_tasks, args.seed)
        reader = run.open_checkpoints(folder / "checkpoints.safetensors")
        step, vector = reader.steps[-1], reader.parameters(len(reader) - 1)
        data = dataset(run, settings, torch.device("cpu"))
        for name, w in (
            ("as trained", vector),
            (f"after {args.steps} cooling steps", cooled(run, vector, training, args.steps)),
        ):
            checkpoint = Checkpoint(run, step, w, data, settings)
            estimate = checkpoint.estimate(settings.sampler(args.seed))
            print(row(f"{num_tasks:g} | {name}", estimate), flush=True)


if __name__ == "__main__":
    main()
