"""Check finished results: one line for each problem; reads, and changes nothing.

Run as `python -m transience.verify results/laptop`, or `make verify`; exit code 1 if there is a
problem. `transience.verify.inspection` says what is one, and what is a note.
"""

import argparse
import sys
from pathlib import Path

from transience.command.entry import ends_in_one_line
from transience.verify.files import CHECKPOINTS
from transience.verify.inspection import verify


def main() -> None:
    """Check finished results against their configuration, their metadata and each other."""
    flags = argparse.ArgumentParser(description=main.__doc__, allow_abbrev=False)
    flags.add_argument("folders", nargs="+", type=Path, metavar="results/EXPERIMENT")
    failed = False
    for folder in flags.parse_args().folders:
        found = verify(folder)
        problems = found.problems.values()
        for line in [*problems, *(f"note: {note}" for note in found.notes)]:
            print(line)
        if not problems:
            checkpoints = sum(file.name == CHECKPOINTS for file in found.files)
            count = f"{len(found.files) - checkpoints} tables, {checkpoints} checkpoint files"
            print(f"{folder}: in order: {count}")
        failed |= bool(problems)
    sys.exit(int(failed))


if __name__ == "__main__":
    ends_in_one_line(main)
