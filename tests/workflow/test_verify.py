"""Finished results are in order; each kind of damage, or of mixing, is told in one line."""

import json
import pickle
import shutil
import struct
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from transience import tables
from transience.verify.__main__ import main, verify

RUN = "smoke/runs/baseline/M4_seed0"
AGAIN = "delete it and run the sweep again"


@pytest.fixture
def smoke(finished, tmp_path: Path, monkeypatch) -> Path:
    """Results of a finished smoke sweep, to damage: smoke/, in the current folder."""
    shutil.copytree(finished[0].results, tmp_path / "smoke")
    monkeypatch.chdir(tmp_path)
    return Path("smoke")


def problems() -> list[str]:
    return verify(Path("smoke")).problems


def relabel(path: str, **changes) -> None:
    """Rewrite entries of a table's metadata; None removes one."""
    table = pq.ParquetFile(path).read()
    metadata = json.loads(table.schema.metadata[tables.METADATA_KEY]) | changes
    metadata = {key: value for key, value in metadata.items() if value is not None}
    text = json.dumps(metadata).encode()
    pq.write_table(table.replace_schema_metadata({tables.METADATA_KEY: text}), path)


def rewrite(path: str, change) -> None:
    """Replace the rows of a table, and keep its metadata."""
    name, metadata = Path(path).stem, tables.read_metadata(path)
    frame = change(tables.read_table(path, name))
    tables.write_table(path, name, frame, metadata)


def pass_off(name: str, source: str, target: str = "M4_seed0") -> None:
    """Put a table of another run in the place of a run's, relabelled in metadata and rows."""
    runs = Path("smoke/runs/baseline")
    metadata = tables.read_metadata(runs / target / f"{name}.parquet")
    frame = tables.read_table(runs / source / f"{name}.parquet", name)
    num_tasks, seed = target.removeprefix("M").split("_seed")
    frame = frame.assign(num_tasks=float(num_tasks), seed=int(seed))
    tables.write_table(runs / target / f"{name}.parquet", name, frame, metadata)


def edit_config(change) -> None:
    path = Path("smoke/config.json")
    config = json.loads(path.read_text())
    change(config)
    path.write_text(json.dumps(config))


def edit_checkpoints(path: str, change) -> None:
    """Change the header of a checkpoint file, as a dict, and its parameters (C, P) in place."""
    content = Path(path).read_bytes()
    (size,) = struct.unpack("<Q", content[:8])
    header = json.loads(content[8 : 8 + size])
    begin, end = header["parameters"]["data_offsets"]
    shape = header["parameters"]["shape"]
    data = bytearray(content[8 + size :])
    parameters = np.frombuffer(data, "<f4", (end - begin) // 4, begin).reshape(shape)
    change(header, parameters)
    text = json.dumps(header).encode()
    Path(path).write_bytes(struct.pack("<Q", len(text)) + text + data)


def edit_header(path: str, **changes) -> None:
    """Change the metadata of a checkpoint file."""

    def change(header, _):
        metadata = json.loads(header["__metadata__"]["transience"]) | changes
        header["__metadata__"]["transience"] = json.dumps(metadata)

    edit_checkpoints(path, change)


# In order


def test_finished_results_are_in_order(smoke, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["verify", "smoke"])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 0
    (line,) = capsys.readouterr().out.splitlines()
    count = len(list(smoke.rglob("*.parquet")))
    assert line.startswith(f"smoke: in order: {count} tables, 6 checkpoint files, 6 runs; commit ")
    metadata = tables.read_metadata("smoke/tables/claims.parquet")
    assert f"torch {metadata['versions']['torch']}" in line
    assert line.endswith(f"; {metadata['device']}")


def test_nothing_is_written(smoke):
    before = {path: path.stat().st_mtime_ns for path in smoke.rglob("*")}
    assert not problems()
    assert {path: path.stat().st_mtime_ns for path in smoke.rglob("*")} == before


def test_a_problem_is_a_line_and_exit_code_1(smoke, monkeypatch, capsys):
    (smoke / "report.html").unlink()
    monkeypatch.setattr("sys.argv", ["verify", "smoke", "elsewhere"])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 1
    assert capsys.readouterr().out.splitlines() == [
        "smoke/report.html: expected a file, found none; run the sweep again",
        "elsewhere/config.json: expected the configuration of results, found none; "
        "run the sweep again",
    ]


def test_results_without_runs_are_checked_as_far_as_they_go(smoke):
    shutil.rmtree(smoke / "runs")
    found = verify(smoke)
    assert not found.problems
    assert found.notes == ["smoke/runs: no such folder; tables are checked without their runs"]
    rewrite("smoke/tables/transience.parquet", lambda frame: frame.assign(final_ood_loss=1.0))
    assert [line.partition(": expected ")[0] for line in problems()] == [
        "smoke/tables/transience.parquet"
    ]


def test_what_a_smaller_configuration_leaves_behind_is_a_note(smoke):
    shutil.copytree("smoke/runs/baseline/M1_seed0", "smoke/runs/baseline/M2_seed0")
    shutil.copytree("smoke/runs/baseline/M1_seed0", "smoke/runs/wider/M1_seed0")
    (smoke / "figures/mine.png").write_text("mine")
    found = verify(smoke)
    assert not found.problems
    assert found.notes == [
        "smoke/figures/mine.png: not of this workflow",
        "smoke/runs/baseline/M2_seed0: not in config.json, unchecked",
        "smoke/runs/wider/M1_seed0: not in config.json, unchecked",
    ]


def test_several_versions_and_devices_are_notes(smoke):
    path = "smoke/tables/claims.parquet"
    versions = tables.read_metadata(path)["versions"]
    relabel(path, versions=versions | {"torch": "1.0"}, device="0 of another kind")
    found = verify(smoke)
    assert not found.problems
    assert found.notes[0].startswith("smoke: several versions of torch: 1.0, ")
    assert found.notes[1].startswith("smoke: several devices: 0 of another kind, ")
    assert len(found.notes) == 2


# Files


def test_missing_and_undeclared_files(smoke):
    Path(f"{RUN}/llc.parquet").unlink()
    (smoke / "figures/figure1.pdf").unlink()
    shutil.copy(f"{RUN}/training.parquet", smoke / "tables/training_old.parquet")
    shutil.copy(f"{RUN}/training.parquet", f"{RUN}/backup.parquet")
    shutil.copytree(RUN, f"{RUN} (copy)")
    stray = "expected what the workflow writes, found an undeclared file; move it away"
    left = sorted(Path(f"{RUN} (copy)").iterdir())
    assert problems() == [
        "smoke/figures/figure1.pdf: expected a file, found none; run the sweep again",
        f"{RUN}/llc.parquet: expected a file, found none; run the sweep again",
        f"{RUN}/backup.parquet: {stray}",
        *(f"{path}: {stray}" for path in left),
        f"smoke/tables/training_old.parquet: {stray}",
    ]


@pytest.mark.parametrize(
    "file",
    [
        "tables/evaluation.parquet",
        "runs/baseline/M4_seed0/probe.parquet",
        "runs/baseline/M4_seed0/checkpoints.safetensors",
        "figures/figure1.png",
        "figures/figure1.pdf",
        "report.html",
        "config.json",
    ],
)
def test_a_truncated_file_is_one_line(smoke, file):
    path = smoke / file
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    (line,) = problems()
    assert line.startswith(f"smoke/{file}: expected ")
    assert line.endswith(f"; {AGAIN}")


def test_checking_goes_on_after_damage(smoke):
    for path in ("tables/llc.parquet", "runs/baseline/M1_seed0/llc.parquet"):
        (smoke / path).write_bytes(b"")
    relabel(f"{RUN}/evaluation.parquet", seed=1)
    assert [line.partition(": expected ")[0] for line in problems()] == [
        "smoke/tables/llc.parquet",
        "smoke/runs/baseline/M1_seed0/llc.parquet",
        f"{RUN}/evaluation.parquet",
    ]


def test_metadata_that_is_no_json_is_damage(smoke):
    path = f"{RUN}/llc.parquet"
    table = pq.ParquetFile(path).read()
    pq.write_table(table.replace_schema_metadata({tables.METADATA_KEY: b"{"}), path)
    (line,) = problems()
    assert line.startswith(f"{path}: expected llc, found damage (")


class Executed:
    """Pickled, it makes a file where it is loaded."""

    def __reduce__(self):
        """Call Path.touch on loading."""
        return Path.touch, (Path("executed"),)


def test_a_pickle_in_the_place_of_checkpoints_is_refused_unexecuted(smoke):
    path = Path(f"{RUN}/checkpoints.safetensors")
    path.write_bytes(pickle.dumps(Executed()))
    (line,) = problems()
    assert line.startswith(f"{path}: expected a checkpoint file of this project, found ")
    assert not Path("executed").exists()
    pickle.loads(path.read_bytes())
    assert Path("executed").exists()  # it would have


# Metadata, places and rows


def test_every_entry_of_the_metadata_is_needed(smoke):
    for number, key in enumerate(("seed", "settings", "code", "versions", "device", "threads")):
        relabel(f"{RUN}/{tables_of_runs()[number]}.parquet", **{key: None})
    for line, key in zip(problems(), ("seed", "settings", "code", "versions"), strict=False):
        assert line.endswith(f", found no {key}; {AGAIN}")
    assert len(problems()) == 6


def tables_of_runs() -> list[str]:
    return ["training", "evaluation", "predictors", "probe", "llc", "llc_trace"]


@pytest.mark.parametrize(
    ("path", "changes", "message"),
    [
        (f"{RUN}/llc.parquet", {"seed": 1}, "metadata seed 0, found 1"),
        (f"{RUN}/llc.parquet", {"num_tasks": "1"}, "metadata num_tasks 4, found 1"),
        (f"{RUN}/llc.parquet", {"variant": "wide"}, "metadata variant baseline, found wide"),
        (f"{RUN}/llc.parquet", {"experiment": "mine"}, "metadata experiment smoke, found mine"),
        ("smoke/tables/llc.parquet", {"seed": 1}, "metadata seed 0, 1, found 1"),
    ],
)
def test_metadata_and_place_agree(smoke, path, changes, message):
    relabel(path, **changes)
    assert problems() == [f"{path}: expected {message}; {AGAIN}"]


def test_rows_and_place_agree(smoke):
    rewrite(f"{RUN}/llc.parquet", lambda frame: frame.assign(seed=1))
    rewrite("smoke/tables/llc.parquet", lambda frame: frame[frame["num_tasks"] != 4])
    assert problems() == [
        "smoke/tables/llc.parquet: expected rows of every variant, num_tasks, seed of its runs, "
        f"found no baseline 4 0; no baseline 4 1; {AGAIN}",
        f"{RUN}/llc.parquet: expected rows of every variant, num_tasks, seed of its runs, "
        f"found no baseline 4 0; also baseline 4 1; {AGAIN}",
    ]


def test_a_table_of_another_seed_is_one_line(smoke):
    shutil.copy("smoke/runs/baseline/M4_seed1/evaluation.parquet", RUN)
    assert problems() == [f"{RUN}/evaluation.parquet: expected metadata seed 0, found 1; {AGAIN}"]


def test_checkpoints_of_another_seed_are_one_line(smoke):
    shutil.copy("smoke/runs/baseline/M4_seed1/checkpoints.safetensors", RUN)
    assert problems() == [
        f"{RUN}/checkpoints.safetensors: expected metadata seed 0, found 1; {AGAIN}"
    ]


def test_another_configuration_is_named_by_its_key(smoke):
    edit_config(lambda config: config["llc"].update(nbeta=50.0))
    found = problems()
    names = ("llc", "llc_trace", "indicators")
    places = ["smoke/tables", *(f"smoke/runs/baseline/{run}" for run in RUNS)]
    assert sorted(found) == sorted(
        f"{place}/{name}.parquet: expected settings llc.nbeta 50.0, as config.json has it, "
        f"found 100.0; {AGAIN}"
        for place in places
        for name in names
    )


TRAINED = ("checkpoints.safetensors", "training.parquet")
RUNS = [f"M{num_tasks}_seed{seed}" for num_tasks in ("1", "4", "inf") for seed in (0, 1)]


def test_settings_are_those_of_the_variant(smoke):
    override = {"baseline": {"training": {"learning_rate": 3.0e-3}}}
    edit_config(lambda config: config["training"].update(learning_rate=1.0))
    edit_config(lambda config: config.update(variants=override))
    wrong = "expected settings training.learning_rate 1.0, as config.json has it, found 0.003"
    of_sweep = [f"smoke/tables/{name}.parquet" for name in ("free_energy", "free_energy_agreement")]
    assert problems() == [f"{file}: {wrong}; {AGAIN}" for file in of_sweep]  # they read the base
    edit_config(lambda config: config.update(variants={"baseline": {}}))
    places = [f"smoke/runs/baseline/{run}" for run in RUNS]
    files = [f"{place}/{name}" for place in places for name in TRAINED]
    files += ["smoke/tables/training.parquet", *of_sweep]
    assert sorted(problems()) == sorted(f"{file}: {wrong}; {AGAIN}" for file in files)


def test_a_configuration_is_valid_and_whole(smoke):
    edit_config(lambda config: config["llc"].update(nbeta="much"))
    (line,) = problems()
    assert line.startswith("smoke/config.json: llc.nbeta: expected ")
    edit_config(lambda config: config["llc"].pop("nbeta"))
    assert problems() == [
        "smoke/config.json: expected every key, found no llc.nbeta; run the sweep again"
    ]


def test_mixed_code_is_named(smoke):
    relabel(f"{RUN}/llc.parquet", code="0" * 16)
    edit_header(f"{RUN}/checkpoints.safetensors", code="1" * 16)
    usual = tables.read_metadata("smoke/runs/baseline/M1_seed0/llc.parquet")["code"]
    training = tables.read_metadata("smoke/runs/baseline/M1_seed0/training.parquet")["code"]
    assert problems() == [
        f"{RUN}/checkpoints.safetensors: expected code {training}, as in 11 of 12 such files, "
        f"found {'1' * 16}; {AGAIN}",
        f"{RUN}/llc.parquet: expected code {usual}, as in 11 of 12 such files, "
        f"found {'0' * 16}; {AGAIN}",
        f"smoke/tables/llc.parquet: expected the code of the 6 tables of runs, found others; "
        f"{AGAIN}",
    ]


def test_a_collected_table_is_of_these_very_files(smoke):
    relabel("smoke/tables/llc.parquet", created="2000-01-01T00:00:00+00:00")
    assert problems() == [
        f"smoke/tables/llc.parquet: expected the created of the 6 tables of runs, found others; "
        f"{AGAIN}"
    ]


# Contents


@pytest.mark.parametrize(
    ("name", "source", "expected"),
    [
        ("training", "M4_seed1", "the loss of the first batch, "),
        ("training", "M1_seed0", "the loss of the first batch, "),
        ("predictors", "M4_seed1", "the losses on the tasks of its seed and M, "),
        ("predictors", "M1_seed0", "the losses on the tasks of its seed and M, "),
        ("probe", "M4_seed1", "the predictions of dmmse for its seed and M, "),
        ("probe", "M1_seed0", "the predictions of dmmse for its seed and M, "),
        ("evaluation", "M4_seed1", "what the checkpoint of step 300 gives, "),
        ("evaluation", "M1_seed0", "what the checkpoint of step 300 gives, "),
        ("llc", "M4_seed1", "initial_loss "),
        ("llc_trace", "M4_seed1", "the mean losses of table llc, "),
        ("indicators", "M1_seed0", "the squared_weight_norm of the checkpoints, "),
    ],
)
def test_relabelled_numbers_of_another_run_are_found(smoke, name, source, expected):
    pass_off(name, source)
    (line,) = problems()
    assert line.startswith(f"{RUN}/{name}.parquet: expected {expected}")
    assert "found others, by up to " in line


@pytest.mark.parametrize("name", ["training", "llc"])
def test_losses_on_sequences_that_a_gpu_drew_are_passed_over(smoke, name):
    pass_off(name, "M4_seed1")
    place = f"{RUN}/{name}.parquet: "
    assert any(line.startswith(place) for line in problems())
    relabel(f"{RUN}/{name}.parquet", device="NVIDIA H100 80GB HBM3")
    assert not any(line.startswith(place) for line in problems())


def test_relabelled_checkpoints_of_another_seed_are_found(smoke):
    path = f"{RUN}/checkpoints.safetensors"
    shutil.copy("smoke/runs/baseline/M4_seed1/checkpoints.safetensors", RUN)
    edit_header(path, seed=0)
    (line,) = problems()
    assert line.startswith(f"{path}: expected the initialisation of seed 0 at step 0, found others")


def test_checkpoints_of_another_task_diversity_agree_with_no_table(smoke):
    shutil.copy("smoke/runs/baseline/M1_seed0/checkpoints.safetensors", RUN)
    edit_header(f"{RUN}/checkpoints.safetensors", num_tasks="4")
    named = {line.partition(": expected ")[0] for line in problems()}
    tables_named = ("evaluation", "probe", "llc", "indicators")
    assert named == {f"{RUN}/{name}.parquet" for name in tables_named}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda header, parameters: parameters.__setitem__((-1, 5), np.nan),
            "finite numbers, found others at step 300",
        ),
        (
            lambda header, parameters: header["parameters"].update(dtype="I32"),
            "parameters of shape [14, 3011] in F32, found [14, 3011] in I32",
        ),
        (
            lambda header, parameters: header["parameters"].update(shape=[3011, 14]),
            "parameters of shape [14, 3011] in F32, found [3011, 14] in F32",
        ),
    ],
)
def test_checkpoints_are_finite_and_of_the_architecture(smoke, change, message):
    path = f"{RUN}/checkpoints.safetensors"
    edit_checkpoints(path, change)
    assert problems() == [f"{path}: expected {message}; {AGAIN}"]


def test_checkpoints_are_those_of_the_schedule(smoke):
    edit_config(lambda config: config["checkpoints"].update(linear_every=100))
    for run in RUNS:
        path = f"smoke/runs/baseline/{run}/checkpoints.safetensors"
        settings = json.loads(Path("smoke/config.json").read_text())
        edit_header(path, settings={"checkpoints": settings["checkpoints"]})
    lines = [line for line in problems() if "safetensors" in line]
    assert len(lines) == len(RUNS)
    assert ": expected 11 checkpoints as scheduled, found 14 at other steps; " in lines[0]


@pytest.mark.parametrize("name", ["evaluation", "indicators", "llc", "llc_trace"])
def test_steps_are_those_of_the_checkpoints(smoke, name):
    path = f"{RUN}/{name}.parquet"
    rewrite(path, lambda frame: frame[frame["step"] != frame["step"].min()])
    (line,) = [line for line in problems() if line.startswith(f"{path}: ")]
    assert ": expected the steps " in line


def test_tables_made_on_demand_are_checked_where_they_are(smoke):
    """As `make calibrate` would write it, then with the settings and step of another."""
    path = f"{RUN}/llc_curvature.parquet"
    columns = [column.name for column in tables.schemas()["llc_curvature"].columns]
    row = dict.fromkeys(columns, 1.0) | {"variant": "baseline", "num_tasks": 4.0, "seed": 0}
    frame = pd.DataFrame([row | {"step": 300, "products": 1, "sequences": 1}])
    metadata = tables.read_metadata(f"{RUN}/llc.parquet") | {"table": "llc_curvature"}
    tables.write_table(path, "llc_curvature", frame, metadata)
    assert not problems()
    again = "delete it and run make calibrate"
    tables.write_table(path, "llc_curvature", frame.assign(step=50), metadata)
    assert problems() == [
        f"{path}: expected the steps 300 (1 in all) of the checkpoints, found 50 (1 in all); "
        f"{again}"
    ]
    settings = metadata["settings"] | {"llc_calibration": {"num_sequences": 7}}
    relabel(path, settings=settings)
    (line,) = problems()
    assert line.startswith(f"{path}: expected settings llc_calibration.")
    assert line.endswith(again)


def test_training_is_logged_to_the_end(smoke):
    path = f"{RUN}/training.parquet"
    rewrite(path, lambda frame: frame[frame["step"] < 300])
    assert problems() == [
        f"{path}: expected 31 rows up to step 300, found 30 of other steps; {AGAIN}"
    ]


def test_collected_rows_are_those_of_the_runs(smoke):
    path = "smoke/tables/llc_trace.parquet"
    rewrite(path, lambda frame: frame.assign(loss=frame["loss"].where(frame.index != 0, 0.0)))
    assert problems() == [
        f"{path}: expected the rows of smoke/runs/baseline/M1_seed0/llc_trace.parquet, "
        f"found others; {AGAIN}"
    ]


@pytest.mark.parametrize(
    ("name", "column", "sources"),
    [
        ("trajectory_pca", "pc2", "probe"),
        ("trajectory_pca_components", "loading", "probe"),
        ("transience", "final_ood_loss", "evaluation, predictors, trajectory_pca"),
        ("indicator_agreement", "rank_correlation", "indicators, llc"),
        ("free_energy", "delta_loss", "evaluation, predictors, llc"),
    ],
)
def test_computed_tables_follow_from_their_sources(smoke, name, column, sources):
    path = f"smoke/tables/{name}.parquet"
    rewrite(path, lambda frame: frame.assign(**{column: -frame[column]}))
    (line,) = problems()
    assert line.startswith(f"{path}: expected what follows from {sources}, found others, by up to ")
    assert line.endswith(f" ({column}); {AGAIN}")


def test_claims_follow_from_the_tables(smoke):
    path = "smoke/tables/claims.parquet"
    rewrite(path, lambda frame: frame.assign(verdict="holds"))
    (line,) = problems()
    assert line.startswith(f"{path}: expected what follows from evaluation, ")
    assert line.endswith(f"found others (verdict); {AGAIN}")


def test_a_report_shows_these_figures(smoke):
    shutil.copy("smoke/figures/distances.png", "smoke/figures/figure1.png")
    assert problems() == [
        f"smoke/report.html: expected the figure figure1.png, found another; {AGAIN}"
    ]
