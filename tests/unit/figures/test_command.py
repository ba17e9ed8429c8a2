"""The command: one figure from tables in files."""

import json
from pathlib import Path

import pytest
from made_up import made_up_sweep

from transience.figures import __main__ as command
from transience.files.tables import write_table


def test_the_command_draws_both_files(tmp_path: Path, monkeypatch) -> None:
    tables, names = made_up_sweep([1.0, 8.0], 1), command.FIGURES["loss_by_distribution"].reads
    for name in names:
        write_table(tmp_path / f"{name}.parquet", name, tables[name], {})
    settings = {"experiment": "e", "figures": {"dpi": 60, "smoothing_window": 1}}
    settings["figures"]["variant"] = "baseline"
    words = ["figures", "--settings", json.dumps(settings), "--figure", "loss_by_distribution"]
    words += ["--tables", *(str(tmp_path / f"{name}.parquet") for name in names)]
    words += ["--png", str(tmp_path / "drawn.png"), "--pdf", str(tmp_path / "drawn.pdf")]
    monkeypatch.setattr("sys.argv", words)
    command.main()
    assert (tmp_path / "drawn.png").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "drawn.pdf").read_bytes().startswith(b"%PDF")


@pytest.mark.parametrize(("words", "drawn"), [([], "wide"), (["--variant", "deep"], "deep")])
def test_the_variant_is_that_of_the_settings_or_of_the_flag(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], drawn: str
) -> None:
    path, asked = tmp_path / "evaluation.parquet", []
    frame = made_up_sweep([1.0, 8.0], 1)["evaluation"]
    write_table(path, "evaluation", frame.assign(variant="wide"), {})
    settings = {"dpi": 60, "smoothing_window": 1, "variant": "wide"}
    settings = json.dumps({"experiment": "e", "figures": settings})
    flags = ["--settings", settings, "--figure", "distances", "--tables", str(path)]
    flags += ["--png", str(tmp_path / "drawn.png"), "--pdf", str(tmp_path / "drawn.pdf")]
    monkeypatch.setattr("sys.argv", ["figures", *flags, *words])
    monkeypatch.setattr(command, "draw", lambda *_, variant, **__: asked.append(variant))
    monkeypatch.setattr(command, "save", lambda *_, **__: None)
    command.main()
    assert asked == [drawn]
