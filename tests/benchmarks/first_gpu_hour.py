"""The first hour on a GPU: is it right, how fast is it, what takes the time, a run of the paper.

    python tests/benchmarks/first_gpu_hour.py --out hour --scratch /tmp/hour

Parts, each in a process of its own, so that what breaks one leaves the next one whole:

- *checks*: losses and gradient of a training step in float32, tf32 and bf16 against float64; steps
  repeated, and replayed as a CUDA graph, equal to the bit; a training that is stopped and resumed
  equal to one in one go
- *speed*: a step in each precision, and its share of the measured rates of a large product and copy
- *profile*: the kernels of bf16 steps by kind, and the time between them
- *run*: training, evaluation, LLC, indicators, LLC curve and tables of runs of
  config/paper_subset.yaml, by the workflow's commands and without Snakemake; with ``--size short``
  those of config/paper_short.yaml, of which seven M took ten minutes, three at a time, and with
  ``--size long`` those of config/paper_long.yaml

What is found goes to ``--out``, a few MiB: ``verdict.md`` is the page to read, ``verdict.json`` has
it whole. Checkpoints and states go to ``--scratch``. The same call again does what is left to be
done: a training that met the end of ``--minutes`` goes on from there. Exit status 0: no check has
failed and no part has met an error. On a CPU, what only a GPU can do is not checked.

PyTorch 2.11 on Python 3.12 will do. Besides torch, numpy, pandas, scipy, numba, PyYAML and
safetensors the commands need, as wheels where they are missing: pydantic 2.14.3 (0.5 MB),
pydantic-core 2.50.4 (2.3 MB), annotated-types, typing-inspection, typing-extensions and arviz-stats
0.8.0 (0.2 MB together), and pyarrow (24.0.0: 49 MB).
"""

import argparse
import contextlib
import importlib
import importlib.util
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(HERE), str(ROOT / "workflow" / "lib")]

from hour_record import SIZES, Plan, Record  # noqa: E402
from hour_verdict import holds, verdict  # noqa: E402

# Parts, and the share of a call's minutes that each may take.
PARTS = {"checks": 0.6, "speed": 0.4, "profile": 0.4, "run": 1.0}
MODULES = {
    "checks": "hour_checks",
    "speed": "hour_steps",
    "profile": "hour_steps",
    "run": "hour_run",
}
FOR_THE_VERDICT = 5.0  # seconds at the end of a call
TO_END = 20.0  # seconds in which a part must have ended that was told to
LEAST = 20.0  # seconds for which a part is worth its start
LINES_OF_A_LOG = 6
NEEDED = (
    *("torch", "numpy", "pandas", "scipy", "numba", "yaml", "safetensors"),
    *("pyarrow", "pydantic", "arviz_stats"),
)


def main() -> None:
    """Do the parts that are left to be done, and write the verdict after each."""
    flags = read_flags()
    if missing := [name for name in NEEDED if importlib.util.find_spec(name) is None]:
        sys.exit(f"expected the packages {', '.join(NEEDED)}; found no {', '.join(missing)}")
    end = time.time() + 60 * flags.minutes - FOR_THE_VERDICT
    plan = Plan(
        flags.size, flags.device, tuple(flags.num_tasks), flags.steps,
        flags.out.resolve(), flags.scratch.resolve(), flags.until or end, flags.side_by_side,
    )  # fmt: skip
    if flags.inside:
        inside(plan, flags.inside)
        return
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    threads = str(min(8, os.cpu_count() or 1))  # to compile with, for which a job has but one
    os.environ.setdefault("TORCHINDUCTOR_COMPILE_THREADS", threads)
    for part in flags.parts:
        if flags.again or not Record(plan, part).finished:
            limit = min(60 * flags.minutes * PARTS[part], plan.seconds_left())
            launch(plan, part, limit)
        text, well = write_verdict(plan)
    print(f"\n{text}", end="")
    sys.exit(0 if well else 1)


def read_flags() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    add = parser.add_argument
    add("--out", type=Path, required=True, help="folder of what is found")
    add("--scratch", type=Path, required=True, help="folder of checkpoints and states")
    add("--minutes", type=positive(float), default=9.0, help="of this call (default: 9)")
    add("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    add("--num-tasks", nargs="+", default=["64"], metavar="M", help="runs, in this order")
    add("--steps", type=positive(int), help="of a training, for a shorter one under another name")
    add(
        "--side-by-side",
        type=positive(int),
        default=1,
        metavar="N",
        help="runs at a time (default: 1)",
    )
    add("--again", action="store_true", help="finished parts too, but for runs that are there")
    add("--size", choices=SIZES, default="paper", help="tiny: of config/smoke.yaml, for tests")
    add("--device", choices=("cuda", "cpu"), default="cuda")
    add("--inside", choices=PARTS, help=argparse.SUPPRESS)  # do this part, in this process
    add("--until", type=float, help=argparse.SUPPRESS)  # in seconds of time.time
    return parser.parse_args()


def positive(kind: type) -> Callable[[str], float]:
    """A type of a flag: a number above 0."""

    def number(text: str) -> float:
        value = kind(text)
        if not value > 0:
            raise argparse.ArgumentTypeError(f"expected a number above 0, found {text}")
        return value

    return number


def launch(plan: Plan, part: str, limit: float) -> None:
    """Do a part in a process of its own, for so many seconds at most."""
    record = Record(plan, part)
    record.begin()
    if limit < LEAST:
        record.note("not begun, as the call is nearly over")
        return
    log = plan.out / "logs" / f"part_{part}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    words = [sys.executable, __file__, *sys.argv[1:], "--inside", part]
    words += ["--until", str(time.time() + limit)]
    with log.open("w") as errors:
        process = subprocess.Popen(words, stderr=errors, process_group=0)
    try:
        status = process.wait(limit + TO_END)
    except subprocess.TimeoutExpired:
        status = None
    finally:
        end_group(process)
    if status != 0:
        said = "stopped, as its time was over" if status is None else f"exit status {status}"
        tail = "\n".join(log.read_text().splitlines()[-LINES_OF_A_LOG:])
        Record(plan, part).fail(f"{tail}\n{said}")


def end_group(process: subprocess.Popen) -> None:
    """End what a part has left running; at the first signal a training saves its state."""
    with contextlib.suppress(ProcessLookupError):  # when none of the group is left
        for number, patience in ((signal.SIGTERM, TO_END), (signal.SIGKILL, 1.0)):
            os.killpg(process.pid, number)
            until = time.time() + patience
            while time.time() < until:
                process.poll()
                os.killpg(process.pid, 0)
                time.sleep(0.05)


def inside(plan: Plan, part: str) -> None:
    """Do a part in this process."""
    record = Record(plan, part)

    def work() -> None:
        from transience.command.device import use_device

        device = use_device(plan.device, threads=1)
        record.measure("machine", machine(device.type))
        getattr(importlib.import_module(MODULES[part]), part)(plan, record)

    record.guard(work)


def machine(kind: str) -> str:
    """Device and versions, in a line."""
    import torch

    from transience.command.device import device_name

    words = [device_name(kind), f"torch {torch.__version__}", f"Python {platform.python_version()}"]
    if kind == "cuda" and shutil.which("nvidia-smi"):
        asking = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
        answer = subprocess.run(asking, capture_output=True, text=True, timeout=60)
        words.insert(1, f"driver {answer.stdout.strip()}")
    return ", ".join(words)


def write_verdict(plan: Plan) -> tuple[str, bool]:
    """Write what all parts have found; its text, and whether all is well."""
    records = {part: Record(plan, part) for part in PARTS}
    parts = {part: one.found for part, one in records.items() if one.of_this_plan}
    asked = f"Size {plan.size} on {plan.device}, M = {', '.join(plan.num_tasks)}"
    asked += f", {plan.steps} steps." if plan.steps else "."
    text, well = verdict(parts, [part for part in PARTS if part not in parts], asked), holds(parts)
    whole = {"asked": asked, "holds": well, "parts": parts}
    (plan.out / "verdict.md").write_text(text)
    (plan.out / "verdict.json").write_text(json.dumps(whole, indent=1))
    return text, well


if __name__ == "__main__":
    main()
