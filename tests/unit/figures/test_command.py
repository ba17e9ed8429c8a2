"""The command: one figure from tables in files."""

import json
from pathlib import Path

from made_up import made_up_sweep

from transience.figures import __main__ as command
from transience.files.tables import write_table


def test_the_command_draws_both_files(tmp_path: Path, monkeypatch) -> None:
    tables, names = made_up_sweep([1.0, 8.0], 1), command.FIGURES["loss_by_distribution"].reads
    for name in names:
        write_table(tmp_path / f"{name}.parquet", name, tables[name], {})
    settings = {"experiment": "e", "figures": {"dpi": 60, "smoothing_window": 1}}
    words = ["figures", "--settings", json.dumps(settings), "--figure", "loss_by_distribution"]
    words += ["--tables", *(str(tmp_path / f"{name}.parquet") for name in names)]
    words += ["--png", str(tmp_path / "drawn.png"), "--pdf", str(tmp_path / "drawn.pdf")]
    monkeypatch.setattr("sys.argv", words)
    command.main()
    assert (tmp_path / "drawn.png").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "drawn.pdf").read_bytes().startswith(b"%PDF")
