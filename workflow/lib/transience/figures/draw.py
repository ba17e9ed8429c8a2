"""Draw a figure by its name, and save it.

A figure is a function of the tables that it reads and of the smoothing window; it has no side
effects. Its module bears its name and is loaded by it, so that a change of one leaves all others
up to date.
"""

from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path

import matplotlib
import pandas as pd
from matplotlib.figure import Figure

from transience.figures.captions import captions
from transience.figures.settings import MAIN, variant_shown
from transience.figures.style import STYLE
from transience.files.atomic import replacing

COMPARISONS = captions("comparison")
FIGURES = captions() | COMPARISONS | captions("on_demand")
METADATA = {"png": {"Software": None}, "pdf": {"CreationDate": None}}  # no times: the same bytes


def draw(
    name: str,
    tables: Mapping[str, pd.DataFrame],
    *,
    variant: str = MAIN,
    smoothing_window: int = 1,
) -> Figure:
    """Draw a figure from (at least) the tables that it reads: of one variant, or a comparison."""
    read = {table: tables[table] for table in FIGURES[name].reads}
    if name not in COMPARISONS:
        there = {one for frame in read.values() for one in frame["variant"].unique()}
        shown = variant_shown(variant, there)
        read = {table: frame[frame["variant"] == shown] for table, frame in read.items()}
    function = getattr(import_module(f"transience.figures.{name}"), name)
    with matplotlib.rc_context(STYLE):
        return function(read, smoothing_window)


def save(figure: Figure, paths: Sequence[Path], *, dpi: int) -> None:
    """Write the figure in each format (.png, .pdf), each file whole or not at all."""
    for path in paths:
        kind = path.suffix.removeprefix(".")
        with matplotlib.rc_context(STYLE), replacing(path) as temporary:
            figure.savefig(temporary, format=kind, dpi=dpi, metadata=METADATA[kind])
