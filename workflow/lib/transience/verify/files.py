"""The files of finished results: which should be there, and are they whole.

Opening a file executes no code that it may contain: tables are Parquet, checkpoints safetensors,
the configuration is JSON.
"""

import base64
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from transience import configuration
from transience.checkpoints import CheckpointReader
from transience.configuration_schema import schema, sections
from transience.errors import InputError
from transience.report import PAGE
from transience.tables import read_metadata, read_table, schemas

CHECKPOINTS = "checkpoints"
ON_DEMAND = ("llc_calibration", "llc_curvature", "llc_ordering")  # made by `make calibrate`
OF_RUNS = [name for name, schema in schemas().items() if "runs" in schema.files]
OF_SWEEP = [name for name, schema in schemas().items() if "tables" in schema.files]
RUN_FOLDER = re.compile(r"M(inf|[1-9]\d*)_seed(\d+)")
AGAIN = "run the sweep again"
ANY_MEMORY = 2**62  # results may be verified on a smaller machine
ENDS = {".png": b"IEND", ".pdf": b"%%EOF"}

Config = dict[str, Any]
Run = tuple[str, str, int]  # variant, num_tasks as in paths, seed


@dataclass(frozen=True)
class File:
    """A file of results that could be read."""

    path: Path
    name: str  # of the table, or CHECKPOINTS
    metadata: dict[str, Any]
    content: Any  # pd.DataFrame, CheckpointReader, or None where it is not kept

    @property
    def remedy(self) -> str:
        """What a user can do about it."""
        return f"delete it and {'run make calibrate' if self.name in ON_DEMAND else AGAIN}"


def read_config(path: Path) -> Config:
    """Read config.json; InputError has a line for each problem."""
    if not path.is_file():
        raise InputError(f"{path}: expected the configuration of results, found none; {AGAIN}")
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
        config.pop("configuration_files")
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        reason = " ".join(str(error).split())
        raise InputError(
            f"{path}: expected the configuration of results, found damage ({reason}); "
            f"delete it and {AGAIN}"
        ) from None
    problems = configuration.validate(config, memory=ANY_MEMORY)
    keys = [(name,) for name in schema()["properties"]]
    keys += [(name, key) for name, of_section in sections().items() for key in of_section]
    problems += [
        f"expected every key, found no {'.'.join(key)}"
        for key in keys
        if not problems and key[-1] not in (config.get(key[0], {}) if key[1:] else config)
    ]
    if problems:
        raise InputError("\n".join(f"{path}: {line}; {AGAIN}" for line in problems))
    return config


def declared(folder: Path, config: Config, runs: Sequence[Run]) -> dict[Path, bool]:
    """Files of a finished sweep, and whether `make` writes them, or `make calibrate`."""
    figures = yaml.safe_load((PAGE / "captions.yaml").read_text(encoding="utf-8"))["figures"]
    files = {folder / name: True for name in ("config.json", "report.html")}
    files[folder / "llc_proposal.yaml"] = False
    for name in (*figures, "llc_calibration"):
        files |= {folder / f"figures/{name}.{kind}": name in figures for kind in ("png", "pdf")}
    files |= {folder / f"tables/{name}.parquet": name not in ON_DEMAND for name in OF_SWEEP}
    for run in runs:
        files |= {path: name not in ON_DEMAND for name, path in run_files(folder, run).items()}
    return files


def run_files(folder: Path, run: Run) -> dict[str, Path]:
    """Files of a run by the name of the table; the checkpoints come first."""
    variant, num_tasks, seed = run
    place = folder / f"runs/{variant}/M{num_tasks}_seed{seed}"
    tables = {name: place / f"{name}.parquet" for name in OF_RUNS}
    return {CHECKPOINTS: place / f"{CHECKPOINTS}.safetensors"} | tables


def missing_lines(files: dict[Path, bool]) -> Iterator[str]:
    """Files that a finished sweep lacks."""
    for path, needed in files.items():
        if needed and not path.is_file():
            yield f"{path}: expected a file, found none; {AGAIN}"


def strays(folder: Path, config: Config, runs: Sequence[Run]) -> tuple[list[str], list[str]]:
    """Problems and notes on files that the workflow does not write."""
    problems, notes = [], []
    ours = declared(folder, config, runs)
    for path in sorted(path for path in folder.rglob("*") if path.is_file() and path not in ours):
        parts = path.relative_to(folder).parts
        if parts[0] in ("logs", "benchmarks") or any(part.startswith(".") for part in parts):
            continue
        if _of_other_run(parts, runs):
            notes.append(f"{path.parent}: not in config.json, unchecked")
        elif parts[0] in ("runs", "tables"):
            problems.append(
                f"{path}: expected what the workflow writes, found an undeclared file; move it away"
            )
        else:
            notes.append(f"{path}: not of this workflow")
    return problems, list(dict.fromkeys(notes))


def _of_other_run(parts: Sequence[str], runs: Sequence[Run]) -> bool:
    """Whether runs/<variant>/<run>/<file> names a run that is well-formed and not one of these."""
    run = RUN_FOLDER.fullmatch(parts[2]) if parts[0] == "runs" and len(parts) == 4 else None
    return run is not None and (parts[1], run[1], int(run[2])) not in runs


def open_file(path: Path, name: str) -> File:
    """Read the table of a name, or checkpoints; InputError if it is damaged."""
    try:
        if name == CHECKPOINTS:
            reader = CheckpointReader(path)
            return File(path, name, dict(reader.metadata), reader)
        frame = read_table(path, name)
        return File(path, name, read_metadata(path), frame)
    except InputError:
        raise
    except (ValueError, KeyError, IndexError, TypeError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{path}: expected {name}, found damage ({reason})") from None


def figure_lines(folder: Path, figures: Sequence[Path]) -> Iterator[str]:
    """Figures that are cut off, and a report that shows other ones."""
    report = folder / "report.html"
    page = report.read_text(encoding="utf-8", errors="replace") if report.is_file() else "</html>"
    if not page.rstrip().endswith("</html>"):
        yield f"{report}: expected a whole page, found one that is cut off; delete it and {AGAIN}"
    for path in filter(Path.is_file, figures):
        content = path.read_bytes()
        if ENDS[path.suffix] not in content[-32:]:
            yield f"{path}: expected a figure, found one that is cut off; delete it and {AGAIN}"
        elif path.suffix == ".png" and not _shows(page, path.stem, content):
            yield f"{report}: expected the figure {path.name}, found another; delete it and {AGAIN}"


def _shows(page: str, figure: str, png: bytes) -> bool:
    """Whether a page has just this image below the heading of a figure, if it has that."""
    shown = page.partition(f'<h3 id="{figure}">')[2].partition("base64,")[2]
    return not shown or shown.startswith(base64.b64encode(png).decode())
