"""The notebook runs on the reference results, and shows what it prints."""

import contextlib
import io
import json
from pathlib import Path

import matplotlib
import pytest

DOCS = Path(__file__).parents[2] / "workflow/docs"
NOTEBOOK = json.loads((DOCS / "three_questions.ipynb").read_text(encoding="utf-8"))
CODE = [cell for cell in NOTEBOOK["cells"] if cell["cell_type"] == "code"]


def shown(cell: dict) -> str:
    """What a cell printed when it was kept."""
    streams = [one for one in cell["outputs"] if one["output_type"] == "stream"]
    return "".join(line for one in streams for line in one["text"])


def drew(cell: dict) -> bool:
    return any("image/png" in one.get("data", {}) for one in cell["outputs"])


@pytest.fixture(scope="module")
def printed() -> list[str]:
    """What each cell prints now; all share their names, as in a notebook."""
    names, texts = {}, []
    with contextlib.chdir(DOCS), matplotlib.rc_context({"backend": "agg"}):
        for number, cell in enumerate(CODE):
            code, text = "".join(cell["source"]), io.StringIO()
            with contextlib.redirect_stdout(text):
                exec(compile(code, f"cell {number}", "exec"), names)
            texts.append(text.getvalue())
    return texts


def test_it_prints_what_it_shows(printed):
    assert len(printed) == len(CODE) > 4
    assert printed == [shown(cell) for cell in CODE]


def test_every_cell_was_run_in_order_and_figures_are_kept():
    assert [cell["execution_count"] for cell in CODE] == list(range(1, len(CODE) + 1))
    assert (
        sum(map(drew, CODE)) == sum("plt.show()" in "".join(cell["source"]) for cell in CODE) == 2
    )
