"""Command: the claims with their verdicts."""

from transience.claims import verdicts
from transience.command import flags, provenance
from transience.command.entry import ends_in_one_line
from transience.files.tables import read_metadata, read_table, write_table


def main() -> None:
    """Write the table claims from other tables of a sweep, known by their file names."""
    parser = flags.parser(main.__doc__)
    flags.add_files(parser, "claims", lists=["tables"])
    args = parser.parse_args()
    tables = {path.stem: read_table(path, path.stem) for path in args.tables}
    metadata = provenance.of_sweep(args, [read_metadata(args.tables[0])])
    write_table(args.claims, "claims", verdicts.check(tables), metadata)


if __name__ == "__main__":
    ends_in_one_line(main)
