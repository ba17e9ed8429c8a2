"""Section `figures` of a configuration."""

from transience.settings import Settings, key


class FigureSettings(Settings):
    """Figures. Nothing here changes a table."""

    dpi: int = key("dots per inch", ge=50, le=1200)
    """Resolution of the PNG files (each has a PDF beside it)."""
    smoothing_window: int = key("checkpoints", ge=1)
    """Width of the centred moving average over curves; odd, 1 for none. Raw curves are drawn as
    well."""
