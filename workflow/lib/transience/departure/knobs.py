"""Which one setting a variant turns, and how far: what a map of scale is made of."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from transience.settings import Settings, main_variant

SECTIONS = ("task", "model", "training")
LENGTH = "training.num_steps"
WIDTH = "model.width+model.mlp_width"
TOGETHER = (WIDTH,)  # keys that are one knob, if they change by the same factor
NO_MATTER = ("training.log_every", "training.divergence_loss")  # to what a model becomes
MAIN, OTHER = "", "other"  # in the place of a knob

Sections = Mapping[str, Settings]  # task, model and training of a variant
Values = dict[str, float]  # by knob


def knobs(settings: Mapping[str, Sections]) -> dict[str, tuple[str, float]]:
    """Knob of each variant and its value; `MAIN` of those that change nothing, else `OTHER`.

    A knob is the dotted key of a number, or one of `TOGETHER`, whose value is that of the first.
    """
    start = _by_key(settings[main_variant(settings)])
    found = {}
    for variant, sections in settings.items():
        new = _by_key(sections)
        changed = [key for key in new if new[key] != start[key]]
        knob = _knob(changed, start, new)
        value = math.nan if knob in (MAIN, OTHER) else float(new[changed[0]])
        found[variant] = (knob, value)
    return found


def _knob(changed: list[str], start: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    """The knob of keys that are changed."""
    if not changed:
        return MAIN
    name = "+".join(changed)
    if len(changed) > 1 and name not in TOGETHER:
        return OTHER
    if not all(_is_number(values[key]) for key in changed for values in (start, new)):
        return OTHER
    factors = [new[key] / start[key] for key in changed]
    return name if all(math.isclose(one, factors[0]) for one in factors) else OTHER


def values_of(sections: Sections) -> Values:
    """Values of a variant of all that can be a knob."""
    found = _by_key(sections)
    values = {key: float(value) for key, value in found.items() if _is_number(value)}
    return values | {name: values[name.partition("+")[0]] for name in TOGETHER}


def is_plain(sections: Sections) -> bool:
    """Whether a training is the same throughout, so that a part of it is a shorter training."""
    training = sections["training"]
    return not (training.phases or training.branch.variant or training.stop_when.detector)


def _by_key(sections: Sections) -> dict[str, Any]:
    found = {
        f"{name}.{key}": value
        for name in SECTIONS
        for key, value in sections[name].model_dump().items()
    }
    return {key: value for key, value in found.items() if key not in NO_MATTER}


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and value > 0
