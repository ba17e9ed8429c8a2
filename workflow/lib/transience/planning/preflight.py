"""What is checked before any job starts, besides the configuration itself.

Snakemake would meet an unwritable folder with a traceback, in the middle of the sweep.
"""

import base64
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

SNAKEMAKE = Path(".snakemake")


def stop_at(lines: list[str]) -> None:
    """End before any job with these lines, if there are any, and no traceback."""
    if lines:
        sys.exit("\n".join(["Nothing was started:", *lines]))


def problems(results: Path, config: dict[str, Any], files: list[str]) -> list[str]:
    """What is in the way of writing below a results folder, in one line.

    Args:
        results: folder of the sweep; it need not exist.
        config: the effective configuration.
        files: the configuration files that it came from.
    """
    folders = [SNAKEMAKE, results, *sorted(results.glob("*/")), *sorted(results.glob("runs/*/*/"))]
    places = [*folders, *(results / name for name in ("runs", "tables", "figures", "logs"))]
    found = list(filter(None, map(_unwritable, places)))
    return found[:1] or list(_foreign(results / "config.json", config, files))


def _unwritable(folder: Path) -> str | None:
    """Why a folder, or the nearest one above it that exists, can't be written to."""
    existing = next(path for path in (folder, *folder.parents) if os.path.lexists(path))
    if not existing.is_dir():
        return f"{existing}: expected a folder to write to, found a file; move it away"
    if not os.access(existing, os.W_OK | os.X_OK):
        return f"{existing}: expected a folder to write to, found no permission to write there"
    return None


def _foreign(record: Path, config: dict[str, Any], files: list[str]) -> Iterator[str]:
    """Results of another configuration that stand where this one writes.

    An edited configuration is welcome, Snakemake redoes what the edit touches. But it would also
    overwrite the sweep of another configuration file, and take for its own what was copied here.
    """
    if not record.is_file():
        return
    try:
        found = json.loads(record.read_text())
        made_from = found.pop("configuration_files")
    except (ValueError, KeyError):
        yield f"{record}: expected the configuration of the results, found damage; delete the file"
        return
    if found == config or (made_from == files and _made_here(record)):
        return
    yield (
        f"{record.parent}: expected results of {' + '.join(files)}, found results of "
        f"{' + '.join(made_from)} with other settings ({_first_difference(config, found)}); give "
        f"your sweep another `experiment`, or delete {record} to overwrite what is there"
    )


def _made_here(output: Path) -> bool:
    """Whether Snakemake has a record of making this file, rather than finding it here."""
    name = base64.urlsafe_b64encode(str(output).encode()).decode()
    return (SNAKEMAKE / "metadata" / name).is_file()


def _first_difference(expected: Any, found: Any, key: str = "") -> str:
    if isinstance(expected, dict) and isinstance(found, dict):
        name = next(name for name in {**expected, **found} if expected.get(name) != found.get(name))
        return _first_difference(expected.get(name), found.get(name), f"{key}.{name}".strip("."))
    return f"{key}: expected {json.dumps(expected)}, found {json.dumps(found)}"
