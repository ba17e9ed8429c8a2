"""Section `figures` of a configuration."""

from collections.abc import Iterable

from transience.settings import Settings, key, main_variant

MAIN = "main"


class FigureSettings(Settings):
    """Figures. Nothing here changes a table."""

    dpi: int = key("dots per inch", ge=50, le=1200)
    """Resolution of the PNG files (each has a PDF beside it)."""
    smoothing_window: int = key("checkpoints", ge=1)
    """Width of the centred moving average over curves; odd, 1 for none. Raw curves are drawn as
    well."""
    variant: str = key("none")
    """Variant that figures/ and the report show first: its name, or main for `baseline`, or the
    first by name where there is none. Figures of the others are in figures/<variant>/."""


def variant_shown(chosen: str, names: Iterable[str]) -> str:
    """The variant of these names that is meant by `FigureSettings.variant`."""
    names = [*names]
    if chosen != MAIN or chosen in names:
        return chosen
    return main_variant(names)
