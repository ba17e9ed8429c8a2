"""The command prints a line for each problem or note; its exit code says whether there is one."""

import pytest

from transience.verify.__main__ import main


@pytest.mark.parametrize("folders", [["small"], ["elsewhere", "small"]])
def test_results_are_in_order_or_have_lines_of_problems(results, monkeypatch, capsys, folders):
    monkeypatch.setattr("sys.argv", ["verify", *folders])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == int("elsewhere" in folders)
    found = "expected the configuration of results, found none; delete it and run the sweep again"
    count = len(list(results.folder.rglob("*.parquet")))
    lines = {
        "elsewhere": f"elsewhere/config.json: {found}",
        "small": f"small: in order: {count} tables, 4 checkpoint files",
    }
    assert capsys.readouterr().out.splitlines() == [lines[folder] for folder in folders]
