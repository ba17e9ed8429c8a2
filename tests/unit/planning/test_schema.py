"""The keys themselves: each described, closed to others, the editors' schema up to date."""

import json
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft202012Validator

from transience.planning import configuration
from transience.planning.schema import editor_schema, sections

SCHEMA = Path(__file__).parents[3] / "workflow/schemas/config.schema.json"
CONFIG = Path(__file__).parents[3] / "config"
MINIMAL = {"experiment": "mine", "sweep": {}}


def schema() -> dict:
    return json.loads(SCHEMA.read_text(encoding="utf-8"))


def leaves() -> dict[str, dict]:
    parts = schema()["properties"]
    found = {
        f"{name}.{key}": leaf
        for name in sections()
        for key, leaf in parts[name]["properties"].items()
    }
    return found | {name: parts[name] for name in parts.keys() - sections().keys()}


def test_the_schema_for_editors_is_up_to_date() -> None:
    """Else: PYTHONPATH=workflow/lib python -m transience.planning.schema > config.schema.json."""
    assert editor_schema() == schema()


def test_the_schema_is_valid_and_closed() -> None:
    Draft202012Validator.check_schema(schema())
    variants = schema()["properties"]["variants"]
    (variant,) = variants["patternProperties"].values()
    assert variants["propertyNames"]["pattern"] in variants["patternProperties"]
    closed = [schema(), variant, *(schema()["properties"][name] for name in sections())]
    assert all(part["additionalProperties"] is False for part in closed)
    assert all(part["description"] for part in closed)


@pytest.mark.parametrize("path", sorted(CONFIG.glob("*.yaml")), ids=lambda path: path.name)
def test_editors_find_nothing_wrong_with_a_shipped_file(path: Path) -> None:
    Draft202012Validator(schema()).validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    first = path.read_text(encoding="utf-8").splitlines()[0]
    assert first.endswith("$schema=../workflow/schemas/config.schema.json")


@pytest.mark.parametrize("name", sorted(leaves()))
def test_a_key_has_description_unit_and_valid_default(name: str) -> None:
    leaf = leaves()[name]
    assert leaf["description"].endswith(".")
    assert leaf["unit"]
    section, _, key = name.rpartition(".")
    value = {key: leaf["default"]}
    assert configuration.validate(MINIMAL | ({section: value} if section else value)) == []


def test_defaults_of_the_schema_are_those_of_a_minimal_configuration() -> None:
    filled = configuration.completed(MINIMAL)
    for name, leaf in leaves().items():
        section, _, key = name.rpartition(".")
        if name not in ("experiment", "figures.variant"):
            assert (filled[section] if section else filled)[key] == leaf["default"]
    assert leaves()["figures.variant"]["default"] == "main"
    assert filled["figures"]["variant"] == "baseline"


def test_missing_sections_are_named() -> None:
    assert configuration.validate({}) == [
        f"experiment: expected {schema()['properties']['experiment']['expected']}; found none",
        "sweep: expected a section of keys; found none",
    ]


@pytest.mark.parametrize("config", [None, [], "laptop", 3])
def test_what_is_no_configuration_gives_one_line(config: object) -> None:
    (line,) = configuration.validate(config)
    assert line.startswith("configuration: expected a section of keys; found ")
