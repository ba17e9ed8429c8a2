"""The grid of settings around the configured one, and how stiff a direction may be.

What each variation is for is said in `calibrate`.
"""

import math

from transience.complexity.limits import MAX_STIFFNESS
from transience.complexity.settings import LLCSettings
from transience.errors import InputError

CONFIGURED = "configured"
FOLD = 4  # by which nβ and h* are raised and lowered


def grid(configured: LLCSettings) -> dict[str, LLCSettings]:
    """The configured section `llc` and its variations by name, see `calibrate`.

    InputError if γ is 0, which leaves no h* to hold fixed.
    """
    epsilon, nbeta, gamma = configured.step_size, configured.nbeta, configured.gamma
    if gamma <= 0:
        raise InputError(f"llc.gamma: expected a number above 0 to calibrate, found {gamma}")
    # the curvature nβ h + γ at which ε is just small enough, with γ of fourfold_h in its place
    stiffest = 4 * MAX_STIFFNESS / epsilon + (FOLD - 1) * gamma
    variations = {
        CONFIGURED: (epsilon, nbeta, gamma),
        "half_step_size": (epsilon / 2, nbeta, gamma),
        "quarter_nbeta": (epsilon * FOLD, nbeta / FOLD, gamma / FOLD),
        "fourfold_nbeta": (epsilon / FOLD, nbeta * FOLD, gamma * FOLD),
        "quarter_h": (epsilon, nbeta, gamma / FOLD),
        "fourfold_h": (4 * MAX_STIFFNESS / stiffest, nbeta, gamma * FOLD),
    }
    return {name: _vary(configured, *values) for name, values in variations.items()}


def _vary(configured: LLCSettings, epsilon: float, nbeta: float, gamma: float) -> LLCSettings:
    slower = max(1.0, configured.step_size * configured.gamma / (epsilon * gamma))
    burn_in = math.ceil(slower * configured.num_burn_in)
    scales = {"step_size": epsilon, "nbeta": nbeta, "gamma": gamma}
    return configured.model_copy(update=scales | {"num_burn_in": burn_in})


def step_size_bound(curvature: float, *, nbeta: float, gamma: float) -> float:
    """The ε at which the stiffness of a curvature h is `MAX_STIFFNESS`."""
    return 4 * MAX_STIFFNESS / (nbeta * curvature + gamma)
