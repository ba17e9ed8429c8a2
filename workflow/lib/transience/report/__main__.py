"""Command: the report of a sweep."""

import json
from pathlib import Path

from transience.command import flags
from transience.command.entry import ends_in_one_line
from transience.files.atomic import replacing
from transience.files.tables import read_metadata, read_table
from transience.report.missing import missing_figures
from transience.report.origins import origins, stage_times
from transience.report.page import render


def main() -> None:
    """Write the report page of a sweep; tables and figures are known by their file names.

    Figures stand in the folder `figures` beside the report.

    A figure that is not there is named at its head, with the log that says why.
    """
    parser = flags.parser(main.__doc__)
    flags.add_files(parser, "configuration", "report", lists=["tables", "figures"])
    parser.add_argument("--benchmarks-dir", type=Path, help="adds the time by stage")
    parser.add_argument("--figure-logs", type=Path, help="folder of the logs of figures")
    parser.add_argument("--not-drawn", nargs="*", default=[], help="figures that are out of date")
    args = parser.parse_args()
    tables = {path.stem: read_table(path, path.stem) for path in args.tables}
    metadata = {path.stem: read_metadata(path) for path in args.tables}
    folder = args.report.parent / "figures"
    named = {path.relative_to(folder).with_suffix("").as_posix(): path for path in args.figures}
    there = {name: path for name, path in named.items() if path.is_file()}
    figures = {name: there[name].read_bytes() for name in there.keys() - {*args.not_drawn}}
    page = render(
        tables,
        figures,
        json.loads(args.configuration.read_text(encoding="utf-8")),
        missing=missing_figures([*named], figures, args.figure_logs),
        provenance=origins(metadata, tables),
        stages=stage_times(args.benchmarks_dir) if args.benchmarks_dir else (),
    )
    with replacing(args.report) as temporary:
        temporary.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    ends_in_one_line(main)
