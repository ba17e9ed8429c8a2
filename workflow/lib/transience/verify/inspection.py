"""What is checked of finished results, in which order, and what was found.

A problem is a file that is missing, damaged or undeclared, or that disagrees with config.json,
with its own place, or with the files that it came from. Undeclared is a file in tables/ or in the
folder of a run that the workflow does not write; elsewhere anything may lie. These are notes:

- A run that config.json does not name. Whoever takes a variant, an M or a seed out of a
  configuration leaves its files behind, and no table of the sweep reads them. Unchecked.
- No runs at all, as in results/reference: the tables are then checked without them.

Tables of `make calibrate` need not be there; where they are, they are checked like all.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from transience.command.progress import Progress
from transience.errors import InputError
from transience.planning import configuration
from transience.run import Run
from transience.verify import files, metadata, numbers
from transience.verify.files import CHECKPOINTS, ON_DEMAND, Config, File


@dataclass
class Inspection:
    """What was found so far."""

    problems: dict[str, str] = field(default_factory=dict)  # a path's first, a line
    notes: list[str] = field(default_factory=list)
    files: list[File] = field(default_factory=list)  # that could be read

    def add(self, problems: Iterable[str]) -> None:
        """Add problems of files of which none is known yet: one often brings others about."""
        for line in problems:
            self.problems.setdefault(line.partition(": expected ")[0], line)

    def sound(self, *paths: Path) -> list[File]:
        """Those of some files that could be read, and have no problem."""
        return [f for f in self.files if f.path in paths and str(f.path) not in self.problems]

    def check(self, path: Path, name: str, config: Config, runs: Sequence[Run]) -> None:
        """Check a file by itself, if it is there: is it whole, and of these runs?"""
        if not path.is_file():
            return
        try:
            file = files.open_file(path, name)
        except InputError as error:
            self.add([str(error)])
            return
        self.files.append(file)
        self.add(metadata.metadata_problems(file, config, runs))
        if name != CHECKPOINTS:
            off = name in configuration.tables_left_out(config)
            self.add(metadata.row_problems(file, () if off else runs))


def verify(folder: Path) -> Inspection:
    """Check a folder results/<experiment>."""
    found = Inspection()
    try:
        config = files.read_config(folder / "config.json")
    except InputError as error:
        found.add(str(error).splitlines())
        return found
    named = files.runs_of(config, configuration.runs(config))
    there = named if (folder / "runs").is_dir() else []
    if not there:
        found.notes.append(f"{folder}/runs: no such folder; tables are checked without their runs")
    of_sweep, of_runs = files.names(config)
    declared = files.declared(folder, there, config)
    found.add(files.incomplete_problems(declared))
    problems, notes = files.strays(folder, declared)
    found.add(problems)
    found.notes += notes
    calibrated = files.runs_of(config, configuration.calibrated_runs(config))
    for name in of_sweep:
        runs = calibrated if name in ON_DEMAND else named
        found.check(folder / f"tables/{name}.parquet", name, config, runs)
    progress = Progress(len(there), f"verify {folder}", "run")
    for done, run in enumerate(there, start=1):
        paths = files.run_files(folder, run)
        paths = {name: paths[name] for name in (CHECKPOINTS, *of_runs)}
        for name, path in paths.items():
            found.check(path, name, config, [run])
        found.add(numbers.run_problems(found.sound(*paths.values()), config, run))
        progress.update(done)
    for name in [name for name in of_runs if name in of_sweep]:
        runs = calibrated if name in ON_DEMAND else named
        parts = found.sound(*(files.run_files(folder, run)[name] for run in runs))
        if len(parts) == len(runs):
            for table in found.sound(folder / f"tables/{name}.parquet"):
                found.add(metadata.collected_problems(table, parts))
    return found
