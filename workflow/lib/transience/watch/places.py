"""Which trainings there are to watch in a folder."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from transience.errors import InputError
from transience.files.lines import FORMAT, NAME, parsed
from transience.planning.configuration import run_folder, runs, sweep_family
from transience.problem.diversity import parse_num_tasks
from transience.watch.place import Place

RUN = re.compile(r"(?P<variant>.+)/M(?P<num_tasks>inf|\d+)_seed(?P<seed>\d+)")
LONGEST = 2**16  # bytes of a header, or it is none


def places(folder: Path) -> list[Place]:
    """What there is in the folder of a sweep, or in one of files of lines.

    InputError if it is neither.
    """
    if not folder.is_dir():
        found = "a file" if folder.exists() else "no such folder (it comes when the sweep begins)"
        raise InputError(f"{folder}: expected the results of a sweep, found {found}")
    if any((folder / name).exists() for name in ("config.json", "runs", ".resume")):
        return [_of_run(folder, *run) for run in _runs(folder)]
    loops = [_of_lines(folder, path) for path in sorted(folder.rglob("*.jsonl")) if _ours(path)]
    if not loops:
        raise InputError(
            f"{folder}: expected the results of a sweep (config.json), or files of lines that a "
            f"Monitor wrote, found {_instead(folder)}"
        )
    return loops


def _instead(folder: Path) -> str:
    sweeps = sorted(path.parent.as_posix() for path in folder.glob("*/config.json"))
    return f"those of {len(sweeps)}: {', '.join(sweeps[:5])}" if sweeps else "neither"


def family(folder: Path) -> str:
    """The family of problems of a sweep, in whose words its page speaks."""
    try:
        return sweep_family(json.loads((folder / "config.json").read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return "linear"


def warning(folder: Path) -> str:
    """What is wrong with the configuration of a sweep, whose runs are then those that it began."""
    try:
        _configured(folder)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        if not isinstance(error, FileNotFoundError):
            return (
                f"{folder / 'config.json'}: expected the configuration of the sweep, found damage; "
                "shown are the runs that have begun"
            )
    return ""


def _runs(folder: Path) -> list[tuple[str, float, int]]:
    """(variant, M, seed) of those planned; without a configuration, of those begun."""
    try:
        planned = _configured(folder)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        planned = [*_begun(folder)]
    return sorted(dict.fromkeys(planned), key=lambda run: (run[1], run[0], run[2]))


def _configured(folder: Path) -> list[tuple[str, float, int]]:
    return runs(json.loads((folder / "config.json").read_text(encoding="utf-8")))


def _begun(folder: Path) -> Iterator[tuple[str, float, int]]:
    names = [path.relative_to(folder / "runs").as_posix() for path in folder.glob("runs/*/M*")]
    names += [
        "/M".join(path.parts[-3].rsplit("_M", 1)) for path in folder.glob(f".resume/*/*/{NAME}")
    ]
    for found in filter(None, map(RUN.fullmatch, names)):
        yield found["variant"], parse_num_tasks(found["num_tasks"]), int(found["seed"])


def _of_run(folder: Path, variant: str, num_tasks: float, seed: int) -> Place:
    name = run_folder(variant, num_tasks, seed)
    flat = name.replace("/", "_")
    return Place(
        name=name,
        variant=variant,
        num_tasks=num_tasks,
        seed=seed,
        state=folder / ".resume" / flat,
        tables=folder / "runs" / name,
        log=folder / "logs" / "train" / f"{flat}.log",
    )


def _of_lines(folder: Path, path: Path) -> Place:
    name = path.relative_to(folder).with_suffix("").as_posix()
    name = os.fsencode(name).decode(errors="replace")  # the page is UTF-8, a file's name may not be
    return Place(name, own_lines=path)


def _ours(path: Path) -> bool:
    """Whether a file begins with the header of lines, of whatever format, or can't be read."""
    try:
        with path.open("rb") as file:
            header: dict[str, Any] = parsed(file.readline(LONGEST)) or {}
    except OSError:
        return path.is_file()
    of_sweep = path.name == NAME and ".resume" in path.parts
    return isinstance(header.get("format"), type(FORMAT)) and "pid" in header and not of_sweep
