"""Typed settings: what each stage's own `settings.py` declares, one class a section.

A field says its type, range and unit, and the text below it what it means. The defaults of a
configuration stand in config/config.yaml. None of these modules imports torch: Snakemake reads all.
"""

from collections.abc import Iterable
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field


class Settings(BaseModel):
    """Values of some keys, checked: nothing converted, nothing unknown, nothing to change."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        allow_inf_nan=False,
        use_attribute_docstrings=True,
        regex_engine="python-re",  # the other knows no look-ahead
    )


def key(unit: str, *, expected: str | None = None, **bounds: Any) -> Any:
    """Field of settings: its unit (`none` for a pure number or name) and pydantic's bounds.

    ``expected`` are words for a message, where the bounds alone would be obscure.
    """
    extra = {"unit": unit} | ({"expected": expected} if expected else {})
    return Field(json_schema_extra=extra, **bounds)


def each_once(values: list) -> list:
    """8 and 8.0 are one value, 1 and true two."""
    seen: dict[Any, Any] = {}
    for value in values:
        same = value if type(value) in (int, float) else repr(value)
        if same in seen:
            raise ValueError(f"{seen[same]} and {value}")
        seen[same] = value
    return values


EachOnce = AfterValidator(each_once)

Step = Annotated[int, Field(ge=0)]
Share = Annotated[float, Field(gt=0, lt=1)]  # of all steps
Diversity = Annotated[int, Field(ge=1)]


def in_steps(moment: int | float, num_steps: int) -> int:
    """A step, or a share of ``num_steps`` as one."""
    return round(moment * num_steps) if isinstance(moment, float) else moment


def main_variant(names: Iterable[str]) -> str:
    """The variant that stands for a sweep: `baseline`, or the first by name where there is none."""
    names = [*names]
    return "baseline" if "baseline" in names else min(names, default="baseline")
