"""Which figures a report lacks, and where their logs say why."""

from pathlib import Path

import pytest

from transience.figures.captions import captions
from transience.report.missing import missing_figures

FIRST, *OTHERS = captions()


@pytest.mark.parametrize(
    ("log", "why"),
    [
        (None, "It was not drawn; there is no log {log} yet."),
        ("\n", "It was not drawn, or was stopped before it was; its log {log} is empty."),
        (
            "Traceback:\n  File\nValueError: no ink\n",
            "It could not be drawn: ValueError: no ink. Its log is {log}.",
        ),
        (
            "error: t.parquet: expected rows, found none\nmore\n",
            "It could not be drawn: t.parquet: expected rows, found none. Its log is {log}.",
        ),
    ],
)
def test_a_missing_figure_is_explained(log: str | None, why: str, tmp_path: Path) -> None:
    path = tmp_path / f"{FIRST}.log"
    if log is not None:
        path.write_text(log)
    assert missing_figures([FIRST, *OTHERS], OTHERS, tmp_path) == {FIRST: why.format(log=path)}


def test_without_logs_it_is_said_to_be_missing() -> None:
    assert missing_figures([*captions()], captions()) == {}
    assert missing_figures([*captions()], OTHERS) == {FIRST: "It was not drawn."}


def test_a_variants_figure_has_its_log_in_a_folder_of_the_variant(tmp_path: Path) -> None:
    (tmp_path / "wide").mkdir()
    (tmp_path / f"wide/{FIRST}.log").write_text("ValueError: no ink\n")
    found = missing_figures([FIRST, f"wide/{FIRST}"], [FIRST], tmp_path)
    log = tmp_path / f"wide/{FIRST}.log"
    assert found == {
        f"wide/{FIRST}": f"It could not be drawn: ValueError: no ink. Its log is {log}."
    }
