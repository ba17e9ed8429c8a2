"""Section `task` of a configuration."""

from transience.settings import Settings, key


class TaskSettings(Settings):
    """In-context linear regression, y = t.x + noise with x ~ N(0, I_D)."""

    task_dimension: int = key("coordinates", ge=1)
    """D, dimension of a task t and of an input x."""
    num_examples: int = key("examples", ge=2)
    """K, pairs (x, y) in a sequence. The transformer reads 2K tokens."""
    noise_variance: float = key("squared units of y", ge=1e-6, le=1e30)
    """σ², variance (not standard deviation) of the noise on y. Ridge divides by it: much smaller,
    and its linear system is singular to rounding. Much larger, and losses, which are as large,
    leave the range of single precision."""
