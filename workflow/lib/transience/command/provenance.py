"""Where a file comes from: what was run, with what, where and when."""

from __future__ import annotations

import argparse
import platform
import subprocess
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from transience.command.device import device_name
from transience.command.flags import as_metadata
from transience.errors import InputError
from transience.files.metadata import Metadata, of_runs
from transience.files.tables import RUN_KEYS

if TYPE_CHECKING:
    from transience.run import Run

LIBRARIES = ("torch", "numpy", "pandas", "pyarrow")


def of_run(args: argparse.Namespace, run: Run, device: str) -> Metadata:
    """Metadata of a file of one run, computed on a device (`cpu` or `cuda`)."""
    from transience.problem.diversity import format_num_tasks

    named = run.keys | {"num_tasks": format_num_tasks(run.num_tasks)}
    return _described(args, named, device)


def of_sweep(args: argparse.Namespace, inputs: Sequence[Mapping[str, Any]]) -> Metadata:
    """Metadata of a file of the sweep, made on the CPU from tables with this metadata."""
    try:
        return _described(args, of_runs(inputs), "cpu")
    except KeyError as error:
        raise InputError(
            f"metadata of the tables read: expected {', '.join(RUN_KEYS)}, found no {error}"
        ) from None


def _described(args: argparse.Namespace, runs: Mapping[str, Any], device: str) -> Metadata:
    described = {
        **as_metadata(args),
        **runs,
        "commit": _commit(),
        "versions": {"python": platform.python_version()} | {n: version(n) for n in LIBRARIES},
        "device": device_name(device),
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
