"""The figures of the page: of the variant that is shown, of the others, and of all together.

A figure goes by its place below `figures`, without the ending: `figure1`, and `wide/figure1` if it
is of another variant than the one shown.
"""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from transience.figures.captions import Caption, captions, filled, of_sweep
from transience.figures.settings import variant_shown
from transience.planning.configuration import variant_settings

MOST_EMBEDDED = 7_000_000  # bytes of PNG in a page, which become a third more


@dataclass(frozen=True)
class Picture:
    """One figure of one variant, or of all (None)."""

    place: str  # below `figures`, without the ending
    variant: str | None
    caption: Caption
    source: str | None  # of the image: its data, or where it is from the page; None: there is none
    missing: str


def pictures(
    config: dict[str, Any], figures: Mapping[str, bytes], missing: Mapping[str, str]
) -> dict[str, list[Picture]]:
    """Pictures by the name of the figure, that of the variant shown first.

    All are embedded if they are of no more than MOST_EMBEDDED bytes. Else those of other variants
    are linked: the page shows them where it stands beside the folder `figures`.
    """
    embed_all = sum(map(len, figures.values())) <= MOST_EMBEDDED
    shown = variant_shown(config["figures"]["variant"], config["variants"])
    found: dict[str, list[Picture]] = {name: [] for name in captions("comparison") | captions()}
    for place in of_sweep(config):
        variant, _, name = place.rpartition("/")
        png, embed = figures.get(place), embed_all or not variant
        source = None if png is None else _data(png) if embed else f"figures/{place}.png"
        caption = filled(name, variant_settings(config, variant or shown))
        of = (variant or shown) if name in captions() else None
        found[name].append(Picture(place, of, caption, source, missing.get(place, "")))
    return {name: each for name, each in found.items() if each}


def _data(png: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"
