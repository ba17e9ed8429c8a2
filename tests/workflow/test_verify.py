"""Results of a finished sweep are in order, and checking them changes nothing."""

import os
import subprocess
import sys


def test_a_finished_sweep_is_in_order(finished):
    folder, results = finished[0].folder, finished[0].results
    before = {path: path.stat().st_mtime_ns for path in results.rglob("*")}
    run = subprocess.run(
        [sys.executable, "-m", "transience.verify", "results/smoke"],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": "workflow/lib"},
        capture_output=True,
        text=True,
    )
    count = len(list(results.rglob("*.parquet")))
    assert run.stdout == f"results/smoke: in order: {count} tables, 6 checkpoint files\n"
    assert run.returncode == 0 and "run 6/6 (100%)" in run.stderr  # how far it is
    assert {path: path.stat().st_mtime_ns for path in results.rglob("*")} == before
