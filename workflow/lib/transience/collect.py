"""Stage 4: collect the tables of runs into one table of the sweep."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from transience.command import flags
from transience.command.entry import ends_in_one_line
from transience.files.metadata import check_runs, merge_metadata
from transience.files.tables import read_table, schemas, write_table


def main() -> None:
    """Collect the tables of runs into one table of the sweep."""
    parser = flags.parser(main.__doc__)
    of_runs = [name for name, schema in schemas().items() if "runs" in schema.files]
    parser.add_argument("--table", choices=of_runs, required=True)
    flags.add_files(parser, "output", lists=["inputs"])
    args = parser.parse_args()
    write_table(args.output, args.table, *collect(args.inputs, args.table))


def collect(paths: Sequence[Path], table_name: str) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Concatenate the tables of runs, and merge their metadata; see `check_runs` for errors."""
    metadata = check_runs(paths)
    frame = pd.concat([read_table(path, table_name) for path in paths], ignore_index=True)
    return frame, merge_metadata(metadata)


if __name__ == "__main__":
    ends_in_one_line(main)
