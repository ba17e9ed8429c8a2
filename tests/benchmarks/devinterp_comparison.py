"""Our LLC estimator against devinterp on the final checkpoints of a sweep: results, time, cost.

Run when nothing else runs (about ten minutes an M), after making the two environments:

    python3 -m venv .venv-devinterp-1
    .venv-devinterp-1/bin/pip install -r envs/requirements-devinterp-1.txt
    python3 -m venv .venv-devinterp-2
    .venv-devinterp-2/bin/pip install -r envs/requirements-devinterp-2.txt
    PYTHONPATH=workflow/lib .venv/bin/python tests/benchmarks/devinterp_comparison.py \
        results/laptop --num-tasks 8 inf

Each package runs in a process of its own (`devinterp_worker.py`) on one thread; they take turns.
All have the same w*, n sequences, nβ and γ, those of the sweep's configuration. Ours has its ε,
chains, draws and batch size too, and its preconditioner; devinterp, which runs plain, and ours
without one have those of `PLAIN`, which take it to the same posterior. Prints, as Markdown:

- estimates: one of each package for every M, with the standard error that the package states, and
  the time of these whole calls;
- times: of a step within a chain, in rounds in which all take their turn;
- processes: chain-steps a second of two of our processes at a time against one;
- costs: variance of the estimate over reruns times the CPU seconds of a run.

devinterp subtracts by default a loss of w* from a few batches, which is most of its error, so there
is a column with the loss on the whole dataset too. 2.0.1 leaves burn-in in its estimate; "draws" is
the average of its draws without it, taken by us.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
from operator import truediv
from pathlib import Path
from typing import Any

import numpy as np
import torch
from devinterp_processes import NAMES, Answer, Sizes, Worker, interpreter
from scipy import stats

from transience.files.checkpoints import CheckpointReader
from transience.model.loss_and_gradient import LossAndGradient
from transience.model.settings import ModelSettings
from transience.problem.diversity import parse_num_tasks
from transience.problem.settings import TaskSettings
from transience.run import Run

# At h* = 0.1 a flat direction relaxes in 1,700 draws of this ε, which the stiffest one bounds
PLAIN = {
    "step_size": 1.2e-5, "batch_size": 32, "num_chains": 3, "num_burn_in": 2500, "num_draws": 2500,
}  # fmt: skip
ESTIMATES = (  # worker, key of its answer, what it is
    ("ours", "llc", "ours"),
    ("ours", "centred_llc", "ours, centred"),
    ("plain", "llc", "ours, plain SGLD"),
    ("plain", "centred_llc", "ours, plain SGLD, centred"),
    ("devinterp1", "llc", "1.3.2, default L(w*)"),
    ("devinterp1", "llc_full", "1.3.2, full L(w*)"),
    ("devinterp2", "llc", "2.0.1, as returned"),
    ("devinterp2", "llc_draws", "2.0.1, draws"),
    ("devinterp2", "llc_full", "2.0.1, draws, full L(w*)"),
)
ROUND = {"num_chains": 1, "num_burn_in": 0, "num_draws": 200}  # of a timing
PARTS = ("estimates", "times", "processes", "costs")


def write_checkpoint(path: Path, results: Path, num_tasks: str, llc: dict[str, Any]) -> None:
    """Write w* of the end of a run of seed 0, its sequences and its losses, for the workers."""
    reader = CheckpointReader(results / f"runs/baseline/M{num_tasks}_seed0/checkpoints.safetensors")
    settings, vector = reader.metadata["settings"], reader.parameters(-1)
    kinds = TaskSettings(**settings["task"]), ModelSettings(**settings["model"])
    run = Run("baseline", parse_num_tasks(num_tasks), 0, *kinds)
    xs, ys = run.sequences("llc", num_sequences=llc["num_sequences"])
    np.savez(
        path,
        vector=vector,
        xs=xs,
        ys=ys,
        losses=LossAndGradient(run.architecture).losses(vector, xs, ys),
        settings=json.dumps(llc),
        plain=json.dumps(PLAIN),
        task=json.dumps(settings["task"]),
        model=json.dumps(settings["model"]),
        run=json.dumps([num_tasks, reader.steps[-1]]),
        architecture=json.dumps(vars(run.architecture)),
    )


def print_table(rows: list[dict[str, object]]) -> None:
    """Markdown table, one column for each key."""
    print("| " + " | ".join(rows[0]) + " |\n|" + "---|" * len(rows[0]))
    for row in rows:
        print("| " + " | ".join(map(str, row.values())) + " |")
    print(flush=True)


def sizes_of(package: str, llc: dict[str, Any]) -> Sizes:
    """Length of an estimate: the sweep's for ours, that of `PLAIN` for plain SGLD."""
    source = llc if package == "ours" else PLAIN
    return {name: source[name] for name in ("num_chains", "num_burn_in", "num_draws")}


def compare_estimates(workers: list[Worker], names: list[str], llc: dict[str, Any]) -> None:
    """One estimate of each kind for every M, and the time of whole calls."""
    rows, seconds = [], {worker.package: [] for worker in workers}
    for file, name in enumerate(names):
        answers = {w.package: w.run(file, 1, sizes_of(w.package, llc)) for w in workers}
        rows.append({"M": name})
        for package, key, title in ESTIMATES:
            found = answers[package]
            stated = "centred_error" if key == "centred_llc" else "standard_error"
            rows[-1][title] = f"{found[key]:.1f} ± {found[stated]:.1f}"
        for package, found in answers.items():
            seconds[package].append(found["seconds"])
    print_table(rows)
    print_times(seconds, 1, "whole call, ms")


def compare_steps(workers: list[Worker], rounds: int) -> None:
    """Time of a step within a chain."""
    seconds = {worker.package: [] for worker in workers}
    for number in range(rounds):
        for worker in workers:
            seconds[worker.package].append(worker.run(0, number, ROUND)["step_seconds"])
    print_times(seconds, 1, "chain-step, ms")


def print_times(seconds: dict[str, list[float]], steps: int, title: str) -> None:
    """Medians over runs that took turns, and those of the ratio to ours."""
    print_table([
        {
            "package": NAMES[package],
            title: f"{statistics.median(values) / steps * 1e3:.2f}",
            "least": f"{min(values) / steps * 1e3:.2f}",
            "ratio to ours": f"{statistics.median(map(truediv, values, seconds['ours'])):.2f}",
            "runs": len(values),
        }
        for package, values in seconds.items()
    ])  # fmt: skip


def compare_processes(pair: list[Worker], rounds: int) -> None:
    """Steps a second of two of our processes at a time against those of one."""
    alone, both = [], []
    for number in range(rounds):
        alone.append(pair[number % 2].run(0, number, ROUND)["seconds"])
        for worker in pair:
            worker.ask(0, number, ROUND)
        both.append(max(worker.answer()["seconds"] for worker in pair))
    ratios = [2 * one / two for one, two in zip(alone, both, strict=True)]
    print(
        f"Two of our processes do {statistics.median(ratios):.2f} times the chain-steps a second "
        f"of one (median of {rounds} rounds; {min(ratios):.2f} to {max(ratios):.2f}).\n"
    )


def compare_costs(workers: list[Worker], file: int, reruns: int, llc: dict[str, Any]) -> None:
    """Variance over reruns times CPU seconds, with the ratio to ours."""
    answers: dict[str, list[Answer]] = {worker.package: [] for worker in workers}
    for number in range(reruns):
        for worker in workers:
            sizes = sizes_of(worker.package, llc)
            answers[worker.package].append(worker.run(file, number, sizes))
    rows = []
    for package, key, title in ESTIMATES:
        values = [found[key] for found in answers[package]]
        seconds = statistics.median(found["cpu_seconds"] for found in answers[package])
        if key == "llc_full":
            seconds += answers[package][0]["full_loss_seconds"]
        deviation = statistics.stdev(values)
        cost = deviation**2 * seconds
        ours = rows[0]["cost"] if rows else cost
        stated = "centred_error" if key == "centred_llc" else "standard_error"
        error = np.mean([found[stated] for found in answers[package]])
        rows.append({
            "estimate": title,
            "mean": np.mean(values),
            "sd over reruns": deviation,
            "standard error it states": error,
            "CPU seconds": seconds,
            "cost": cost,
            "cost / ours": ratio_with_interval(cost / ours, reruns) if len(rows) else "1",
        })  # fmt: skip
    print_table([
        {key: value if isinstance(value, str) else f"{value:.3g}" for key, value in row.items()}
        for row in rows
    ])  # fmt: skip


def ratio_with_interval(ratio: float, reruns: int) -> str:
    """A ratio of costs with its 95 % interval, as normal estimates would have it."""
    factor = stats.f.ppf(0.975, reruns - 1, reruns - 1)
    return f"{ratio:.3g} ({ratio / factor:.3g} … {ratio * factor:.3g})"


def arguments() -> argparse.Namespace:
    """Read the command line."""
    flags = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    flags.add_argument("results", type=Path, help="folder of a sweep, e.g. results/laptop")
    for version in (1, 2):
        python = f".venv-devinterp-{version}/bin/python"
        flags.add_argument(f"--python-{version}", default=python, metavar="FILE")
    flags.add_argument("--parts", nargs="+", default=PARTS, choices=PARTS)
    flags.add_argument("--num-tasks", nargs="+", default=["1", "8", "64", "inf"], metavar="M")
    flags.add_argument("--rounds", type=int, default=15, help="of timing")
    flags.add_argument("--reruns", type=int, default=20, help="for the cost, of every M")
    return flags.parse_args()


def main() -> None:
    """Start the workers and print the tables."""
    args = arguments()
    others = [interpreter(args.python_1, 1), interpreter(args.python_2, 2)]
    pythons = [sys.executable, sys.executable, *others]
    llc = json.loads((args.results / "config.json").read_text(encoding="utf-8"))["llc"]
    torch.set_num_threads(1)
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}\n{llc}\n")
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / f"{name}.npz" for name in args.num_tasks]
        for path, name in zip(paths, args.num_tasks, strict=True):
            write_checkpoint(path, args.results, name, llc)
        workers = [Worker(*pair, paths) for pair in zip(pythons, NAMES, strict=True)]
        second = Worker(sys.executable, "plain", paths)
        for worker in [*workers, second]:
            worker.run(0, 0, ROUND)
        if "estimates" in args.parts:
            compare_estimates(workers, args.num_tasks, llc)
        if "times" in args.parts:
            compare_steps(workers, args.rounds)
        if "processes" in args.parts:
            compare_processes([workers[1], second], args.rounds)
        if "costs" in args.parts:
            for file, name in enumerate(args.num_tasks):
                print(f"M = {name}, {args.reruns} reruns\n")
                compare_costs(workers, file, args.reruns, llc)


if __name__ == "__main__":
    main()
