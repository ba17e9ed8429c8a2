"""The schema of the configuration, and its errors in words.

An error is one line: key, what was expected, what was found, and what to write instead where we
can tell. The words come from the schema itself, so they cannot contradict it.
"""

import math
import sys
from collections.abc import Iterator
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from re import fullmatch
from typing import Any

import yaml
from jsonschema import Draft202012Validator, ValidationError, validators

SCHEMA = Path(__file__).parents[2] / "schemas" / "config.schema.yaml"
KINDS = {
    "array": "a list",
    "boolean": "true or false",
    "integer": "an integer",
    "number": "a number",
    "object": "a section of keys",
    "string": "text",
}
BOUNDS = {
    "minimum": "of at least",
    "exclusiveMinimum": "above",
    "maximum": "at most",
    "exclusiveMaximum": "below",
}


@cache
def schema() -> dict[str, Any]:
    """The content of config.schema.yaml."""
    return yaml.safe_load(SCHEMA.read_text(encoding="utf-8"))


def sections() -> dict[str, dict[str, Any]]:
    """Keys of every section with the schema of each; `variants` is no section of keys."""
    parts = schema()["properties"].items()
    return {name: part["properties"] for name, part in parts if "properties" in part}


def problems(config: Any) -> Iterator[tuple[str, tuple]]:
    """One line for each problem, and the path of the value that is wrong, or () for none."""
    for error in _validator().iter_errors(config):
        path, rule = tuple(error.absolute_path), error.validator
        if rule == "additionalProperties":
            yield from _unknown_keys(path, error.instance, list(error.schema["properties"]))
        elif rule == "required":
            for key in [key for key in error.validator_value if key not in error.instance]:
                yield f"{key}: expected {_expected(schema()['properties'][key])}; found none", ()
        elif rule == "uniqueItems":
            yield f"{_dotted(path)}: expected each value once; found {error.message}", ()
        else:
            found = _found(error.instance) + _remedy(error.schema, error.instance)
            line = f"{_dotted(path)}: expected {_expected(error.schema)}; found {found}"
            yield line, () if "propertyNames" in error.absolute_schema_path else path


def _dotted(path: tuple) -> str:
    """A path in words: `sweep.num_tasks, item 2`."""
    parts = (f", item {part + 1}" if type(part) is int else f".{part}" for part in path)
    return "".join(parts).lstrip(".") or "configuration"


# A validator stricter than JSON Schema


@cache
def _validator() -> Draft202012Validator:
    """One for which 8.0 is no integer, .nan and .inf are no numbers, and `$` is the very end."""
    types = Draft202012Validator.TYPE_CHECKER.redefine_many(
        {
            "integer": lambda _, x: type(x) is int and abs(x) < 2**63,
            "number": lambda _, x: type(x) in (int, float) and abs(x) <= sys.float_info.max,
        }
    )
    rules = {"uniqueItems": _unique_items, "pattern": _whole_pattern}
    return validators.extend(Draft202012Validator, rules, type_checker=types)(schema())


def _unique_items(_: Any, __: bool, values: Any, ___: Any) -> Iterator[ValidationError]:
    """In linear time, with the values in the message: 8 and 8.0 are one value, 1 and true two."""
    first: dict[Any, Any] = {}
    for value in values if isinstance(values, list) else []:
        key = value if type(value) in (int, float) else repr(value)
        if key in first:
            yield ValidationError(f"{first[key]} and {value}")
        first.setdefault(key, value)


def _whole_pattern(_: Any, pattern: str, text: Any, __: Any) -> Iterator[ValidationError]:
    if isinstance(text, str) and not fullmatch(pattern, text):
        yield ValidationError(f"{text!r} does not match")


# Words


def _unknown_keys(path: tuple, section: dict, known: list[str]) -> Iterator[tuple[str, tuple]]:
    """A typo puts the key that was meant in doubt, so that is the path given."""
    for key in section:
        if key in known:
            continue
        elsewhere = [f"{name}.{key}" for name, keys in sections().items() if key in keys]
        near = [] if elsewhere else get_close_matches(str(key), known, 1)
        if near or elsewhere:
            advice = f"did you mean {' or '.join(near or elsewhere)}?"
        else:
            advice = f"expected one of {', '.join(known)}"
        meant = (*path, *near) if near and near[0] not in section else ()
        yield f"{_dotted((*path, str(key)))}: unknown key; {advice}", meant


def _expected(part: dict[str, Any]) -> str:
    """What a part of the schema asks for: `an integer of at least 1`."""
    if "expected" in part:
        return part["expected"]
    if "const" in part:
        return part["const"]
    if "enum" in part:
        return "one of " + ", ".join(part["enum"])
    if "anyOf" in part:
        return " or ".join(map(_expected, part["anyOf"]))
    if part["type"] == "array":
        return f"a list of one or more, each {_expected(part['items'])}"
    bounds = [f"{words} {part[bound]}" for bound, words in BOUNDS.items() if bound in part]
    return " ".join([KINDS[part["type"]], " and ".join(bounds)]).strip()


def _found(value: Any) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return "a section of keys"
    kind = {str: "the text ", list: "the list "}.get(type(value), "")
    text = repr(value) if kind else str(value)
    return kind + (text if len(text) <= 60 else f"{text[:57]}...")


def _remedy(part: dict[str, Any], value: Any) -> str:
    """What to write instead, where the value shows what was meant."""
    kinds = {choice.get("type") for choice in part.get("anyOf", [part])}
    written = None
    if isinstance(value, str | float) and kinds & {"integer", "number"}:
        written = _as_yaml_number(str(value), integer="integer" in kinds)
    elif "array" in kinds and _validator().evolve(schema=part["items"]).is_valid(value):
        written = f"[{value}]"
    elif "string" in kinds and "pattern" in part and fullmatch(part["pattern"], str(value)):
        written = None if isinstance(value, bool | None) else f'"{value}"'
    return f"; write {written}" if written else ""


def _as_yaml_number(text: str, *, integer: bool) -> str | None:
    """A number as YAML 1.1 reads it: 1e-3 is text there, 1.0e-3 a number."""
    try:
        value = float(text)
    except ValueError:
        return None
    if integer or not math.isfinite(value):
        return str(int(value)) if integer and value.is_integer() else None
    mantissa, _, exponent = text.strip().lower().partition("e")
    mantissa += "" if "." in mantissa else ".0"
    return f"{mantissa}e{int(exponent):+d}" if exponent else mantissa
