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
from transience.figures.style import STYLE
from transience.files.atomic import replacing
from transience.files.selections import main_variant

FIGURES = captions() | captions("on_demand")
NO_RUNS = pd.DataFrame({"variant": ["baseline"]})  # of a figure whose tables are all empty
METADATA = {"png": {"Software": None}, "pdf": {"CreationDate": None}}  # no times: the same bytes


def draw(name: str, tables: Mapping[str, pd.DataFrame], *, smoothing_window: int = 1) -> Figure:
    """Draw a figure of the sweep's main variant from (at least) the tables that it reads."""
    read = {table: tables[table] for table in FIGURES[name].reads}
    main = main_variant(next((frame for frame in read.values() if len(frame)), NO_RUNS))
    read = {table: frame[frame["variant"] == main] for table, frame in read.items()}
    function = getattr(import_module(f"transience.figures.{name}"), name)
    with matplotlib.rc_context(STYLE):
        return function(read, smoothing_window)


def save(figure: Figure, paths: Sequence[Path], *, dpi: int) -> None:
    """Write the figure in each format (.png, .pdf), each file whole or not at all."""
    for path in paths:
        kind = path.suffix.removeprefix(".")
        with matplotlib.rc_context(STYLE), replacing(path) as temporary:
            figure.savefig(temporary, format=kind, dpi=dpi, metadata=METADATA[kind])
