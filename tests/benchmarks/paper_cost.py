"""What a run of the paper's sweep costs on this machine: time of each rule, peak memory, disk.

    .venv/bin/python tests/benchmarks/paper_cost.py         # or: paper_cost.py cuda

Runs one M of config/paper.yaml through the workflow, one job at a time, with few steps, checkpoints
and draws, and scales what Snakemake's benchmark files say to the whole. Takes some minutes.
"""

import csv
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "workflow/lib"))

from transience.planning.configuration import completed, load  # noqa: E402
from transience.training.schedule import schedule  # noqa: E402

FEW = {
    "sweep": {"num_tasks": [8]},
    "training": {"num_steps": 12, "warmup_steps": 2, "log_every": 4},
    "checkpoints": {"linear_every": 4, "logarithmic_count": 2},
    # Few sequences: losses on the whole data set, once a checkpoint and chain, are no draws.
    "llc": {"checkpoints": ["final"], "num_draws": 12, "num_burn_in": 4, "num_sequences": 1024},
    "llc_calibration": {"num_tasks": ["all"]},
    "execution": {"device": sys.argv[1] if len(sys.argv) > 1 else "cpu"},
}
RUN = "baseline_M8_seed0"


def units(settings: dict) -> dict[str, int]:
    """What each rule does, in units of its work."""
    training, llc = settings["training"], settings["llc"]
    count = len(schedule(training["num_steps"], **settings["checkpoints"]))
    draws = llc["num_chains"] * (llc["num_draws"] + llc["num_burn_in"])
    return {
        "train": training["num_steps"],
        "evaluate": count,
        "llc": len(llc["checkpoints"]) * draws,
        "indicators": count,
    }


def measure(folder: Path) -> dict[str, tuple[float, float]]:
    """Run the few; seconds and peak MB of each rule."""
    for name in ("config", "workflow", "envs"):
        shutil.copytree(ROOT / name, folder / name)
    shutil.copy(ROOT / "Snakefile", folder)
    (folder / "config/few.yaml").write_text(yaml.safe_dump(FEW))
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


TABLES = {
    "train": "training",
    "evaluate": "evaluation",
    "llc": "llc",
    "indicators": "indicators",
}


def main() -> None:
    """Print a Markdown table."""
    whole = completed(load(str(ROOT / "config/paper.yaml")))
    few = completed({**whole, **{key: whole[key] | value for key, value in FEW.items()}})
    with tempfile.TemporaryDirectory() as folder:
        found = measure(Path(folder))
    print("| rule | measured | s a unit | units of a run | hours of a run | peak memory |")
    print("|---|---|---|---|---|---|")
    for rule, (seconds, megabytes) in found.items():
        done, wanted = units(few)[rule], units(whole)[rule]
        each = seconds / done
        print(
            f"| {rule} | {seconds:.0f} s for {done} | {each:.2f} | {wanted} | "
            f"{each * wanted / 3600:.1f} | {megabytes / 1000:.1f} GB |"
        )


if __name__ == "__main__":
    main()
