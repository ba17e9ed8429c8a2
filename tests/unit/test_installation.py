"""The library as `pip install .` gives it: its wheel alone, with what it declares and no more."""

import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import distribution, version
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
CORE = [Requirement(line) for line in PROJECT["dependencies"]]
WORKFLOW = [Requirement(line) for line in PROJECT["optional-dependencies"]["workflow"]]
SOURCES = ("pyproject.toml", "README.md", "LICENSE", "workflow/lib")
LIBRARY = ("problem", "model", "model.kernels")  # whole packages; of `complexity`, these:
ESTIMATOR = (
    *("settings", "network", "suggested", "module_loss", "threads", "curvature", "preconditioner"),
    *("estimator", "sgld", "minibatches", "estimate", "diagnostics", "limits"),
)
EXAMPLE = """
import sys

sys.path[:0] = sys.argv[1:3]

from importlib import import_module

for name in sys.argv[3:]:
    import_module(name)

import torch
from transience.complexity.network import estimate_llc, suggest_settings


def loss(module, xs, ys):
    return (module(xs) - ys).square().mean(dim=1)


torch.manual_seed(0)
xs = torch.randn(512, 2)
module = torch.nn.Linear(2, 1, bias=False)
data = (xs, module(xs).detach())
settings = suggest_settings(module, loss, data, h_star=0.02).model_copy(update={"num_chains": 2})
estimate = estimate_llc(module, loss, data, settings)
others = {"snakemake", "pandas", "pyarrow", "matplotlib", "safetensors", "yaml"} & {*sys.modules}
print(sys.modules["transience"].__file__, sorted(others), estimate.centred_llc)
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built of a copy: setuptools leaves folders beside what it builds."""
    copy = tmp_path_factory.mktemp("wheel") / "copy"
    for name in SOURCES:
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, copy / name)
    words = ["wheel", "--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir"]
    pip(*words, str(copy.parent), str(copy))
    (built,) = copy.parent.glob("*.whl")
    return built


def pip(*words: str) -> None:
    run = subprocess.run(
        [sys.executable, "-m", "pip", "--disable-pip-version-check", *words],
        capture_output=True, text=True,
    )  # fmt: skip
    assert run.returncode == 0, run.stdout + run.stderr


def closure(requirements: list[Requirement]) -> set[str]:
    """Names of distributions that these need here, with what those need."""
    found: set[str] = set()
    left = list(requirements)
    while left:
        one = left.pop()
        if (one.marker is None or one.marker.evaluate({"extra": ""})) and one.name not in found:
            found.add(one.name)
            left += map(Requirement, distribution(one.name).requires or [])
    return found


def link(names: set[str], folder: Path) -> None:
    """Make a folder that has these distributions, as they are installed here, and no other."""
    folder.mkdir()
    for name in names:
        one = distribution(name)
        tops = {file.parts[0] for file in one.files or []} - {"..", "__pycache__"}
        for top in tops:
            if not (folder / top).exists():
                (folder / top).symlink_to(one.locate_file(top))


def test_the_wheel_has_every_module_and_nothing_else(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    package = ROOT / "workflow/lib"
    modules = {path.relative_to(package).as_posix() for path in package.rglob("transience/**/*.py")}
    assert {name for name in names if ".dist-info/" not in name} == modules
    (metadata,) = [name for name in names if name.endswith(".dist-info/METADATA")]
    text = zipfile.ZipFile(wheel).read(metadata).decode()
    assert f"\nVersion: {PROJECT['version']}\n" in text
    assert "snakemake" not in "".join(re.findall(r"^Requires-Dist: [^;]*$", text, re.MULTILINE))


def test_the_library_works_with_what_it_declares_alone(wheel, tmp_path):
    """In a process without site-packages and without the checkout."""
    pip("install", "--no-deps", "--no-index", "--target", str(tmp_path / "installed"), str(wheel))
    link(closure(CORE), tmp_path / "declared")
    assert not {"pandas", "pyarrow", "snakemake"} & {*closure(CORE)}
    package = tmp_path / "installed/transience"
    modules = [
        f"transience.{room}.{path.stem}"
        for room in LIBRARY
        for path in (package / room.replace(".", "/")).glob("[!_]*.py")
    ]
    modules += [f"transience.complexity.{name}" for name in ESTIMATOR]
    words = [str(tmp_path / "installed"), str(tmp_path / "declared"), *modules]
    run = subprocess.run(
        [sys.executable, "-I", "-S", "-c", EXAMPLE, *words],
        cwd=tmp_path, capture_output=True, text=True,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    file, others, llc = run.stdout.split()
    assert Path(file).is_relative_to(tmp_path) and others == "[]"
    assert 0.7 < float(llc) < 1.3  # two regular parameters: λ = 2/2


def test_what_is_declared_is_pinned_and_tested():
    for one in CORE + WORKFLOW:
        found = version(one.name).partition("+")[0]
        assert one.specifier.contains(found), f"{one}: {found}"
        assert found.startswith(str(one.specifier).removeprefix(">=")), f"{one}: {found}"
