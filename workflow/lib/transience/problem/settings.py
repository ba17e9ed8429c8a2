"""Section `task` of a configuration."""

from pathlib import Path
from typing import Literal

from transience.settings import Settings, key

# A file there is a family; none is imported, as they import torch.
FOLDER = Path(__file__).parent / "families"
FAMILIES = tuple(sorted({path.stem for path in FOLDER.glob("[!_]*.py")} - {"family"}))


class TaskSettings(Settings):
    """The problem in context: linear regression, y = t.x + noise with x ~ N(0, I_D), or another."""

    family: Literal[FAMILIES] = key("none", default="linear")
    """linear: the paper's. features: y = t.f(x) + noise, f fixed random Fourier features that the
    model has to learn. gaussian_means: x = y m + noise for y = 1 or -1, a task is the mean m."""
    task_dimension: int = key("coordinates", ge=1)
    """D, dimension of a task t and of an input x."""
    num_examples: int = key("examples", ge=2)
    """K, pairs (x, y) in a sequence. The transformer reads 2K tokens."""
    noise_variance: float = key("squared units of y", ge=1e-6, le=1e30)
    """σ², variance (not standard deviation) of the noise on y (on x in gaussian_means). Ridge
    divides by it: much smaller, and its linear system is singular to rounding. Much larger, and
    losses, which are as large, leave the range of single precision."""
