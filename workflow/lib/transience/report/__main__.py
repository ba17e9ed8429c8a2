"""Command: the report of a sweep."""

import json
from pathlib import Path

from transience.command import flags
from transience.command.entry import ends_in_one_line
from transience.errors import InputError
from transience.files.atomic import replacing
from transience.files.tables import read_metadata, read_table
from transience.report.origins import origins, stage_times
from transience.report.page import render


def main() -> None:
    """Write the report page of a sweep; tables and figures are known by their file names."""
    parser = flags.parser(main.__doc__)
    flags.add_files(parser, "configuration", "report", lists=["tables", "figures"])
    parser.add_argument("--benchmarks-dir", type=Path, help="adds the time by stage")
    args = parser.parse_args()
    tables = {path.stem: read_table(path, path.stem) for path in args.tables}
    metadata = {path.stem: read_metadata(path) for path in args.tables}
    figures = {path.stem: _png(path) for path in args.figures}
    page = render(
        tables,
        figures,
        json.loads(args.configuration.read_text(encoding="utf-8")),
        provenance=origins(metadata, tables),
        stages=stage_times(args.benchmarks_dir) if args.benchmarks_dir else (),
    )
    with replacing(args.report) as temporary:
        temporary.write_text(page, encoding="utf-8")


def _png(path: Path) -> bytes:
    if not path.is_file():
        raise InputError(f"{path}: expected a figure, found no such file")
    return path.read_bytes()


if __name__ == "__main__":
    ends_in_one_line(main)
