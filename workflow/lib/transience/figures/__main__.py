"""Draw one figure of a sweep.

Run as `python -m transience.figures --figure figure1 --tables-dir DIR --output figure1.png`.
"""

from pathlib import Path

import matplotlib
from matplotlib.figure import Figure

from transience import command
from transience.figures import FIGURES, READS, draw
from transience.figures.style import STYLE
from transience.tables import read_table, replacing

# No times, so that the same tables give the same bytes.
METADATA = {"png": {"Software": None}, "pdf": {"CreationDate": None}}


def save(figure: Figure, output: Path, *, dpi: int) -> None:
    """Write the figure as PNG, and as PDF beside it, each whole or not at all."""
    for kind in ("pdf", "png"):
        with matplotlib.rc_context(STYLE), replacing(output.with_suffix(f".{kind}")) as temporary:
            figure.savefig(temporary, format=kind, dpi=dpi, metadata=METADATA[kind])


def main() -> None:
    """Read the flags and tables, draw, save."""
    flags = command.parser("Draw one figure of a sweep, as PNG and PDF.")
    flags.add_argument("--figure", choices=FIGURES, required=True)
    flags.add_argument("--tables-dir", type=Path, required=True)
    flags.add_argument("--output", type=Path, required=True, help="path of the PNG")
    args = flags.parse_args()
    settings = args.settings["figures"]
    tables = {
        name: read_table(args.tables_dir / f"{name}.parquet", name) for name in READS[args.figure]
    }
    figure = draw(args.figure, tables, smoothing_window=settings["smoothing_window"])
    save(figure, args.output, dpi=settings["dpi"])


if __name__ == "__main__":
    command.run(main)
