"""The command prints a line for each problem or note; its exit code says whether there is one."""

import pytest

from transience.verify.__main__ import main


@pytest.mark.parametrize("folders", [["small"], ["elsewhere", "small"]])
def test_results_are_in_order_or_have_lines_of_problems(results, monkeypatch, capsys, folders):
    monkeypatch.setattr("sys.argv", ["verify", *folders])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == int("elsewhere" in folders)
    count = len(list(results.folder.rglob("*.parquet")))
    lines = {
        "elsewhere": "elsewhere: expected the results of a sweep, found no such folder",
        "small": f"small: in order: {count} tables, 4 checkpoint files",
    }
    assert capsys.readouterr().out.splitlines() == [lines[folder] for folder in folders]


def test_a_folder_without_a_configuration_says_so(results, monkeypatch, capsys):
    (results.folder / "config.json").unlink()
    monkeypatch.setattr("sys.argv", ["verify", "small"])
    with pytest.raises(SystemExit):
        main()
    found = "expected the configuration of results, found none; delete it and run the sweep again"
    assert f"small/config.json: {found}" in capsys.readouterr().out.splitlines()
