"""Draw a figure by its name, and save it.

A figure is a function of the tables that it reads and of the smoothing window; it has no side
effects. Its module bears its name and is loaded by it, so that a change of one leaves all others
up to date.
"""

import io
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path

import matplotlib
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image

from transience.figures.captions import captions
from transience.figures.settings import MAIN, variant_shown
from transience.figures.style import STYLE, fit_keys
from transience.files.atomic import replacing
from transience.problem.words import in_words_of

COMPARISONS = captions("comparison")
FIGURES = captions() | COMPARISONS | captions("on_demand")
NO_TIMES = {"CreationDate": None}  # the same bytes again


def draw(
    name: str,
    tables: Mapping[str, pd.DataFrame],
    *,
    variant: str = MAIN,
    smoothing_window: int = 1,
    family: str = "linear",
) -> Figure:
    """Draw a figure from (at least) the tables that it reads: of one variant, or a comparison.

    Its texts are in the words of a family of problems.
    """
    read = {table: tables[table] for table in FIGURES[name].reads}
    if name not in COMPARISONS:
        there = {one for frame in read.values() for one in frame["variant"].unique()}
        shown = variant_shown(variant, there)
        read = {table: frame[frame["variant"] == shown] for table, frame in read.items()}
    function = getattr(import_module(f"transience.figures.{name}"), name)
    with matplotlib.rc_context(STYLE):
        figure = function(read, smoothing_window)
        _put_into_words_of(family, figure)
        fit_keys(figure)
    return figure


def _put_into_words_of(family: str, figure: Figure) -> None:
    """Change all texts; those of ticks would else be written anew when the figure is drawn."""
    shown = [axes for axes in figure.axes if axes.axison]
    for axis in (axis for axes in shown for axis in (axes.xaxis, axes.yaxis)):
        labels = [label.get_text() for label in axis.get_ticklabels()]
        named = [in_words_of(family, label) for label in labels]
        if named != labels:
            axis.set_ticks(axis.get_ticklocs(), labels=named)
    for text in figure.findobj(Text):
        text.set_text(in_words_of(family, text.get_text()))


def save(figure: Figure, paths: Sequence[Path], *, dpi: int) -> None:
    """Write the figure in each format (.png, .pdf), each file whole or not at all."""
    for path in paths:
        with matplotlib.rc_context(STYLE), replacing(path) as temporary:
            if path.suffix == ".png":
                _save_png(figure, temporary, dpi)
            else:
                figure.savefig(temporary, format="pdf", metadata=NO_TIMES)


def _save_png(figure: Figure, path: Path, dpi: int) -> None:
    """Of at most 256 colours: a third of the bytes, and no eye sees it."""
    whole = io.BytesIO()
    figure.savefig(whole, format="png", dpi=dpi)
    few = Image.open(whole).convert("RGB").quantize(256, dither=Image.Dither.NONE)
    few.save(path, format="png", optimize=True, dpi=(dpi, dpi))
