"""Check finished results: one line for each problem; reads, and changes nothing.

Run as `python -m transience.verify results/laptop`, or `make verify`; exit code 1 if there is a
problem: a file that is missing, damaged or undeclared, or that disagrees with config.json, with
its own place, or with the files that it came from. These are notes, no problems:

- A run that config.json does not name. Whoever takes a variant, an M or a seed out of a
  configuration leaves its files behind, and no table of the sweep reads them. Unchecked.
- A file beside the report or in figures/ that the workflow does not write. In tables/ or in the
  folder of a run it is a problem, as it would be read together with ours.
- No runs at all, as in results/reference: the tables are then checked against each other.
- Several library versions or devices.

Tables of `make calibrate` need not be there; where they are, they are checked like all.
"""

import argparse
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from transience import command, configuration
from transience.configuration import variant_settings
from transience.errors import InputError
from transience.verify import files, metadata, runs, sweep
from transience.verify.files import AGAIN, CHECKPOINTS, Config, File, Run


@dataclass
class Findings:
    """What was found so far, and the files that could be read, without their contents."""

    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    files: list[File] = field(default_factory=list)
    damaged: set[str] = field(default_factory=set)  # paths in `problems`

    def add(self, lines: Iterable[str]) -> None:
        """Add lines on files of which no problem is known yet: one often brings others about."""
        for line in lines:
            path = line.partition(": expected ")[0]
            if path not in self.damaged:
                self.damaged.add(path)
                self.problems.append(line)

    def read(self, path: Path, name: str) -> File | None:
        """Open a file; None if it is missing, which is told elsewhere, or damaged."""
        if not path.is_file():
            return None
        try:
            file = files.open_file(path, name)
        except InputError as error:
            self.add([f"{error}; delete it and {AGAIN}"])
            return None
        self.files.append(replace(file, content=None))
        return file

    def sound(self, *paths: Path) -> bool:
        """Whether all these files are there and have no problem."""
        return all(path.is_file() and str(path) not in self.damaged for path in paths)

    def sound_of(self, files: dict[str, File]) -> dict[str, File]:
        """Those of some files that have no problem."""
        return {name: file for name, file in files.items() if self.sound(file.path)}


def verify(folder: Path) -> Findings:
    """Check a folder results/<experiment>."""
    found = Findings()
    try:
        config = files.read_config(folder / "config.json")
    except InputError as error:
        found.problems += str(error).splitlines()  # all of one file
        return found
    named = configuration.runs(config)
    there = named if (folder / "runs").is_dir() else []
    if not there:
        found.notes.append(f"{folder}/runs: no such folder; tables are checked without their runs")
    declared = files.declared(folder, config, there)
    found.add(files.missing_lines(declared))
    problems, notes = files.strays(folder, config, named)
    found.add(problems)
    found.notes += notes
    found.add(files.figure_lines(folder, [path for path in declared if path.suffix in files.ENDS]))
    tables = _sweep_tables(found, folder, config)
    for run in there:
        _verify_run(found, folder, config, run, tables)
    found.add(metadata.code_lines(found.files))
    found.add(metadata.origin_lines(tables.values(), found.files))
    probes = [files.run_files(folder, run)["probe"] for run in there]
    probes = probes if found.sound(*probes) else []
    found.add(sweep.computed_lines(found.sound_of(tables), probes, config))
    found.notes += metadata.mixture_lines(folder, found.files)
    return found


def _sweep_tables(found: Findings, folder: Path, config: Config) -> dict[str, File]:
    """Check the tables of the sweep one by one, and return those that can be read by name."""
    tables = {}
    for name in files.OF_SWEEP:
        file = found.read(folder / f"tables/{name}.parquet", name)
        if file:
            on_demand = name in files.ON_DEMAND
            named = (configuration.calibrated_runs if on_demand else configuration.runs)(config)
            found.add(metadata.metadata_lines(file, config, named))
            found.add(metadata.row_lines(file, named))
            tables[name] = file
    return tables


def _verify_run(
    found: Findings, folder: Path, config: Config, run: Run, tables: dict[str, File]
) -> None:
    """Check the files of a run: one by one, with each other, and with the sweep's tables."""
    opened = {name: found.read(path, name) for name, path in files.run_files(folder, run).items()}
    readable = {name: file for name, file in opened.items() if file}
    for name, file in readable.items():
        found.add(metadata.metadata_lines(file, config, [run]))
        if name != CHECKPOINTS:
            found.add(metadata.row_lines(file, [run]))
    found.add(runs.run_lines(found.sound_of(readable), variant_settings(config, run[0]), run))
    found.add(sweep.collected_lines(found.sound_of(readable), tables, run))


def summary(folder: Path, read: Sequence[File]) -> str:
    """One line on results in order: what was checked, and where it comes from."""
    checkpoints = sum(file.name == CHECKPOINTS for file in read)
    folders = {file.path.parent for file in read} - {folder / "tables"}
    commits = metadata.texts(commit[:10] for commit in metadata.all_values(read, "commit"))
    versions = metadata.texts(
        f"{name} {number}"
        for one in metadata.all_values(read, "versions")
        for name, number in one.items()
    )
    return (
        f"{folder}: in order: {len(read) - checkpoints} tables, {checkpoints} checkpoint files, "
        f"{len(folders)} runs; commit {', '.join(commits) or 'unknown'}; {', '.join(versions)}; "
        f"{', '.join(metadata.texts(metadata.all_values(read, 'device')))}"
    )


def main() -> None:
    """Check finished results against their configuration, their metadata and each other."""
    flags = argparse.ArgumentParser(description=main.__doc__, allow_abbrev=False)
    flags.add_argument("folders", nargs="+", type=Path, metavar="results/EXPERIMENT")
    failed = False
    for folder in flags.parse_args().folders:
        found = verify(folder)
        lines = found.problems + [f"note: {note}" for note in found.notes]
        print(*lines, *([] if found.problems else [summary(folder, found.files)]), sep="\n")
        failed |= bool(found.problems)
    sys.exit(int(failed))


if __name__ == "__main__":
    command.run(main)
