"""What a variant has of its own: sections of the configuration, a control, a course."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from pydantic import ValidationError

from transience.errors import InputError
from transience.settings import Settings
from transience.training.settings import TrainingSettings


class Varied(Protocol):
    """What a command reads that knows all variants: sections, and what each has of its own."""

    variants: dict[str, dict[str, Any]]  # sections by variant, with its own values only


def variant_section(settings: Varied, variant: str, section: str) -> Settings:
    """A section with the variant's own values in it, of the section's class.

    InputError names the first key of the variant's that is not as the class wants it.
    """
    whole: Settings = getattr(settings, section)
    own = settings.variants[variant].get(section, {})
    try:
        return type(whole).model_validate(whole.model_dump(exclude_unset=True) | own)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, ("variants", variant, section, *first["loc"])))
        raise InputError(f"{key}: {first['msg']}; found {first['input']!r}") from None


def control_of(variant: str, settings: Mapping[str, TrainingSettings], main: str) -> str:
    """Variant that a variant is compared with: where its branches begin, or the main one."""
    root = variant
    while parent := settings[root].branch.variant:
        root = parent
    return main if root == variant else root


def last_in_common(
    steps: Sequence[int] | np.ndarray,
    values: np.ndarray,
    other_steps: Sequence[int] | np.ndarray,
    other_values: np.ndarray,
) -> int:
    """Last step of both of two runs up to which they have the same values, (C, ...) and (D, ...).

    Their first common step, if these differ at once.
    """
    common, mine, theirs = np.intersect1d(steps, other_steps, return_indices=True)
    equal = values[mine] == other_values[theirs]
    same = equal.reshape(len(common), -1).all(axis=1)
    return int(common[max(0, same.argmin() - 1) if not same.all() else -1])
