"""Task diversity M: read, written in paths, shown to a reader; inside a float, inf for q_∞."""

import math

from transience.errors import InputError

ROOT = 1.0  # q_1: the task diversity at which all models are compared


def parse_num_tasks(text: str | int | float) -> float:
    """Read a task diversity M: a whole number of at least 1, or ``inf`` for q_∞."""
    try:
        number = float(str(text).replace(".inf", "inf"))
    except ValueError:
        number = math.nan
    if number == math.inf or (number >= 1 and number == int(number)):
        return number
    raise InputError(f"num_tasks: expected a whole number >= 1 or inf, found {text!r}")


def format_num_tasks(num_tasks: float) -> str:
    """Write a task diversity as it stands in paths: ``8`` or ``inf``."""
    return "inf" if math.isinf(num_tasks) else str(int(num_tasks))


def symbol(num_tasks: float) -> str:
    """M as text for a reader: `8`, or the sign of infinity."""
    return "∞" if math.isinf(num_tasks) else f"{num_tasks:g}"
