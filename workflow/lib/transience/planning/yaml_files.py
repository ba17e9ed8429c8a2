"""Configuration files: read, with what a YAML reader stops at or passes over in silence.

``python -m transience.planning.yaml_files FILE ...`` says what is wrong with the files themselves,
and with ``--experiment`` first, which name they give to the sweep.
"""

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from transience.errors import InputError

DEFAULTS = Path(__file__).parents[4] / "config" / "config.yaml"  # of this checkout


def load(path: str | Path) -> dict[str, Any]:
    """Read one file; InputError names all that `check_files` finds, and nothing else."""
    if lines := check_files([str(path)]):
        raise InputError("\n".join(lines))
    return yaml.safe_load(Path(path).read_bytes())


def from_command_line(value: Any) -> Any:
    """Values of `--config 'training={num_steps: 400}'`, which Snakemake leaves as texts inside."""
    if isinstance(value, Mapping):
        return {key: from_command_line(one) for key, one in value.items()}
    if isinstance(value, list):
        return [from_command_line(one) for one in value]
    if not isinstance(value, str):
        return value
    try:
        odd = any(_node_problems(yaml.compose(value, Loader=yaml.SafeLoader)))
        return value if odd else yaml.safe_load(value)
    except (yaml.YAMLError, ValueError):  # ValueError: 2025-13-01
        return value


def check_files(paths: list[str]) -> list[str]:
    """Problems of the files themselves, one line each: syntax, odd numbers, keys written twice."""
    return [f"{path}{line}" for path in paths for line in _file_problems(path)]


def _file_problems(path: str) -> Iterator[str]:
    try:
        text = Path(path).read_text(encoding="utf-8")
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        yield from _node_problems(root)
        content = yaml.safe_load(text)
        if not isinstance(content, dict):
            kind = {type(None): "nothing", list: "a list"}.get(type(content), "a single value")
            yield f": expected keys with values, found {kind}"
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        yield f", line {mark.line + 1}, column {mark.column + 1}: expected YAML; {error.problem}"
    except (OSError, yaml.YAMLError, ValueError) as error:  # ValueError: 2025-13-01, or not UTF-8
        reason = getattr(error, "strerror", None) or error
        yield f": expected a readable YAML file; {' '.join(str(reason).split())}"


def _node_problems(root: yaml.Node | None) -> Iterator[str]:
    nodes, seen = [root], set()
    for node in nodes:  # grows while it is read; what an alias stands for was seen before
        if node is None or id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, yaml.SequenceNode):
            nodes += node.value
        elif isinstance(node, yaml.MappingNode):
            nodes += [value for _, value in node.value]
            yield from _repeated(node)
        elif node.tag == "tag:yaml.org,2002:int":
            yield from _no_decimal(node)
    if (inside := _within_itself(root, (), set())) is not None:
        where = f", line {inside.start_mark.line + 1}"
        yield f"{where}: expected values; found an alias that stands for what it is part of"


def _within_itself(
    node: yaml.Node | None, around: tuple[yaml.Node, ...], sound: set[int]
) -> yaml.Node | None:
    """A node that holds itself, by an alias (`a: &a [*a]`); those that don't are added to sound."""
    if any(node is one for one in around):
        return node
    if not isinstance(node, yaml.CollectionNode) or id(node) in sound:
        return None
    pairs = isinstance(node, yaml.MappingNode)
    children = [value for _, value in node.value] if pairs else node.value
    found = (_within_itself(child, (*around, node), sound) for child in children)
    inside = next((one for one in found if one is not None), None)
    if inside is None:
        sound.add(id(node))
    return inside


def _no_decimal(node: yaml.ScalarNode) -> Iterator[str]:
    """A number that YAML 1.1 reads in base 8, 16 or 60: 010 is 8, 1:30 is 90."""
    value = yaml.SafeLoader("").construct_yaml_int(node)
    if str(value) != node.value.replace("_", "").lstrip("+"):
        found = f"{node.value}, which YAML reads as {value}"
        yield f", line {node.start_mark.line + 1}: expected a decimal number; found {found}"


def _repeated(mapping: yaml.MappingNode) -> Iterator[str]:
    first: dict[str, int] = {}
    for node, _ in mapping.value:
        key, line = str(node.value), node.start_mark.line + 1
        if key in first:
            yield f", line {line}: expected key '{key}' once; found it in line {first[key]} as well"
        first.setdefault(key, line)


def experiment(paths: list[str]) -> str:
    """Name of the sweep of these files, of which a later one goes before, as Snakemake has it."""
    files = [load(DEFAULTS), *map(load, paths)]
    return next(str(one["experiment"]) for one in reversed(files) if "experiment" in one)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--experiment"]:
        print(experiment(sys.argv[2:]))
    elif problems := check_files(sys.argv[1:]):
        sys.exit("\n".join(problems))
