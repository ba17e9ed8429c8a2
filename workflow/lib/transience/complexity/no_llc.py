"""The tables of the LLC where it is off: no rows, so that all that reads them can say so."""

from typing import Annotated, Any

import pandas as pd
from pydantic import Field

from transience.command import flags, provenance
from transience.command.entry import ends_in_one_line
from transience.command.inputs import OF_THE_LLC
from transience.files.tables import read_metadata, schemas, write_table
from transience.settings import Settings


class NoCheckpoints(Settings):
    """The key of `llc` that turns it off."""

    checkpoints: Annotated[list[Any], Field(max_length=0)]


class NoLLCReads(flags.Reads):
    """What it depends on."""

    llc: NoCheckpoints


def main() -> None:
    """Write the tables of the LLC of a sweep where it is off; another table names its runs."""
    parser = flags.parser(main.__doc__, NoLLCReads)
    flags.add_files(parser, "indicators", *OF_THE_LLC)
    args = parser.parse_args()
    metadata = provenance.of_sweep(args, [read_metadata(args.indicators)])
    for name in OF_THE_LLC:
        columns = [column.name for column in schemas()[name].columns]
        write_table(getattr(args, name), name, pd.DataFrame(columns=columns), metadata)


if __name__ == "__main__":
    ends_in_one_line(main)
