from pathlib import Path

import pytest

from transience.code_digest import closure, code_digest

SOURCES = {
    "package/__init__.py": '"""A package."""\n',
    "package/command.py": '''"""A command."""
from package.mathematics import double


def main(x: int) -> int:
    """Double it."""
    return double(x)  # twice
''',
    "package/mathematics.py": "from package import constants\n\n\n"
    "def double(x):\n    return constants.TWO * x\n",
    "package/constants.py": "TWO = 2\n",
    "package/unused.py": "import package.command\n",
    "package/drawing/__init__.py": "",
    "package/drawing/__main__.py": "import package.constants\n",
}


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    for name, text in SOURCES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_closure_follows_imports_of_imports(sources):
    expected = ["package", "package.command", "package.constants", "package.mathematics"]
    assert closure("package.command", root=sources) == expected


def test_closure_of_a_package_has_what_python_m_runs(sources):
    assert "package.constants" in closure("package.drawing", root=sources)


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("command.py", "  # twice", ""),
        ("command.py", "A command.", "The command."),
        ("command.py", '    """Double it."""\n', ""),
        ("command.py", "return double(x)", "return (\n        double(x)\n    )"),
        ("mathematics.py", "\n\n\n", "\n\n# Twice as much.\n"),
        ("unused.py", "command", "constants"),
    ],
)
def test_digest_ignores_what_changes_nothing(sources, file, old, new):
    before = code_digest("package.command", root=sources)
    edit(sources / "package" / file, old, new)
    assert code_digest("package.command", root=sources) == before


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("command.py", "double(x)", "double(x + 1)"),
        ("mathematics.py", "* x", "+ x"),
        ("constants.py", "2", "3"),
    ],
)
def test_digest_sees_changes_anywhere_in_the_closure(sources, file, old, new):
    before = code_digest("package.command", root=sources)
    edit(sources / "package" / file, old, new)
    assert code_digest("package.command", root=sources) != before


def test_digest_sees_data_files(sources):
    template = sources / "template.html"
    digests = set()
    for text in ("one", "two"):
        template.write_text(text)
        digests.add(code_digest("package.command", template, root=sources))
    assert len(digests) == 2


def test_relative_imports_are_refused(sources):
    edit(sources / "package/command.py", "from package.mathematics", "from .mathematics")
    with pytest.raises(SyntaxError, match="relative import in line 2"):
        code_digest("package.command", root=sources)


def test_training_depends_on_little():
    """An edit of any of these trains every sweep again, so the list grows on purpose only."""
    names = "checkpoints command errors randomness resume tables tasks transformer"
    step = (
        "cuda_graph gradients folding operations kernel_operations kernels attention_kernels lanes"
    )
    names = f"{names} {step} compilation".split()
    expected = {"transience", "transience.training", *(f"transience.{n}" for n in names)}
    assert set(closure("transience.training")) == expected


@pytest.mark.parametrize(
    "command", ["collect", "trajectory_pca", "transient_ridge", "free_energy", "claims", "figures"]
)
def test_stages_after_the_runs_do_not_depend_on_training(command):
    assert "transience.training" not in closure(f"transience.{command}")
