"""The environments in envs/ name the same versions, and this one has them."""

import ast
import re
import sys
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest
import yaml

ENVS = Path(__file__).parents[2] / "envs"
IMPORT_NAMES = {"yaml": "pyyaml", "arviz_stats": "arviz-stats", "PIL": "pillow"}
CONDA_NAMES = {"pytorch": "torch", "matplotlib-base": "matplotlib"}


def requirements(file: str) -> dict[str, str]:
    lines = [line for line in (ENVS / file).read_text().splitlines() if line and line[0] != "#"]
    pins = dict(line.split("==") for line in lines)
    assert len(pins) == len(lines)
    return pins


def conda() -> dict[str, str]:
    lines = yaml.safe_load((ENVS / "transience.yaml").read_text())["dependencies"]
    return dict(line.split(" =") for line in lines)


def test_conda_and_pip_name_the_same_versions():
    pins = requirements("requirements.txt")
    named = {CONDA_NAMES.get(n, n): v for n, v in conda().items() if n != "python"}
    assert named == {name: pins[name] for name in named}


def imported_by_the_package() -> set[str]:
    lib = ENVS.parent / "workflow/lib"
    trees = [ast.parse(source.read_text()) for source in (lib / "transience").rglob("*.py")]
    nodes = [node for tree in trees for node in ast.walk(tree)]
    imported = {
        alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names
    }
    imported |= {node.module for node in nodes if isinstance(node, ast.ImportFrom)}
    imported = {name.split(".")[0] for name in imported}
    ours = {path.stem for path in lib.iterdir()}
    return {IMPORT_NAMES.get(n, n) for n in imported - sys.stdlib_module_names - ours}


def test_both_have_what_the_package_imports():
    needed = imported_by_the_package()
    assert needed <= requirements("requirements.txt").keys()
    assert needed <= {CONDA_NAMES.get(name, name) for name in conda()}


def test_the_library_and_its_extra_declare_what_the_package_imports():
    project = tomllib.loads((ENVS.parent / "pyproject.toml").read_text())["project"]
    lines = project["dependencies"] + project["optional-dependencies"]["workflow"]
    declared = {line.partition(">=")[0] for line in lines}
    assert declared == imported_by_the_package() | {"snakemake"}


def test_the_python_versions_agree():
    minimum = re.search(r'requires-python = ">=(.*)"', (ENVS.parent / "pyproject.toml").read_text())
    assert conda()["python"] == minimum[1]


@pytest.mark.parametrize(
    "file",
    [f"requirements{name}.txt" for name in ("", "-slurm", "-jax", "-tensorboard")],
)
def test_everything_is_pinned_on_a_public_version(file):
    assert all(re.fullmatch(r"[0-9.]+", number) for number in requirements(file).values())


def test_this_environment_is_the_pinned_one():
    pins = requirements("requirements.txt")
    found = {name: version(name).partition("+")[0] for name in pins}
    assert found == pins


def test_the_container_is_made_of_what_is_there():
    """No container is built in tests: that it copies what exists, and makes what make knows."""
    root = ENVS.parent
    text = (root / "Dockerfile").read_text()
    assert all((root / name).exists() for name in re.findall(r"^COPY (\S+)", text, re.MULTILINE))
    version = re.search(r"^FROM python:([\d.]+)-slim$", text, re.MULTILINE)[1]
    assert version == conda()["python"]
    makefile = (root / "Makefile").read_text()
    assert "READY := .venv/.installed" in makefile and "RUN make .venv/.installed" in text
    assert re.search(r"^smoke:", makefile, re.MULTILINE) and 'CMD ["smoke"]' in text
