"""The tree tells the argument: stages, packages, rules and tests bear the same names."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LIBRARY = ROOT / "workflow/lib"
PACKAGE = LIBRARY / "transience"
RULES = sorted((ROOT / "workflow/rules").glob("[0-9]_*.smk"))
# From the ground up: a room imports from those before it only. `planning` composes the settings
# of all stages; the stages import nothing of it.
STOREYS = [
    *("errors", "settings", "problem", "files", "model", "run", "trained", "command"),
    *("training", "evaluation", "complexity", "collect", "trajectories", "departure"),
    *("claims", "figures", "planning", "report", "verify", "watch"),
]
MOST_STOREYS = 9  # the longest chain of imports, in modules
MOST_LINES = 40  # of a function, its docstring included
ON_DEMAND = {"calibration.smk": ("complexity.calibration", "collect", "figures")}
MODULES = {  # by dotted name; packages are maps and import nothing
    ".".join(path.relative_to(LIBRARY).with_suffix("").parts): path
    for path in sorted(PACKAGE.rglob("*.py"))
}
PACKAGES = sorted(path.parent for path in PACKAGE.rglob("__init__.py"))


def stage(rules: Path) -> str:
    return rules.stem.partition("_")[2]


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def imports(name: str) -> set[str]:
    """Modules of the package that a module imports, wherever in its text."""
    found = set()
    for node in ast.walk(tree(MODULES[name])):
        if isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            found |= {one if one in MODULES else node.module for one in names}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return found & MODULES.keys()


def room(name: str) -> str:
    return name.split(".")[1]


# Names


@pytest.mark.parametrize("rules", RULES, ids=lambda path: path.stem)
def test_a_rule_file_bears_the_name_of_its_stages_package_and_runs_it(rules):
    assert (PACKAGE / stage(rules)).is_dir() or (PACKAGE / f"{stage(rules)}.py").is_file()
    for module in re.findall(r"python -m (transience[\w.]*)", rules.read_text()):
        assert room(module) == stage(rules), f"{module} stands in {rules.name}"


def test_rules_on_demand_run_what_they_say():
    others = {path.name for path in (ROOT / "workflow/rules").glob("*.smk")} - {
        path.name for path in RULES
    }
    assert others == {"common.smk", *ON_DEMAND}
    for name, homes in ON_DEMAND.items():
        text = (ROOT / "workflow/rules" / name).read_text()
        for module in re.findall(r"python -m transience\.([\w.]+)", text):
            assert module.startswith(homes)


def test_stages_are_numbered_in_the_order_of_the_snakefile():
    included = re.findall(r"workflow/rules/(\d_\w+)\.smk", (ROOT / "Snakefile").read_text())
    assert included == sorted(included) == [path.stem for path in RULES]
    assert [int(path.stem[0]) for path in RULES] == list(range(len(RULES)))


@pytest.mark.parametrize("folder", PACKAGES, ids=lambda path: path.name)
def test_a_package_is_a_map_of_its_files(folder):
    """A docstring and nothing else, or importing one part would load, and make stale, another."""
    source = tree(folder / "__init__.py")
    (only,) = source.body
    assert isinstance(only, ast.Expr)
    text = ast.get_docstring(source)
    parts = {path.stem for path in folder.glob("*.py")} - {"__init__"}
    parts |= {path.parent.name for path in folder.glob("*/__init__.py")}
    assert sorted(part for part in parts if f"`{part}`" not in text) == []


def modules_with_tests() -> Iterator[str]:
    """Modules that have a test file: `complexity.sgld` is tested by complexity/test_sgld.py."""
    for path in (ROOT / "tests/unit").rglob("test_*.py"):
        parts = path.relative_to(ROOT / "tests/unit").with_suffix("").parts
        name = parts[-1].removeprefix("test_")
        yield ".".join([*parts[:-1], "__main__" if name == "command" else name])


def test_tests_mirror_the_packages():
    modules = {name.removeprefix("transience.") for name in MODULES}
    others = {"house", "environments", "installation", "complexity.oracles", "odd_sweeps"}
    others |= {"benchmarks", "docs", "first_gpu_hour"}
    assert sorted(set(modules_with_tests()) - modules - others) == []


def test_every_module_has_its_tests():
    """Settings are tested as a whole by planning, a command by what it runs, errors by all."""
    modules = {name.removeprefix("transience.") for name in MODULES if name != "transience"}
    named = {name: name.rpartition(".")[2] for name in modules - {*modules_with_tests()}}
    exempt = ("__init__", "__main__", "settings", "errors")
    assert sorted(name for name, last in named.items() if last not in exempt) == []


# Storeys


def test_there_is_no_import_circle_and_no_more_storeys_than_a_reader_can_climb():
    heights: dict[str, int] = {}

    def height(name: str, above: tuple[str, ...] = ()) -> int:
        assert name not in above, " -> ".join([*above, name])
        if name not in heights:
            below = (height(one, (*above, name)) for one in imports(name))
            heights[name] = 1 + max(below, default=0)
        return heights[name]

    tallest = max(MODULES, key=height)
    assert heights[tallest] <= MOST_STOREYS, tallest


@pytest.mark.parametrize("name", sorted(set(map(room, MODULES)) - {"__init__"}))
def test_a_room_imports_from_lower_storeys_only(name):
    lower = {*STOREYS[: STOREYS.index(name) + 1]}
    for module in MODULES:
        if room(module) == name:
            assert {room(one) for one in imports(module)} <= lower, module


def test_the_command_line_stays_in_main():
    """Functions take what they need; argparse's flags are read where a command begins."""
    for name, path in MODULES.items():
        if room(name) == "command":
            continue
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.FunctionDef):
                assert "args" not in [arg.arg for arg in node.args.args], f"{name}.{node.name}"


# Functions


def test_functions_fit_on_a_screen():
    long = [
        f"{name}.{node.name}: {node.end_lineno - node.lineno + 1} lines"
        for name, path in MODULES.items()
        for node in ast.walk(tree(path))
        if isinstance(node, ast.FunctionDef) and node.end_lineno - node.lineno >= MOST_LINES
    ]
    assert long == []
