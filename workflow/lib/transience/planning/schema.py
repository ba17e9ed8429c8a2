"""The keys of a configuration, from the settings of all stages, and its mistakes in words.

A mistake is one line: key, what was expected, what was found, and what to write instead where we
can tell. The words come from the types themselves, so they cannot contradict them. Run as
`python -m transience.planning.schema` it prints the JSON schema that editors check files with.
"""

import json
import math
from collections.abc import Iterator
from difflib import get_close_matches
from functools import cache
from typing import Annotated, Any

import yaml
from pydantic import ConfigDict, TypeAdapter, ValidationError

from transience.planning.settings import MAY_VARY, Configuration, Variants
from transience.planning.yaml_files import DEFAULTS
from transience.settings import Settings, each_once

Path = tuple[str | int, ...]
Problem = tuple[str, Path]  # a line, and the path of the value that is wrong, or () for none
STRICT = ConfigDict(strict=True, allow_inf_nan=False, regex_engine="python-re")
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


def problems(config: Any) -> Iterator[Problem]:
    """Everything that is wrong with a configuration by itself, in the order of its keys."""
    if not isinstance(config, dict):
        yield f"configuration: expected {KINDS['object']}; found {_found(config)}", ()
        return
    if "experiment" not in config:
        yield (
            f"experiment: expected {_expected(_part(Configuration, 'experiment'))}; found none",
            (),
        )
    if "sweep" not in config:
        yield f"sweep: expected {KINDS['object']}; found none", ()
    yield from _unknown((), config, list(Configuration.model_fields))
    for name, value in config.items():
        if name in sections():
            yield from _section((name,), value, sections()[name])
        elif name == "variants":
            yield from _variants(value)
        elif name in Configuration.model_fields:
            yield from _value((name,), value, Configuration)


def _section(path: Path, values: Any, keys: type[Settings]) -> Iterator[Problem]:
    if not isinstance(values, dict):
        yield f"{_dotted(path)}: expected {KINDS['object']}; found {_found(values)}", path
        return
    yield from _unknown(path, values, list(keys.model_fields))
    for name, value in values.items():
        if name in keys.model_fields:
            yield from _value((*path, name), value, keys)


def _variants(variants: Any) -> Iterator[Problem]:
    if not isinstance(variants, dict) or not variants:
        expected = _expected(_part(Configuration, "variants"))
        yield f"variants: expected {expected}; found {_found(variants)}", ("variants",)
        return
    for name, overrides in variants.items():
        yield from ((line, ()) for line, _ in _value(("variants",), name, Variants, "name"))
        path = ("variants", name)
        if not isinstance(overrides, dict):
            line = f"{_dotted(path)}: expected {KINDS['object']}; found {_found(overrides)}"
            yield line, path
            continue
        yield from _unknown(path, overrides, list(MAY_VARY))
        for section in [section for section in overrides if section in MAY_VARY]:
            yield from _section((*path, section), overrides[section], sections()[section])


def _value(path: Path, value: Any, keys: type[Settings], key: str = "") -> Iterator[Problem]:
    """Problems of one value, or of the items of a list."""
    key = key or str(path[-1])
    part, wrong = _part(keys, key), dict(_wrong(_adapter(keys, key), value))
    for place, found in wrong.items():
        inner = part["items"] if place else part
        words = _found(found) + _remedy(inner, found, _adapter(keys, key), listed=bool(place))
        yield f"{_dotted((*path, *place))}: expected {_expected(inner)}; found {words}", path
    if isinstance(value, list) and part.get("type") == "array":
        try:
            each_once(value)
        except ValueError as error:
            yield f"{_dotted(path)}: expected each value once; found {error}", path


def _wrong(adapter: TypeAdapter, value: Any) -> Iterator[tuple[Path, Any]]:
    """What is wrong: the value itself, or which of its items."""
    for number, item in enumerate(value if isinstance(value, list) else [value]):
        if type(item) is int and abs(item) >= 2**63:  # no table holds it
            yield (number,) if isinstance(value, list) else (), item
    try:
        adapter.validate_python(value)
    except ValidationError as error:
        for found in error.errors():
            if found["type"] != "value_error":  # see `each_once`
                yield found["loc"][:1], found["input"]


@cache
def _adapter(keys: type[Settings], key: str) -> TypeAdapter:
    field = keys.model_fields[key]
    return TypeAdapter(Annotated[field.annotation, field], config=STRICT)


@cache
def _part(keys: type[Settings], key: str) -> dict[str, Any]:
    """JSON schema of one key."""
    return _adapter(keys, key).json_schema()


# Words


def _dotted(path: Path) -> str:
    """A path in words: `sweep.num_tasks, item 2`."""
    parts = (f", item {part + 1}" if type(part) is int else f".{part}" for part in path)
    return "".join(parts).lstrip(".")


def _unknown(path: Path, section: dict, known: list[str]) -> Iterator[Problem]:
    """A typo puts the key that was meant in doubt, so that is the path given."""
    for key in [key for key in section if key not in known]:
        others = sections().items()
        elsewhere = [f"{name}.{key}" for name, keys in others if key in keys.model_fields]
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
    if part.get("type") == "array":
        return f"a list of one or more, each {_expected(part['items'])}"
    bounds = [f"{words} {part[bound]:g}" for bound, words in BOUNDS.items() if bound in part]
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


def _remedy(part: dict[str, Any], value: Any, adapter: TypeAdapter, *, listed: bool) -> str:
    """What to write instead, where the value shows what was meant and that would do."""
    kinds = {choice.get("type") for choice in part.get("anyOf", [part])}
    written = None
    if isinstance(value, str | float) and kinds & {"integer", "number"}:
        written = _as_yaml_number(str(value), integer="integer" in kinds)
    elif "array" in kinds and not isinstance(value, list | dict):
        written = f"[{value}]"
    elif "string" in kinds and not isinstance(value, bool | None):
        written = f'"{value}"'
    if written is None:
        return ""
    meant = yaml.safe_load(written)
    would_do = not any(_wrong(adapter, [meant] if listed else meant))
    return f"; write {written}" if would_do else ""


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


# The schema for editors


def editor_schema() -> dict[str, Any]:
    """JSON schema of a configuration file, with the defaults of config/config.yaml."""
    defaults = yaml.safe_load(DEFAULTS.read_text(encoding="utf-8"))
    parts = {
        name: _object(
            keys.__doc__,
            {
                key: {**_part(keys, key), "default": defaults[name][key]}
                for key in keys.model_fields
            },
        )
        for name, keys in sections().items()
    }
    override = _object("Overrides, written like the sections themselves.", {
        name: {"$ref": f"#/properties/{name}"} for name in MAY_VARY
    })  # fmt: skip
    variants = _part(Configuration, "variants") | {"additionalProperties": override}
    parts["experiment"] = _part(Configuration, "experiment") | {"default": defaults["experiment"]}
    parts["variants"] = variants | {"default": defaults["variants"]}
    whole = _object("Configuration of a sweep.", {name: parts[name] for name in defaults})
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **_one_line(whole)}


def _object(description: str | None, properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "description": description,
        "type": "object",
        "additionalProperties": False,
        "properties": properties,
    }


def _one_line(part: Any) -> Any:
    """Descriptions without the line breaks of their source, patterns as editors write them."""
    if isinstance(part, list):
        return [_one_line(one) for one in part]
    if not isinstance(part, dict):
        return part
    texts = {key: part[key] for key in ("description", "pattern") if isinstance(part.get(key), str)}
    clean = {key: " ".join(text.split()).replace(r"\Z", "$") for key, text in texts.items()}
    return {key: _one_line(value) for key, value in part.items()} | clean


if __name__ == "__main__":
    print(json.dumps(editor_schema(), indent=1, ensure_ascii=False))
