"""What watching costs: a page of many long runs, a line of a training, a call of a Monitor.

python tests/benchmarks/watch.py [--runs 520] [--lines 2000]
"""

import argparse
import itertools
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / "workflow/lib"), str(ROOT / "tests/unit")]

import numpy as np  # noqa: E402
from made_up_lines import log_of  # noqa: E402

from transience.files.lines import NAME, LineWriter  # noqa: E402
from transience.training.state import LOG_COLUMNS  # noqa: E402
from transience.watch.__main__ import Watch  # noqa: E402
from transience.watch.losses import Losses  # noqa: E402
from transience.watch.monitor import Monitor  # noqa: E402
from transience.watch.page import Page  # noqa: E402

SEEDS = 20
CHECKPOINTS = 200


def main() -> None:
    """Make up runs, watch them, and print what it took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=520)
    parser.add_argument("--lines", type=int, default=2000)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        writers = write_runs(Path(folder), args.runs, args.lines)
        watch_them(Path(folder), writers, args.lines)
        watching_itself(Path(folder))


def write_runs(folder: Path, num_runs: int, num_lines: int) -> list[tuple[LineWriter, float]]:
    """Lines of so many runs, 20 seeds of each M."""
    writers, steps = [], 10.0 * np.arange(1, num_lines + 1)
    each = itertools.product([2**i for i in range(40)], range(SEEDS))
    logs = {m: log_of(m, steps) for m in (2.0**i for i in range(-(-num_runs // SEEDS)))}
    for num_tasks, seed in itertools.islice(each, num_runs):
        name = f"baseline_M{num_tasks}_seed{seed}"
        about = {"variant": "baseline", "num_tasks": str(num_tasks), "seed": seed}
        path = folder / ".resume" / name / "0123" / NAME
        writer = LineWriter(path, LOG_COLUMNS, about | {"last_step": 2 * int(steps[-1])})
        writer.add(logs[num_tasks])
        writer.flush()
        writers.append((writer, num_tasks))
    return writers


def watch_them(folder: Path, writers: list[tuple[LineWriter, float]], num_lines: int) -> None:
    """Look and write, at first, with nothing new, and with a line more of each."""
    size = sum(writer.path.stat().st_size for writer, _ in writers)
    print(f"{len(writers)} runs of {num_lines} lines: {size / 1e6:.0f} MB")
    watch = Watch(folder, Page(folder / "watch/watch.html", "made up"), None, None)
    report("first look", watch.look)
    steps = np.linspace(0, 10 * num_lines, CHECKPOINTS).astype(int).tolist()
    for one in watch.runs.values():  # as if all checkpoints had been measured
        by_step = {step: [1.234 + 1 / (1 + step)] * 4 for step in steps}
        one.tested(Losses(by_step=by_step, ridge=[0.9] * 3, dmmse=[0.4] * 3))
    report("first page", lambda: watch.write(10.0, live=True))
    print(f"  page: {watch.page.path.stat().st_size / 1e6:.2f} MB")
    report("look, nothing new", watch.look)
    report("page, nothing new", lambda: watch.write(10.0, live=True))
    for writer, num_tasks in writers:
        writer.add(log_of(num_tasks, np.array([10.0 * num_lines + 10])))
        writer.flush()
    report("look, a line more of each", watch.look)
    report("page, a line more of each", lambda: watch.write(10.0, live=True))


def watching_itself(folder: Path) -> None:
    """What a training pays for a line, and a loop for a Monitor."""
    row = log_of(8.0, np.array([10.0]))[0]
    writer = LineWriter(folder / "a.jsonl", LOG_COLUMNS, {})
    rows = [(step, *row[1:]) for step in range(1, 20_001)]
    each("a line", rows, lambda row: writer.add([row]))
    monitor = Monitor(folder / "b.jsonl", every=10**9)
    each("Monitor, a step that is not logged", range(1, 200_001), lambda s: monitor(s, {"a": 1.0}))
    monitor = Monitor(folder / "c.jsonl", every=1)
    each("Monitor, a step that is logged", range(1, 20_001), lambda s: monitor(s, {"a": 1.0}))


def report(what: str, work: Callable[[], object]) -> None:
    """Print the processor time of some work, and how long it took."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    print(
        f"  {what}: {time.process_time() - cpu:.2f} s of a core, {time.perf_counter() - wall:.2f} s"
    )


def each(what: str, over: object, work: Callable[[object], object]) -> None:
    """Print the mean time of one of many."""
    begun = time.perf_counter()
    for one in over:
        work(one)
    print(f"{what}: {1e6 * (time.perf_counter() - begun) / len(over):.2f} µs")


if __name__ == "__main__":
    main()
