"""A section of the configuration as a variant has it."""

from typing import Any, Protocol

from pydantic import ValidationError

from transience.errors import InputError
from transience.settings import Settings


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
