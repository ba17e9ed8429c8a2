"""Lines of trainings that never were: made-up curves of plausible shape, only to test watching."""

import json
import math
import os
import socket
import time
from pathlib import Path

import numpy as np

from transience.files.lines import NAME, LineWriter
from transience.training.state import LOG_COLUMNS


def log_of(num_tasks: float, steps: np.ndarray, *, gap: float = 1.0) -> list[tuple[float, ...]]:
    """Rows of LOG_COLUMNS: learns, is near ridge at step 200, and leaves it for a finite M."""
    learnt = 1 / (1 + (steps / 60) ** 2)
    left = np.zeros(len(steps)) if math.isinf(num_tasks) else 1 / (1 + (600 / steps) ** 6)
    ridge = 0.9 + 0.02 * np.sin(7.0 * steps)
    dmmse = ridge if math.isinf(num_tasks) else 0.4 + 0 * steps
    batch = (1 - left) * ridge + left * dmmse + 3 * learnt + 0.01 * np.cos(3.0 * steps)
    projection = np.full(len(steps), math.nan) if math.isinf(num_tasks) else left
    rate = np.full(len(steps), 0.004)
    seconds = gap * np.arange(1, len(steps) + 1)
    columns = (
        *(steps, batch, rate, 1 / steps, seconds, 64.0 * steps),
        *(ridge, dmmse, projection, learnt, 1 / np.sqrt(steps)),
    )
    assert len(columns) == len(LOG_COLUMNS)
    return [tuple(map(float, row)) for row in zip(*columns, strict=True)]


def run_lines(
    folder: Path,
    num_tasks: float = 8.0,
    *,
    seed: int = 0,
    variant: str = "baseline",
    steps: range = range(10, 1001, 10),
    last_step: int = 2000,
    **sign: object,
) -> Path:
    """Lines of a run in the results of a sweep, by this process or another (host, pid, time)."""
    name = f"{variant}_M{num_tasks:g}_seed{seed}"
    path = folder / ".resume" / name / "0123456789abcdef" / NAME
    log = log_of(num_tasks, np.array(steps, float))
    about = {"variant": variant, "num_tasks": f"{num_tasks:g}", "seed": seed, "first_step": 0}
    writer = LineWriter(path, LOG_COLUMNS, about | {"last_step": last_step})
    writer.follow(log)
    writer.flush()
    if sign:
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        now = sign.pop("time", time.time())
        lines = [line | {"time": now} for line in lines]
        lines[0] |= {"host": socket.gethostname(), "pid": os.getpid()} | sign
        path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path
