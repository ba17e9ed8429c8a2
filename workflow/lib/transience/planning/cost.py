"""What jobs would cost, before any runs: seconds of a core, disk, memory (ours).

The work of a job is counted in gradients of the loss of one sequence, an evaluation being a third
of one. Its seconds are a start, a moment for each call, and the operations of its gradients at a
rate: one that finished jobs on this machine had, by the processor time in their benchmark files, or
a stated one. A GPU's rates are those of one H200, from few measurements.
"""

from __future__ import annotations

import contextlib
import json
import statistics
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from transience.planning.configuration import Config, variant_settings
from transience.settings import in_steps
from transience.training import schedule
from transience.training.settings import TrainingSettings

OF_RUNS = ("train", "evaluate", "llc", "llc_curve", "indicators", "calibrate_llc")
START = {"llc": 6.0, "llc_curve": 6.0, "calibrate_llc": 6.0}  # seconds before a job's work, else
STARTS = 3.0  # this: imports, kernels from their cache
OTHER = 3.0  # seconds of a job of the whole sweep, such as a figure
CALL = 6e-4  # seconds of a step, whatever its size
# Operations a second: one core of an AMD EPYC with AVX-512 at large widths (docs/speed.md), of
# which widths like NARROW get half; an H200 in training by precision, and otherwise.
RATES = {"cpu": 1.4e11, "cuda": 2e13}
WITHOUT_AVX512 = 0.6  # of the rate: one core of an AMD EPYC that has AVX2 only
CPUINFO = Path("/proc/cpuinfo")
OF_TRAINING = {"float32": 4.5e13, "tf32": 1.25e14, "bf16": 2.5e14}  # on a GPU
NARROW = 24
LEAST = 15.0  # seconds of work in a job from which a rate is measured
SEEN_EVERY = 30.0  # seconds, by Snakemake's benchmarks
EVALUATION = 1 / 3  # of a gradient


@dataclass(frozen=True)
class Cost:
    """Of one job, alone on a core."""

    seconds: float
    disk: float = 0.0  # bytes
    memory: float = 5e8  # bytes


@dataclass(frozen=True)
class Work:
    """Of one job: gradients of a sequence's loss, and calls in which they are taken."""

    gradients: float
    calls: float


def _maps(settings: Config) -> int:
    """Rows of the matrices of a layer, each row as long as the model is wide."""
    model = settings["model"]
    return model["width"] * (3 + model["output_projection"]) + 2 * model["mlp_width"]


def operations(settings: Config) -> float:
    """Floating-point operations of the matrix products of one sequence's gradient, about."""
    model, task = settings["model"], settings["task"]
    tokens, vocabulary = 2 * task["num_examples"], task["task_dimension"] + 1
    of_token = model["width"] * (model["num_layers"] * (_maps(settings) + tokens) + vocabulary)
    return 3 * 2 * tokens * of_token


def num_parameters(settings: Config) -> float:
    """Parameters of the model, but for biases and norms: to count these takes PyTorch."""
    model, task = settings["model"], settings["task"]
    ends = 2 * (task["task_dimension"] + 1) + 2 * task["num_examples"]
    return model["width"] * (model["num_layers"] * _maps(settings) + ends)


def steps(settings: Config) -> float:
    """Optimiser steps of a training; a branch at t_crit or departure is taken to begin half-way."""
    training = TrainingSettings(**settings["training"])
    begin = training.branch.step
    start = in_steps(0.5 if isinstance(begin, str) else begin, training.num_steps)
    return training.last_step(start) - start


def num_checkpoints(settings: Config) -> int:
    """Checkpoints of a run that is no branch."""
    kept, num_steps = settings["checkpoints"], settings["training"]["num_steps"]
    return schedule.num_checkpoints(num_steps, kept["linear_every"], kept["logarithmic_count"])


def work(rule: str, settings: Config) -> Work:
    """What a job of a run does, by its rule."""
    training, llc, curve = settings["training"], settings["llc"], settings["llc_curve"]
    saved, probes = num_checkpoints(settings), settings["indicators"]
    draws = llc["num_chains"] * (llc["num_draws"] + llc["num_burn_in"])
    chain = draws * llc["batch_size"]
    once = 2 * llc["lanczos_steps"] * llc["lanczos_sequences"]
    once += EVALUATION * llc["num_sequences"] * (2 + llc["num_chains"])
    seen = 3 * settings["evaluation"]["num_sequences"] + settings["probe"]["num_sequences"]
    samples, found = len(curve["sampled_h_star"]), len(llc["checkpoints"])
    quadrature = 2 * curve["num_probes"] * curve["lanczos_steps"] * curve["num_sequences"]
    return {
        "train": Work(steps(settings) * training["batch_size"], steps(settings)),
        "evaluate": Work(saved * seen * EVALUATION, saved),
        "llc": Work(found * (chain + once), found * draws),
        "llc_curve": Work(
            len(curve["checkpoints"]) * (quadrature + samples * (chain + once)), samples * draws
        ),
        "indicators": Work(2 * saved * probes["num_probes"] * probes["batch_size"], 20 * saved),
        "calibrate_llc": Work(12 * found * (chain + once), 12 * found * draws),
    }[rule]


def on_a_core(settings: Config) -> float:
    """Operations a second of a CPU."""
    width = settings["model"]["width"]
    narrower = WITHOUT_AVX512 if lacks_avx512() else 1.0
    return narrower * RATES["cpu"] * width / (width + NARROW)


@cache
def lacks_avx512() -> bool:
    """Whether Linux lists the features of an x86 processor, and AVX-512 is none of them."""
    try:
        lines = CPUINFO.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return False
    flags = [line.partition(":")[2].split() for line in lines if line.startswith("flags")]
    return bool(flags and flags[0]) and "avx512f" not in flags[0]


def stated(rule: str, settings: Config, device: str) -> float:
    """Operations a second of a job's rule."""
    if device != "cuda":
        return on_a_core(settings)
    return OF_TRAINING[settings["training"]["precision"]] if rule == "train" else RATES["cuda"]


def cost(rule: str, settings: Config | None, rates: dict[str, float], device: str = "cpu") -> Cost:
    """Of one job; ``settings`` are those of its variant, or None if it is of the whole sweep."""
    if settings is None or rule not in OF_RUNS:
        return Cost(OTHER)
    done, size = work(rule, settings), 4 * num_parameters(settings)  # bytes of a checkpoint
    rate = rates.get(rule) or stated(rule, settings, device)
    calls = 0 if rule == "train" and device == "cuda" else done.calls  # there, one after another
    seconds = START.get(rule, STARTS) + CALL * calls + done.gradients * operations(settings) / rate
    memory = 5e8 + 30 * size
    saved, states = num_checkpoints(settings), settings["checkpoints"]["states"]
    num_states = saved if "all" in states else len(states)  # a state has both moments of Adam
    probe = 4 * settings["probe"]["num_sequences"] * settings["task"]["num_examples"]
    kept = {"train": (saved + 2 * num_states) * size, "evaluate": saved * probe}
    return Cost(seconds, kept.get(rule, 0.0), memory)


def estimate(
    config: Config,
    jobs: Iterable[tuple[str, str | None]],
    *,
    cores: int,
    device: str,
    results: Path,
) -> list[str]:
    """What jobs cost, in lines.

    Args:
        config: completed.
        jobs: rule and variant of each; the variant is None where it is of the whole sweep.
        cores: how many jobs go side by side on a CPU.
        device: `cpu` or `cuda`.
        results: the folder in which finished sweeps are looked for.
    """
    rates = {} if device == "cuda" else measured(results)
    of_variant = {name: variant_settings(config, name) for name in config["variants"]}
    counted = Counter(jobs)
    seconds: Counter[str] = Counter()
    disk, memory = 0.0, 0.0
    for (rule, variant), count in counted.items():
        one = cost(rule, of_variant.get(variant), rates, device)
        seconds[rule if rule in OF_RUNS else "all else"] += count * one.seconds
        disk, memory = disk + count * one.disk, max(memory, one.memory)
    if not counted:
        return []
    whence = "By stated rates, as nothing has been measured on this machine"
    if rates:
        whence = (
            f"Rates of {', '.join(sorted(rates))} were measured on this machine, others are stated"
        )
    at_once = min(cores, counted.total()) if device == "cpu" else 1
    return [
        f"Estimate: {_times(seconds, at_once, device)}; {disk / 1e9:.1f} GB of disk; "
        f"{memory / 1e9:.1f} GB of memory a job.",
        f"{whence}; expect a factor of 1.5, and more where cores are shared.",
    ]


def _times(seconds: Counter[str], at_once: int, device: str) -> str:
    """In all, so many at once, and by rule."""
    total = sum(seconds.values())
    parts = ", ".join(f"{rule} {duration(one)}" for rule, one in seconds.most_common())
    spread = f", so {duration(total / at_once)} on {at_once} cores" if at_once > 1 else ""
    return f"{duration(total)} of {'a core' if device == 'cpu' else 'one H200'}{spread} ({parts})"


def duration(seconds: float) -> str:
    """Two digits, as there is no more in an estimate: `80 s`, `1.7 min`, `250 h`."""
    units = ((3600, "h"), (60, "min"), (1, "s"))
    size, unit = next(one for one in units if seconds >= 1.5 * one[0] or one[0] == 1)
    count = seconds / size
    return f"{count:.0f} {unit}" if count >= 99.5 else f"{count:.2g} {unit}"


def measured(results: Path) -> dict[str, float]:
    """Operations a second by rule: medians of jobs on this machine that were long enough."""
    found: dict[str, list[float]] = {}
    for path in results.glob("*/config.json"):
        for rule, rate in _rates_of(path):
            found.setdefault(rule, []).append(rate)
    return {rule: statistics.median(rates) for rule, rates in found.items()}


def _rates_of(path: Path) -> Iterator[tuple[str, float]]:
    """Rules and rates of the jobs of a sweep; none where a file is not what it should be."""
    try:
        config: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        variants = {name: variant_settings(config, name) for name in config["variants"]}
        if config["execution"]["device"] == "cuda":
            return
    except (OSError, ValueError, KeyError, TypeError):
        return
    for file in path.parent.glob("benchmarks/*/*_M*_seed*.tsv"):
        rule, variant = file.parent.name, file.stem.rpartition("_M")[0]
        if rule in OF_RUNS and variant in variants:
            with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
                yield from _rate_of(file, rule, variants[variant])


def _rate_of(file: Path, rule: str, settings: Config) -> Iterator[tuple[str, float]]:
    """Rule and rate of a job, if it was long enough."""
    names, values = (line.split("\t") for line in file.read_text().splitlines()[:2])
    done = work(rule, settings)
    seconds = _of_a_core(dict(zip(names, values, strict=True)))
    seconds -= START.get(rule, STARTS) + CALL * done.calls
    if seconds >= LEAST:
        yield rule, done.gradients * operations(settings) / seconds


def _of_a_core(row: dict[str, str]) -> float:
    """Seconds of a core that a job took: beside others it takes longer by the clock.

    Of the processor time Snakemake has what it saw last, half of `SEEN_EVERY` before the end in the
    mean; a job that is too short for that goes by the clock.
    """
    seconds, used = float(row["s"]), row.get("cpu_time", "NA")
    if used == "NA" or seconds < 4 * SEEN_EVERY:
        return seconds
    return float(used) / (seconds - SEEN_EVERY / 2) * seconds
