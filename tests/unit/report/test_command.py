"""The command: the page from tables and figures in files."""

import json
import math
from pathlib import Path

import pytest
import yaml
from made_up import made_up_sweep

from transience.figures.captions import PAGE, captions
from transience.files.tables import write_table
from transience.report import __main__ as command

PNG = b"\x89PNG\r\n" + b"IEND\xaeB`\x82"


def test_the_command_writes_the_page_and_names_missing_figures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tables = made_up_sweep([1.0, math.inf], 1)
    words = ["report", "--settings", '{"experiment": "laptop"}', "--report", tmp_path / "page.html"]
    paths = [tmp_path / f"{name}.parquet" for name in tables]
    for path in paths:
        write_table(path, path.stem, tables[path.stem], {"commit": "abc123"})
    config = yaml.safe_load((PAGE.parents[1] / "config/config.yaml").read_text(encoding="utf-8"))
    (tmp_path / "config.json").write_text(json.dumps(config), encoding="utf-8")
    figures = [tmp_path / f"figures/{name}.png" for name in captions()]
    figures[0].parent.mkdir()
    words += ["--configuration", tmp_path / "config.json", "--figures", *figures]
    words += ["--tables", *paths, "--figure-logs", tmp_path]
    monkeypatch.setattr("sys.argv", [*map(str, words)])
    for path in figures[1:]:
        path.write_bytes(PNG)
    (tmp_path / "figure1.log").write_text("ValueError: no ink\n")
    command.main()
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert page.count("could not be drawn: ValueError: no ink") == 2  # at the head, in its place
    assert page.count("base64,") == len(figures) - 1
    figures[0].write_bytes(PNG)
    command.main()
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "abc123" in page and "not complete" not in page
    assert page.count("base64,") == len(figures)
    monkeypatch.setattr("sys.argv", [*map(str, words), "--not-drawn", "distances"])
    command.main()  # an old figure is there
    assert (tmp_path / "page.html").read_text(encoding="utf-8").count("base64,") == len(figures) - 1
