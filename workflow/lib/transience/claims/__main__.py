"""Command: the claims with their verdicts."""

from transience.claims import verdicts
from transience.command import flags, provenance
from transience.command.entry import ends_in_one_line
from transience.files.tables import read_metadata, read_table, write_table
from transience.problem.words import in_words_of


class ClaimReads(flags.Reads):
    """What claims depend on, besides tables."""

    family: str = "linear"


def main() -> None:
    """Write the table claims from other tables of a sweep, known by their file names."""
    parser = flags.parser(main.__doc__, ClaimReads)
    flags.add_files(parser, "claims", lists=["tables"])
    args = parser.parse_args()
    tables = {path.stem: read_table(path, path.stem) for path in args.tables}
    table = verdicts.check(tables)
    said = table.select_dtypes("str").columns.drop(["variant", "claim", "verdict"])
    table[said] = table[said].map(lambda text: in_words_of(args.settings.family, text))
    metadata = provenance.of_sweep(args, [read_metadata(args.tables[0])])
    write_table(args.claims, "claims", table, metadata)


if __name__ == "__main__":
    ends_in_one_line(main)
