"""Flags of an LLC estimate, and the limits beyond which they are raised; see `estimate`."""

FLAGS = {  # of an LLC estimate, in words
    "DIVERGED": "diverged",
    "NEGATIVE": "negative",
    "NOT_LOCAL": "not local",
    "NOT_EQUILIBRATED": "not equilibrated",
    "RHAT": "R-hat",
    "ESS": "effective draws",
    "ABOVE_HALF_P": "above P/2",
    "STIFF": "step too large",
    "ACCEPTANCE": "low acceptance",
    "UNCHECKED": "unchecked",
}

MAX_LOSS_RISE = 0.08  # found: up to here 4 nβ at the same h* moves λ̂ by 6 %, at 0.11 by 17 %
MAX_HALVES_APART = 3.0  # in standard errors; at 2, one sound checkpoint in twenty has the flag
MAX_RHAT = 1.05
MIN_ESS = 50.0  # the mean then has a seventh of the standard deviation of the draws
# of ε (nβ h + γ) / 4, h the largest curvature left by the preconditioner: the relative excess of
# that direction's variance
MAX_STIFFNESS = 0.15
MIN_ACCEPTANCE = 0.5
