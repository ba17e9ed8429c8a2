"""At which steps a training keeps its weights, and how many steps these are."""

import math
from functools import cache


def schedule(num_steps: int, *, linear_every: int, logarithmic_count: int) -> list[int]:
    """Return the steps at which checkpoints are taken, ascending, with 0 and the last step T.

    {0, e, 2e, …} ∪ {⌊T^(j/(N-1))⌋ : j < N} ∪ {T} (second-hand source of the paper's schedule).
    Step s is the state after s optimiser steps.
    """
    linear = range(0, num_steps + 1, linear_every)
    last = max(logarithmic_count - 1, 1)
    # The factor makes 1000^(1/3) = 9.999999999999998 in floats the 10 that it is.
    logarithmic = (int(num_steps ** (j / last) * (1 + 1e-12)) for j in range(logarithmic_count))
    return sorted({*linear, *logarithmic, num_steps})


@cache
def num_checkpoints(num_steps: int, linear_every: int, logarithmic_count: int) -> int:
    """|C|, the length of `schedule`, without listing the steps."""
    powers = (j / (logarithmic_count - 1) for j in range(logarithmic_count))
    logarithmic = {int(num_steps**power * (1 + 1e-12)) for power in powers}
    linear = 1 + math.ceil(num_steps / linear_every)
    return linear + sum(step % linear_every != 0 and step != num_steps for step in logarithmic)
