"""The processes in which `devinterp_comparison.py` runs its packages."""

import json
import os
import subprocess
import sys
from pathlib import Path

NAMES = {
    "ours": "ours",
    "plain": "ours, plain",
    "devinterp1": "devinterp 1.3.2",
    "devinterp2": "devinterp 2.0.1",
}
SEED_STRIDE = 1000  # devinterp 2 gives chain c the seed + c

Answer = dict[str, float]
Sizes = dict[str, int]  # num_chains, num_burn_in, num_draws


class Worker:
    """A process that runs one package's estimator."""

    def __init__(self, python: str, package: str, paths: list[Path]) -> None:
        """Start it; it has loaded, checked and compiled when it answers for the first time."""
        quiet = {"OMP_NUM_THREADS": "1", "TQDM_DISABLE": "1", "HF_HUB_OFFLINE": "1"}
        self.package = package
        self.process = subprocess.Popen(
            [python, Path(__file__).with_name("devinterp_worker.py"), package, *paths],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | quiet,
        )

    def ask(self, file: int, seed: int, sizes: Sizes) -> None:
        """Begin an estimate for one of the checkpoints."""
        request = {"file": file, "seed": seed * SEED_STRIDE, **sizes}
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()

    def answer(self) -> Answer:
        """Wait for the estimate."""
        line = self.process.stdout.readline()
        if not line:
            sys.exit(f"{NAMES[self.package]}: expected an estimate, but its process ended")
        return json.loads(line)

    def run(self, file: int, seed: int, sizes: Sizes) -> Answer:
        """Do one estimate."""
        self.ask(file, seed, sizes)
        return self.answer()


def interpreter(path: str, version: int) -> str:
    """The Python of an environment; says how to make it where there is none."""
    folder = Path(path).parent.parent
    if not Path(path).is_file():
        sys.exit(
            f"--python-{version}: expected the Python of an environment with devinterp, found no "
            f"{path}; make it with: python3 -m venv {folder} && {folder}/bin/pip install -r "
            f"envs/requirements-devinterp-{version}.txt"
        )
    return path
