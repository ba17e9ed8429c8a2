"""Flags of an LLC estimate, and the limits beyond which they are raised; see `estimate`."""

FLAGS = {  # of an LLC estimate, in words
    "DIVERGED": "diverged",
    "NEGATIVE": "negative",
    "NOT_LOCAL": "not local",
    "NOT_EQUILIBRATED": "not equilibrated",
    "RHAT": "R-hat",
    "ESS": "effective draws",
}


MAX_LOSS_RISE = 0.05
MAX_HALVES_APART = 3.0  # in standard errors; at 2, one sound checkpoint in twenty has the flag
MAX_RHAT = 1.05
MIN_ESS = 100.0
