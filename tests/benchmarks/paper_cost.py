"""What a run of the paper's sweep costs on this machine: time of each rule, peak memory, disk.

    .venv/bin/python tests/benchmarks/paper_cost.py     # or: paper_cost.py cuda --save cost.json

Runs one M of config/paper.yaml through the workflow, one job at a time, with few steps, checkpoints
and draws, and again with more, and scales what Snakemake's benchmark files say to the whole. A unit
costs the difference of the two over the difference of their units; what is left over is paid once a
job: to start, and on a GPU to compile. Takes some minutes. What ``--save`` writes is read by
`gpu_plan.py --measured`.
"""

import argparse
import csv
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

import yaml

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "workflow/lib"))

from transience.planning.configuration import completed, load  # noqa: E402
from transience.training.phases import kept_steps  # noqa: E402
from transience.training.settings import CheckpointSettings, TrainingSettings  # noqa: E402

# By device. The longer of two lengths has so many times the steps and draws: a difference must
# stand out from the noise, also where a unit takes milliseconds. There a checkpoint costs as much
# as some steps, so they are as rare as in the paper's run.
LONGER = {"cpu": 3, "cuda": 100}
STEPS = {"cpu": 12, "cuda": 68}
CHECKPOINT_EVERY = {"cpu": 4, "cuda": 68}
RUN = "baseline_M8_seed0"
TABLES = {
    "train": "training",
    "evaluate": "evaluation",
    "llc": "llc",
    "indicators": "indicators",
}


class Cost(NamedTuple):
    """Of a job of one rule."""

    start: float  # seconds, once
    unit: float  # seconds
    megabytes: float  # at its peak

    def hours(self, units: int) -> float:
        return (self.start + units * self.unit) / 3600


def few(device: str, times: int = 1) -> dict:
    """Changes to config/paper.yaml: a run of a few units of each rule, or so many times as many."""
    steps = STEPS[device] * times
    return {
        "sweep": {"num_tasks": [8]},
        "training": {"num_steps": steps, "warmup_steps": 2, "log_every": steps // 3},
        "checkpoints": {"linear_every": CHECKPOINT_EVERY[device], "logarithmic_count": 2},
        # Few sequences: losses on the whole data set, once a checkpoint and chain, are no draws.
        "llc": {
            "checkpoints": ["final"],
            "num_draws": 12 * times,
            "num_burn_in": 4 * times,
            "num_sequences": 1024,
        },
        "llc_calibration": {"num_tasks": ["all"]},
        "execution": {"device": device},
    }


def units(settings: dict) -> dict[str, int]:
    """What each rule does, in units of its work."""
    training, llc = settings["training"], settings["llc"]
    count = len(
        kept_steps(
            TrainingSettings(**settings["training"]), CheckpointSettings(**settings["checkpoints"])
        )[0]
    )
    draws = llc["num_chains"] * (llc["num_draws"] + llc["num_burn_in"])
    return {
        "train": training["num_steps"],
        "evaluate": count,
        "llc": len(llc["checkpoints"]) * draws,
        "indicators": count,
    }


def cost(lengths: list[tuple[int, float, float]]) -> Cost:
    """Of (units, seconds, MB) of two jobs of a rule, the longer one last."""
    (n, seconds, _), (more, longer, megabytes) = lengths
    unit = max(0.0, longer - seconds) / (more - n)
    return Cost(max(0.0, seconds - n * unit), unit, megabytes)


def measure(folder: Path, changes: dict) -> dict[str, tuple[float, float]]:
    """Run the changed sweep; seconds and peak MB of each rule."""
    for name in ("config", "workflow", "envs"):
        shutil.copytree(ROOT / name, folder / name)
    shutil.copy(ROOT / "Snakefile", folder)
    (folder / "config/few.yaml").write_text(yaml.safe_dump(changes))
    targets = [f"results/paper/runs/baseline/M8_seed0/{name}.parquet" for name in TABLES.values()]
    subprocess.run(
        [
            *(sys.executable, "-m", "snakemake", *targets, "--cores", "1", "--quiet", "all"),
            *("--configfile", "config/paper.yaml", "config/few.yaml"),
        ],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": "workflow/lib"},
        check=True,
    )
    found = {}
    for rule in TABLES:
        with (folder / f"results/paper/benchmarks/{rule}/{RUN}.tsv").open() as file:
            row = next(csv.DictReader(file, delimiter="\t"))
        found[rule] = float(row["s"]), float(row["max_rss"])
    return found


def costs(whole: dict, device: str) -> dict[str, Cost]:
    """What a job of each rule costs, by two lengths of all of them."""
    lengths: dict[str, list] = {rule: [] for rule in TABLES}
    for times in (1, LONGER[device]):
        changes = few(device, times)
        done = units(completed({**whole, **{key: whole[key] | changes[key] for key in changes}}))
        with tempfile.TemporaryDirectory() as folder:
            for rule, (seconds, megabytes) in measure(Path(folder), changes).items():
                lengths[rule].append((done[rule], seconds, megabytes))
    return {rule: cost(two) for rule, two in lengths.items()}


def save(found: dict[str, Cost], path: Path) -> None:
    """Seconds of each rule, as JSON."""
    seconds = {rule: {"unit": one.unit, "start": one.start} for rule, one in found.items()}
    path.write_text(json.dumps(seconds, indent=1))


def main() -> None:
    """Print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("device", nargs="?", default="cpu", choices=LONGER)
    parser.add_argument("--save", type=Path, metavar="FILE", help="JSON: seconds by rule")
    flags = parser.parse_args()
    whole = completed(load(str(ROOT / "config/paper.yaml")))
    found = costs(whole, flags.device)
    if flags.save:
        save(found, flags.save)
    print("| rule | s to start | s a unit | units of a run | hours of a run | peak memory |")
    print("|---|---|---|---|---|---|")
    for rule, one in found.items():
        wanted = units(whole)[rule]
        print(
            f"| {rule} | {one.start:.0f} | {one.unit:.3g} | {wanted} | "
            f"{one.hours(wanted):.1f} | {one.megabytes / 1000:.1f} GB |"
        )


if __name__ == "__main__":
    main()
