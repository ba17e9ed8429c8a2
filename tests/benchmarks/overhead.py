"""Workflow overhead: wall time of a finished sweep against the compute of its jobs.

Run `make` (in one go, without results from before), then

    .venv/bin/python tests/benchmarks/overhead.py results/laptop

Prints the ratio of the wall time, from the start of Snakemake to its end, to the time of the jobs
divided by the cores. A job's time is that of its process, so it holds the start of Python and the
imports; the ratio to CPU time is printed beside it.
"""

import csv
import json
import sys
from pathlib import Path

TARGET = 1.25


def main(results: Path) -> None:
    """Print a line for each rule, then the ratios."""
    times = json.loads((results / "logs/sweep.json").read_text())
    jobs = list(read_jobs(results / "benchmarks"))
    if len(jobs) != times["jobs"]:
        sys.exit(
            f"{results}: expected the times of one whole sweep, found {times['jobs']} jobs in the "
            f"last run and {len(jobs)} in all; delete the folder and run make again"
        )
    for rule in dict.fromkeys(rule for rule, _, _ in jobs):
        wall = [seconds for name, seconds, _ in jobs if name == rule]
        print(f"{rule:16} {len(wall):4} jobs {sum(wall):8.1f} s, longest {max(wall):6.1f} s")
    available = times["seconds"] * times["cores"]
    wall, cpu = (sum(job[column] for job in jobs) for column in (1, 2))
    print(f"wall {times['seconds']:.1f} s on {times['cores']} cores = {available:.1f} s")
    print(f"jobs {wall:.1f} s (ratio {available / wall:.3f}, target {TARGET}); CPU {cpu:.1f} s")


def read_jobs(benchmarks: Path):
    """(rule, seconds, CPU seconds) of each job, from Snakemake's benchmark files."""
    for path in sorted(benchmarks.rglob("*.tsv")):
        with path.open(newline="") as file:
            row = next(csv.DictReader(file, delimiter="\t"))
        rule = path.relative_to(benchmarks).with_suffix("").parts[0]
        cpu = row["cpu_time"]
        yield rule, float(row["s"]), float(cpu) if cpu not in ("NA", "-") else 0.0


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "results/laptop"))
