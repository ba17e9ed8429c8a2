"""Command: draw one figure of a sweep."""

from transience.command import flags
from transience.command.entry import ends_in_one_line
from transience.figures.draw import FIGURES, draw, save
from transience.figures.settings import FigureSettings
from transience.files.tables import read_table


class FigureReads(flags.Reads):
    """What a figure depends on, besides its tables."""

    figures: FigureSettings
    family: str = "linear"


def main() -> None:
    """Draw one figure of a sweep, as PNG and PDF, from the tables that it reads."""
    parser = flags.parser(main.__doc__, FigureReads)
    parser.add_argument("--figure", choices=FIGURES, required=True)
    parser.add_argument("--variant", help="another one than the settings name")
    flags.add_files(parser, "png", "pdf", lists=["tables"])
    args = parser.parse_args()
    tables = {path.stem: read_table(path, path.stem) for path in args.tables}
    settings = args.settings.figures
    look = {"smoothing_window": settings.smoothing_window, "family": args.settings.family}
    figure = draw(args.figure, tables, variant=args.variant or settings.variant, **look)
    save(figure, [args.pdf, args.png], dpi=settings.dpi)


if __name__ == "__main__":
    ends_in_one_line(main)
