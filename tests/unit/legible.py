"""What a reader sees of a figure: its texts, and whether they touch."""

import itertools

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import Bbox


def texts(figure: Figure) -> list[Text]:
    """All text that a reader sees: ticks beyond the ends of an axis are made, but not shown."""
    FigureCanvasAgg(figure).draw()
    hidden = set()
    for axes in figure.axes:
        frame = axes.get_window_extent().padded(1)
        for axis, low, high in ((axes.xaxis, frame.x0, frame.x1), (axes.yaxis, frame.y0, frame.y1)):
            for tick in (*axis.get_major_ticks(), *axis.get_minor_ticks()):
                x, y = axes.transData.transform((tick.get_loc(), tick.get_loc()))
                if not low <= (x if axis is axes.xaxis else y) <= high:
                    hidden |= {tick.label1, tick.label2}
    found = figure.findobj(Text)
    return [t for t in found if t.get_visible() and t.get_text().strip() and t not in hidden]


def overlapping(shown: list[Text]) -> list[tuple[str, str]]:
    """Pairs of texts that touch."""
    boxes = [(text.get_text(), text.get_window_extent()) for text in shown]
    pairs = itertools.combinations(boxes, 2)
    return [(a, b) for (a, one), (b, two) in pairs if one.padded(-1).overlaps(two.padded(-1))]


def cut_off(figure: Figure, shown: list[Text]) -> list[str]:
    """Texts that reach beyond the figure, by more than half a pixel."""
    page = figure.bbox.padded(0.5)
    boxes = [(text.get_text(), text.get_window_extent()) for text in shown]
    return [text for text, box in boxes if not _within(box, page)]


def _within(box: Bbox, page: Bbox) -> bool:
    return page.x0 <= box.x0 and box.x1 <= page.x1 and page.y0 <= box.y0 and box.y1 <= page.y1
