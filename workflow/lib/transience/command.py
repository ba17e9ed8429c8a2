"""What the commands (`python -m transience.<stage>`) share: flags, errors, progress, provenance."""

from __future__ import annotations

import argparse
import errno
import json
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from transience.errors import InputError

if TYPE_CHECKING:
    import torch

LIBRARIES = ("torch", "numpy", "pandas", "pyarrow")
HINTS = {
    errno.ENOSPC: "free some disk space and run the same command again; finished files are kept",
    errno.EDQUOT: "free some of the disk quota and run the same command again",
    errno.EACCES: "check who may write there, then run the same command again",
    errno.EPERM: "check who may write there, then run the same command again",
    errno.EROFS: "the file system is mounted read-only; choose another folder",
}


# Flags


def parser(description: str) -> argparse.ArgumentParser:
    """Parser with the flags that every command has."""
    flags = argparse.ArgumentParser(description=description, allow_abbrev=False)
    flags.add_argument(
        "--settings", type=_settings, required=True, help="slice of the configuration, as JSON"
    )
    flags.add_argument("--code", default="unknown", help="digest of the code, kept in the outputs")
    flags.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    flags.add_argument("--threads", type=int, default=1, help="threads of a CPU computation")
    return flags


def add_run_flags(flags: argparse.ArgumentParser) -> None:
    """Add the flags that name a run: variant, num_tasks, seed."""
    flags.add_argument("--variant", required=True)
    flags.add_argument("--num-tasks", type=_num_tasks, required=True, help="M, or inf")
    flags.add_argument("--seed", type=int, required=True)


def _settings(text: str) -> dict[str, Any]:
    try:
        settings = json.loads(text)
    except json.JSONDecodeError as error:
        raise argparse.ArgumentTypeError(f"expected JSON, found {text[:60]!r} ({error})") from None
    if not isinstance(settings, dict):
        raise argparse.ArgumentTypeError(f"expected a JSON object, found {text[:60]!r}")
    return settings


def _num_tasks(text: str) -> float:
    from transience.tasks import parse_num_tasks

    try:
        return parse_num_tasks(text)
    except InputError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _format_num_tasks(args: argparse.Namespace) -> str:
    from transience.tasks import format_num_tasks

    return format_num_tasks(args.num_tasks)


def resolve_device(text: str) -> torch.device:
    """Device named `auto` (CUDA if there is any, else the CPU), `cpu` or `cuda`."""
    import torch

    available = torch.cuda.is_available()
    if text == "cuda" and not available:
        raise InputError("execution.device: expected a CUDA device, found none; use auto or cpu")
    return torch.device("cuda" if available and text != "cpu" else "cpu")


def use_resources(args: argparse.Namespace) -> torch.device:
    """Keep torch to `--threads` threads and return the device that `--device` names."""
    import torch

    torch.set_num_threads(args.threads)
    return resolve_device(args.device)


# Errors


def run(main: Callable[[], None]) -> None:
    """Run a command; what a user can mend ends in a line on stderr and exit code 1."""
    try:
        main()
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(130)
    except Exception as error:
        message = _one_line(error)
        if message is None:
            raise
        print(f"error: {message}", file=sys.stderr)
        sys.exit(1)


def _one_line(error: Exception) -> str | None:
    """Message for a user, or None for an error that is ours and deserves its traceback."""
    if isinstance(error, InputError):
        return str(error)
    text = " ".join(str(error).split())
    if isinstance(error, OSError):
        hint = HINTS.get(error.errno or 0)
        return f"{text} ({hint})" if hint else text
    # torch reports a lack of memory as a RuntimeError, on the CPU without a class of its own.
    if isinstance(error, MemoryError) or "out of memory" in text or "t allocate memory" in text:
        return f"out of memory: {text or type(error).__name__} (use a smaller batch or machine)"
    return None


# Provenance


def provenance(args: argparse.Namespace, device: str | None = None) -> dict[str, Any]:
    """Metadata for every file a command writes: what was run, with what, where and when.

    `device` is where the work was done; None resolves `--device`.
    """
    described = {
        "experiment": args.settings.get("experiment"),
        "variant": getattr(args, "variant", None),
        "num_tasks": _format_num_tasks(args) if hasattr(args, "num_tasks") else None,
        "seed": getattr(args, "seed", None),
        "settings": args.settings,
        "code": args.code,
        "commit": _commit(),
        "versions": {"python": platform.python_version()} | {n: version(n) for n in LIBRARIES},
        "device": _device_name(device or resolve_device(args.device).type),
        "threads": args.threads,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    return {key: value for key, value in described.items() if value is not None}


def _commit() -> str | None:
    """Commit of the code, where it stands in a git checkout."""
    try:
        answer = subprocess.run(
            ["git", "-C", str(Path(__file__).parent), "rev-parse", "HEAD"],
            capture_output=True,
            text=True,
            timeout=5,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return answer.stdout.strip() or None if answer.returncode == 0 else None


def _device_name(device: str) -> str:
    if device == "cuda":
        import torch

        return torch.cuda.get_device_name()
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


# Progress


class Progress:
    """How far a long stage is: one line rewritten in a terminal, a few lines in a log.

    In a log a line comes at most every 10 seconds and at most once per percent (but at least
    every 10 minutes), so that neither a short nor a long run scrolls. The time left counts from
    the first update, because the first unit of work may have to warm up.
    """

    def __init__(
        self, total: int, what: str, unit: str, *, done: int = 0, stream: TextIO | None = None
    ) -> None:
        self.total, self.what, self.unit = total, what, unit
        self.last_done = done
        self.first: tuple[int, float] | None = None  # units done and time at the first update
        self.stream = stream or sys.stderr
        self.terminal = self.stream.isatty()
        self.started = self.last_time = time.monotonic()

    def update(self, done: int, note: str = "") -> None:
        """Report that `done` of `total` are done; `note` is shown behind them."""
        now = time.monotonic()
        self.first = self.first or (done, now)
        if done < self.total and not self._due(done, now - self.last_time):
            return
        self.last_done, self.last_time = done, now
        start = "\r\x1b[K" if self.terminal else ""
        end = "\n" if done >= self.total or not self.terminal else ""
        print(start + self._line(done, note, now), end=end, file=self.stream, flush=True)

    def _due(self, done: int, seconds: float) -> bool:
        if self.terminal:
            return seconds >= 0.2
        return seconds >= 600 or (seconds >= 10 and done - self.last_done >= 0.01 * self.total)

    def _line(self, done: int, note: str, now: float) -> str:
        parts = [f"{self.unit} {done}/{self.total} ({100 * done // max(self.total, 1)}%)", note]
        first_done, first_time = self.first or (done, now)
        if done >= self.total:
            parts.append(f"{_duration(now - self.started)} in all")
        elif done > first_done:
            left = (now - first_time) * (self.total - done) / (done - first_done)
            parts.append(f"{_duration(left)} left")
        return "  ".join([self.what, *filter(None, parts)])


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.1f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
