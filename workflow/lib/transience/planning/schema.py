"""The keys of a configuration: its mistakes in words, and the JSON schema for editors.

A mistake is one line: key, what was expected, what was found, and what to write instead where we
can tell. pydantic finds it, and the JSON schema that pydantic makes of the same types has the
words. Run as `python -m transience.planning.schema` it prints the schema that editors check with.
"""

import copy
import json
import math
from collections.abc import Iterator
from difflib import get_close_matches
from functools import cache
from typing import Any

import yaml
from pydantic import ValidationError

from transience.planning.settings import Configuration
from transience.planning.yaml_files import DEFAULTS, load
from transience.settings import Settings, each_once

Path = tuple[str | int, ...]
Part = dict[str, Any]  # of a JSON schema
Problem = tuple[str, Path]  # a line, and the path of the value that is wrong, or () for none
NAME = "[key]"  # in a path of pydantic: the name of what follows, such as a variant's
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


def sections() -> dict[str, type[Settings]]:
    """The sections of keys, in the order of the file; `experiment` and `variants` are none."""
    types = {name: field.annotation for name, field in Configuration.model_fields.items()}
    return {name: t for name, t in types.items() if isinstance(t, type) and issubclass(t, Settings)}


def problems(config: Any) -> list[Problem]:
    """Everything that is wrong with a configuration by itself, in the order of its sections."""
    order = {name: number for number, name in enumerate(Configuration.model_fields)}
    wrong = sorted(_wrong(config), key=lambda found: order.get(next(iter(found[1]), None), -1))
    return list(dict.fromkeys(_in_words(config, *found) for found in wrong))


def _wrong(config: Any) -> Iterator[tuple[str, Path, Any]]:
    """Kind, location and value of what pydantic refuses, and of what it would let pass."""
    try:
        Configuration.model_validate(config)
    except ValidationError as error:
        for found in error.errors(include_url=False):
            kind, location = found["type"], found["loc"]
            has_default = kind == "missing" and location not in (("experiment",), ("sweep",))
            if not has_default and kind != "value_error":  # pydantic's `each_once` is told below
                yield kind, location, found["input"]
    for location, part, value in _known(config):
        if type(value) is int and abs(value) >= 2**63 and "integer" in _kinds(part):
            yield "too_large", location, value
        elif isinstance(value, list) and part.get("type") == "array":
            try:
                each_once(value)
            except ValueError as error:
                yield "repeated", location, str(error)


def _known(values: Any, path: Path = ()) -> Iterator[tuple[Path, Part, Any]]:
    """Everything below a path that the schema has a place for, with its part of the schema."""
    inner = {dict: lambda: values.items(), list: lambda: enumerate(values)}.get(type(values))
    for step, value in inner() if inner else ():
        place, part = _place((*path, step))
        if len(place) > len(path):
            yield place, part, value
            yield from _known(value, place)


# The JSON schema


@cache
def _schema() -> Part:
    whole = Configuration.model_json_schema()
    return _plain(whole, whole.pop("$defs"))


def _plain(part: Any, types: dict[str, Part]) -> Any:
    """pydantic's schema without references, titles and required keys; texts on one line."""
    if isinstance(part, list):
        return [_plain(one, types) for one in part]
    if not isinstance(part, dict):
        return " ".join(part.split()) if isinstance(part, str) else part
    if "$ref" in part:
        part = types[part["$ref"].split("/")[-1]] | {k: part[k] for k in part if k != "$ref"}
    return {key: _plain(part[key], types) for key in part if key not in ("title", "required")}


def _place(location: Path) -> tuple[Path, Part]:
    """As much of pydantic's location as the schema has a place for, and its part of the schema.

    An unknown key has none, nor has the choice between two types, of which pydantic names each.
    """
    part, path = _schema(), ()
    for step in location:
        if "items" in part and isinstance(step, int):
            part = part["items"]
        elif "patternProperties" in part:
            if location[-1] == NAME:
                return (*path, NAME), part["propertyNames"]
            (part,) = part["patternProperties"].values()
        elif step in part.get("properties", {}):
            part = part["properties"][step]
        else:
            break
        path += (step,)
    return path, part


def editor_schema() -> Part:
    """JSON schema of a configuration file, with the defaults of config/config.yaml."""
    whole, defaults = copy.deepcopy(_schema()), load(DEFAULTS)
    for name, part in whole["properties"].items():
        if name in sections():
            for key, leaf in part["properties"].items():
                leaf["default"] = defaults[name][key]
        else:
            part["default"] = defaults[name]
    (overrides,) = whole["properties"]["variants"]["patternProperties"].values()
    overrides["properties"] = {
        name: {"$ref": f"#/properties/{name}"} for name in overrides["properties"]
    }
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **whole}


# Words


def _in_words(config: Any, kind: str, location: Path, value: Any) -> Problem:
    place, part = _place(location)
    if kind in ("extra_forbidden", "invalid_key"):
        key = location[-1] if kind == "extra_forbidden" else value  # which may be true, or null
        return _unknown(config, place, str(key), list(part["properties"]))
    path = _of_value(place)
    items = "".join(_within(step) for step in place[len(path) :])
    key = ".".join(str(step) for step in path if step != NAME) or "configuration"
    if kind == "repeated":
        return f"{key}: expected each value once; found {value}", path
    found = "none" if kind == "missing" else _found(value) + _remedy(place, part, value)
    line = f"{key}{items}: expected {_expected(part)}; found {found}"
    return line, () if kind == "missing" or place[-1:] == (NAME,) else path


def _of_value(place: Path) -> Path:
    """Path of the value of a key: of a whole list or group of keys, not of what stands in it."""
    return place[: 4 if place[:1] == ("variants",) else 2]


def _within(step: str | int) -> str:
    """A step from a value into it, in words."""
    return f", item {step + 1}" if isinstance(step, int) else f", {step}"


def _unknown(config: Any, path: Path, key: str, known: list[str]) -> Problem:
    """A typo puts the key that was meant in doubt, so that is the path given."""
    elsewhere = [f"{name}.{key}" for name, keys in sections().items() if key in keys.model_fields]
    near = [] if elsewhere else get_close_matches(key, known, 1)
    if near or elsewhere:
        advice = f"did you mean {' or '.join(near or elsewhere)}?"
    else:
        advice = f"expected one of {', '.join(known)}"
    for step in path:
        config = config[step] if isinstance(config, list) else config.get(step, {})
    meant = _of_value((*path, *near)) if near and near[0] not in config else ()
    place = ".".join(map(str, _of_value((*path, key))))
    within = "".join(_within(step) for step in (*path, key)[len(_of_value((*path, key))) :])
    return f"{place}{within}: unknown key; {advice}", meant


def _expected(part: dict[str, Any]) -> str:
    """What a part of the schema asks for: `an integer of at least 1`."""
    if "expected" in part:
        return part["expected"]
    if "const" in part:
        return part["const"]
    if "enum" in part:
        return "one of " + ", ".join(filter(None, part["enum"]))
    if "anyOf" in part:
        choices = (" or ".join(one.get("enum", [])) or _expected(one) for one in part["anyOf"])
        return " or ".join(choices)
    if part.get("type") == "array":
        number = " of one or more" if "minItems" in part else ""
        return f"a list{number}, each {_expected(part['items'])}"
    bounds = [f"{words} {part[bound]}" for bound, words in BOUNDS.items() if bound in part]
    return " ".join([KINDS[part.get("type", "object")], " and ".join(bounds)]).strip()


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


def _kinds(part: Part) -> set[str | None]:
    return {choice.get("type") for choice in part.get("anyOf", [part])}


def _remedy(place: Path, part: Part, value: Any) -> str:
    """What to write instead, where the value shows what was meant and that would do."""
    kinds, written = _kinds(part), None
    if isinstance(value, str | float) and kinds & {"integer", "number"}:
        written = _as_yaml_number(str(value), integer="integer" in kinds)
    elif "array" in kinds and not isinstance(value, list | dict):
        written = f"[{value}]"
    elif "string" in kinds and not isinstance(value, bool | None):
        written = f'"{value}"'
    would_do = written is not None and not _is_wrong(place, yaml.safe_load(written))
    return f"; write {written}" if would_do else ""


def _is_wrong(place: Path, value: Any) -> bool:
    place = tuple(0 if isinstance(step, int) else step for step in place)
    *parents, last = place
    config = [value] if last == 0 else {value: {}} if last == NAME else {last: value}
    for step in reversed(parents):
        config = [config] if step == 0 else {step: config}
    wrong = (_place(location)[0] for _, location, _ in _wrong(config))
    return any(path[: len(place)] == place for path in wrong)


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


if __name__ == "__main__":
    print(json.dumps(editor_schema(), indent=1, ensure_ascii=False))
