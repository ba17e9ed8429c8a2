"""CPU time to plan a large sweep, against a workflow of empty rules with the same jobs and files.

    .venv/bin/python tests/benchmarks/plan.py --num-tasks 200 --seeds 20

Both are dry runs of Snakemake in a folder without results. The empty rules are ours without all
that a job needs: settings, digests of code, resources, logs, commands.
"""

import argparse
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
KEPT = ("input", "output", "wildcard_constraints", "default_target")  # directives that make the DAG


def empty(text: str) -> str:
    """The rules of a file with nothing but what makes the DAG."""
    rule = re.compile(r"^rule .*?(?=^\S|\Z)", re.MULTILINE | re.DOTALL)
    return rule.sub(lambda found: _without_work(found[0]), text)


def _without_work(rule: str) -> str:
    head, *directives = re.split(r"^(?=    \w+:)", rule, flags=re.MULTILINE)
    kept = [text for text in directives if text.strip().partition(":")[0] in KEPT]
    command = '\n    shell:\n        "true"' if "    output:" in rule else ""
    return head + "".join(kept).rstrip("\n") + command + "\n\n\n"


def plan(folder: Path) -> tuple[float, str]:
    """Plan in a folder: CPU seconds, and the counts of jobs."""
    words = [sys.executable, "-m", "snakemake", "--dry-run", "--quiet", "rules", "--cores", "2"]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    run = subprocess.run(
        [*words, "--configfile", "config/large.yaml"],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": "workflow/lib"},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = sum(getattr(after, name) - getattr(before, name) for name in ("ru_utime", "ru_stime"))
    return seconds, re.search(r"^job +count\n(.*?)\n\n", run.stdout, re.DOTALL | re.MULTILINE)[1]


def main() -> None:
    """Print the CPU times of both in turn, and their ratio."""
    flags = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    flags.add_argument("--num-tasks", type=int, default=200)
    flags.add_argument("--seeds", type=int, default=20)
    args = flags.parse_args()
    sweep = {"num_tasks": list(range(1, args.num_tasks + 1)), "seeds": list(range(args.seeds))}
    with tempfile.TemporaryDirectory() as scratch:
        folders = [Path(scratch, name) for name in ("ours", "empty")]
        for folder in folders:
            for name in ("config", "workflow", "envs"):
                shutil.copytree(ROOT / name, folder / name)
            shutil.copy(ROOT / "Snakefile", folder)
            (folder / "config/large.yaml").write_text(f"experiment: large\nsweep: {sweep}\n")
        for path in folders[1].glob("workflow/rules/*.smk"):
            path.write_text(empty(path.read_text()))
        (ours, jobs), (bare, same_jobs) = map(plan, folders)
    if jobs != same_jobs:
        sys.exit(f"expected the same jobs, found\n{jobs}\nand\n{same_jobs}")
    print(f"{jobs}\nours {ours:.1f} s, empty rules {bare:.1f} s of CPU; ratio {ours / bare:.2f}")


if __name__ == "__main__":
    main()
