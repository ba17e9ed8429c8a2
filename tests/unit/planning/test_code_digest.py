from pathlib import Path

import pytest

from transience.planning.code_digest import ROOT, closure, code_digest

STAGE = "transience.stage"
SOURCES = {  # another package of that name
    "__init__.py": '"""A package."""\n',
    "stage.py": '''"""A stage."""
from transience.command import flags
from transience.mathematics import double


class Settings:
    """What there is to set."""

    factor: int = 2
    """By what to multiply."""


def main(x: int) -> int:
    """Double it."""
    flags.add_argument("--x", type=int, help="what to double")
    print(f"doubling {x}", file=sys.stderr)
    if x < 0:
        raise ValueError(f"x: expected a positive number, found {x}")
    print("result", file=results)
    return double(x)  # twice
''',
    "mathematics.py": "from transience import constants\n\n\n"
    "def double(x):\n    return constants.TWO * x\n",
    "constants.py": "TWO = 2\n",
    "unused.py": "import transience.stage\n",
    "command/__init__.py": "",
    "command/flags.py": "import transience.command_line\n",
    "command_line.py": "",
    "drawing/__init__.py": '"""Drawing."""\n',
    "drawing/__main__.py": "import transience.constants\n",
    "drawing/circle.py": "import transience.mathematics\n",
}


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    for name, text in SOURCES.items():
        path = tmp_path / "transience" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


def edit(sources: Path, file: str, old: str, new: str) -> None:
    path = sources / "transience" / file
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def names(root: Path, *modules: str) -> set[str]:
    found = closure(*(f"transience.{module}" for module in modules), root=root)
    return {name.removeprefix("transience").strip(".") for name in found}


def test_closure_follows_imports_of_imports_but_those_of_commands(sources):
    assert names(sources, "stage") == {"", "stage", "constants", "mathematics"}


def test_closure_of_a_package_has_what_python_m_runs(sources):
    assert names(sources, "drawing") == {"", "drawing", "drawing.__main__", "constants"}


def test_closure_of_several_modules(sources):
    found = names(sources, "drawing", "drawing.circle")
    assert found == names(sources, "drawing") | {"drawing.circle", "mathematics"}


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("stage.py", "  # twice", ""),
        ("stage.py", "A stage.", "The stage."),
        ("stage.py", '    """Double it."""\n', ""),
        ("stage.py", "By what to multiply.", "The factor."),
        ("stage.py", "return double(x)", "return (\n        double(x)\n    )"),
        ("stage.py", "what to double", "a number"),
        ("stage.py", 'f"doubling {x}"', '"at work"'),
        ("stage.py", "expected a positive number", "expected more"),
        ("mathematics.py", "\n\n\n", "\n\n# Twice as much.\n"),
        ("unused.py", "stage", "constants"),
        ("__init__.py", "A package.", "The package."),
        ("command/flags.py", "command_line", "constants"),
    ],
)
def test_digest_ignores_what_changes_no_number(sources, file, old, new):
    before = code_digest(STAGE, root=sources)
    edit(sources, file, old, new)
    assert code_digest(STAGE, root=sources) == before


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("stage.py", "double(x)", "double(x + 1)"),
        ("stage.py", "factor: int = 2", "factor: int = 3"),
        ("stage.py", "x < 0", "x < 1"),
        ("stage.py", "raise ValueError", "raise TypeError"),
        ("stage.py", '"result"', '"a number"'),
        ("mathematics.py", "* x", "+ x"),
        ("constants.py", "2", "3"),
    ],
)
def test_digest_sees_changes_anywhere_in_the_closure(sources, file, old, new):
    before = code_digest(STAGE, root=sources)
    edit(sources, file, old, new)
    assert code_digest(STAGE, root=sources) != before


def test_digest_sees_data_files(sources):
    template = sources / "template.html"
    digests = set()
    for text in ("one", "two"):
        template.write_text(text)
        digests.add(code_digest(STAGE, data_files=[template], root=sources))
    assert len(digests) == 2


def test_relative_imports_are_refused(sources):
    edit(sources, "stage.py", "from transience.mathematics", "from .mathematics")
    with pytest.raises(SyntaxError, match="relative import in line 3"):
        code_digest(STAGE, root=sources)


def test_training_depends_on_little():
    """An edit of any of these trains every sweep again, so the list grows on purpose only."""
    expected = {
        "": "errors run settings",
        "files": "atomic checkpoints lines pinned tables unfinished",
        "problem": "diversity drift ideal_predictors randomness settings tasks",
        "problem.families": "family",  # and the one that a variant names, by the rules
        "model": "autograd folding loss_and_gradient operations settings transformer",
        "model.kernels": "attention compilation lanes layers operations",
        "training": (
            "__main__ arithmetic background branch cuda_graph detectors ending kept phases "
            "schedule self_check settings signals state step train"
        ),
    }
    folders = {
        f"{folder}.{name}".strip(".")
        for folder, files in expected.items()
        for name in ("", *files.split())
    }
    assert names(ROOT, "training") == folders


def test_what_a_setting_may_be_is_no_part_of_a_digest(sources):
    """Units, bounds and words say which values are let in, not what is computed with them."""
    edit(sources, "stage.py", "factor: int = 2", "factor: int = key('steps', ge=1)")
    before = code_digest(STAGE, root=sources)
    edit(sources, "stage.py", "key('steps', ge=1)", "key('optimiser steps', ge=2)")
    assert code_digest(STAGE, root=sources) == before


@pytest.mark.parametrize("stage", ["training", "evaluation", "complexity.llc"])
def test_what_a_run_is_counts_wherever_its_flags_are_read(stage):
    assert {"run", "problem.tasks"} <= names(ROOT, stage)


@pytest.mark.parametrize(
    "stage",
    [
        *("collect", "trajectories.joint_pca", "departure.transient_ridge"),
        *("departure.free_energy", "departure.held_out", "claims", "figures"),
    ],
)
def test_stages_after_the_runs_do_not_depend_on_training(stage):
    assert "training.train" not in names(ROOT, stage)


def test_a_figure_does_not_depend_on_another():
    assert "figures.departure" not in names(ROOT, "figures", "figures.figure1")
