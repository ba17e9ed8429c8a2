"""The command: claims of tables in files."""

from made_up import made_up_sweep

from transience.claims import __main__ as command
from transience.claims.sweep_tables import ANY
from transience.claims.verdicts import CLAIMS
from transience.files import tables

OF_FRESH = (
    "interventions",
    "intervention_effects",
    "branch_trajectories",
)  # tables without the baseline


def test_the_command_writes_every_claim(tmp_path, monkeypatch):
    sweep = dict(made_up_sweep([1.0, 8.0, 64.0, float("inf")], 2))
    words = ["claims", "--settings", '{"experiment": "e"}', "--claims", str(tmp_path / "claims")]
    metadata = {"variant": "baseline", "num_tasks": ["1", "8", "64", "inf"], "seed": [0, 1]}
    paths = [tmp_path / f"{name}.parquet" for name in sweep]
    for path in paths:
        others = {"variant": "fresh"} if path.stem in OF_FRESH else {}
        tables.write_table(path, path.stem, sweep[path.stem], metadata | others)
    monkeypatch.setattr("sys.argv", [*words, "--tables", *map(str, paths)])
    command.main()
    found = tables.read_table(tmp_path / "claims", "claims")
    kinds = (None, ANY, "fresh_fraction")
    assert found["claim"].tolist() == [one.name for one in CLAIMS if one.kind in kinds]
    written = tables.read_metadata(tmp_path / "claims")
    assert {key: written[key] for key in metadata} == metadata
