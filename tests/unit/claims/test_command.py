"""The command: claims of tables in files."""

from made_up import made_up_sweep

from transience.claims import __main__ as command
from transience.claims.verdicts import CLAIMS
from transience.files import tables


def test_the_command_writes_every_claim(tmp_path, monkeypatch):
    sweep = dict(made_up_sweep([1.0, 8.0, 64.0, float("inf")], 2))
    del sweep["interventions"]  # rows of another variant
    words = ["claims", "--settings", '{"experiment": "e"}', "--claims", str(tmp_path / "claims")]
    metadata = {"variant": "baseline", "num_tasks": ["1", "8", "64", "inf"], "seed": [0, 1]}
    paths = [tmp_path / f"{name}.parquet" for name in sweep]
    for path in paths:
        tables.write_table(path, path.stem, sweep[path.stem], metadata)
    monkeypatch.setattr("sys.argv", [*words, "--tables", *map(str, paths)])
    command.main()
    found = tables.read_table(tmp_path / "claims", "claims")
    assert found["claim"].tolist() == [one.name for one in CLAIMS]
    written = tables.read_metadata(tmp_path / "claims")
    assert {key: written[key] for key in metadata} == metadata
