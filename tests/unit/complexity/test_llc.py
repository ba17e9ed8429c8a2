"""The command llc: which checkpoints, both tables, a killed job that goes on, mistakes."""

import contextlib
import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from small import DRIFT, FLAGS, MODEL, TASK, small_run, write_checkpoints

from transience.command.entry import ends_in_one_line
from transience.complexity import checkpoint, llc
from transience.complexity.estimator import estimate_llc_with_gradient
from transience.complexity.llc import choose_checkpoints
from transience.complexity.settings import LLCSettings
from transience.files import tables
from transience.files.checkpoints import CheckpointWriter
from transience.model.loss_and_gradient import LossAndGradient
from transience.model.transformer import initial_parameters
from transience.problem.drift import Drift

SECTION = {
    "checkpoints": [0, 10],
    "step_size": 1.0e-3,
    "nbeta": 50.0,
    "gamma": 10.0,
    "num_chains": 2,
    "num_draws": 10,
    "num_burn_in": 2,
    "batch_size": 16,
    "data_mode": "fixed",
    "num_sequences": 32,
    "lanczos_steps": 8,
    "lanczos_sequences": 16,
}


@pytest.mark.parametrize(
    ("wanted", "indices"),
    [
        (["final"], [3]),
        ([0, 90], [0, 2]),
        (["final", 10_000], [3]),
        ([140, "final", 9], [0, 2, 3]),
        ([0.09, 0.5, "final"], [2, 3]),
    ],
)
def test_checkpoints_are_chosen_by_nearest_step(wanted, indices):
    assert choose_checkpoints([0, 20, 100, 1000], wanted) == indices


# The command


@pytest.fixture
def checkpoints(tmp_path: Path) -> Path:
    """A run of the small transformer at steps 0, 9 and 20; the last has a NaN."""
    run, path = small_run(), tmp_path / "checkpoints.safetensors"
    metadata = {"variant": "baseline", "num_tasks": "4", "seed": 1}
    metadata |= {"settings": {"task": TASK, "model": MODEL}}
    vectors = {step: initial_parameters(run.architecture, seed=step) for step in (0, 9, 20)}
    vectors[20][3] = math.nan
    writer = CheckpointWriter(tmp_path / "partial", list(vectors), len(vectors[0]), metadata)
    for step, vector in vectors.items():
        writer.write(step, vector)
    writer.finish(path)
    return path


def run_command(checkpoints: Path, monkeypatch, changes: dict | None = None) -> None:
    sections = {"task": TASK, "model": MODEL, "llc": SECTION | (changes or {})}
    words = ["--settings", json.dumps({"experiment": "test", **sections})]
    words += ["--checkpoints", str(checkpoints)]
    for name, file in (("llc", "llc"), ("llc-trace", "llc_trace"), ("state-dir", "state")):
        words += [f"--{name}", str(checkpoints.with_name(file))]
    monkeypatch.setattr("sys.argv", ["llc", *FLAGS, *words])
    ends_in_one_line(llc.main)


def test_the_command_writes_both_tables(checkpoints: Path, monkeypatch, capsys):
    run_command(checkpoints, monkeypatch)
    summary = tables.read_table(checkpoints.with_name("llc"), "llc")
    draws = tables.read_table(checkpoints.with_name("llc_trace"), "llc_trace")
    assert summary[["step", "chain"]].to_numpy().tolist() == [[0, 0], [0, 1], [9, 0], [9, 1]]
    assert (summary["seed"] == 1).all() and (summary["num_tasks"] == 4).all()
    assert summary["llc"].notna().all() and summary["loss_rise_fraction"].notna().all()
    assert summary["step_size"].between(0, SECTION["step_size"]).all()
    assert (summary["remaining_curvature"] < summary["largest_curvature"]).all()
    assert len(draws) == 2 * 2 * 12
    assert "llc baseline M=4 seed=1  draw 48/48 (100%)" in capsys.readouterr().err


def test_plain_sgld_measures_no_curvature(checkpoints: Path, monkeypatch):
    run_command(checkpoints, monkeypatch, {"lanczos_steps": 0})
    summary = tables.read_table(checkpoints.with_name("llc"), "llc")
    assert summary[["largest_curvature", "remaining_curvature"]].isna().all(axis=None)
    assert (summary["step_size"] == SECTION["step_size"]).all()
    assert summary["flags"].str.contains("UNCHECKED").all()


def test_fresh_sequences_are_others_for_every_draw(checkpoints: Path, monkeypatch):
    run_command(checkpoints, monkeypatch, {"data_mode": "fresh"})
    draws = tables.read_table(checkpoints.with_name("llc_trace"), "llc_trace")
    assert draws.groupby("step")["baseline_loss"].nunique().tolist() == [24, 24]  # all of them
    xs, ys = small_run().sequences("llc", 9, 1, 3, num_sequences=SECTION["batch_size"])
    with_these = draws.set_index(["step", "chain", "draw"]).loc[(9, 1, 3), "baseline_loss"]
    model = LossAndGradient(small_run().architecture)
    vector = initial_parameters(small_run().architecture, seed=9)
    assert model.losses(vector, xs, ys).double().mean().item() == with_these


def test_a_killed_command_goes_on_after_the_checkpoints_it_finished(
    checkpoints: Path, monkeypatch, capsys
):
    run_command(checkpoints, monkeypatch)
    paths = {name: checkpoints.with_name(name) for name in ("llc", "llc_trace")}
    whole = {name: tables.read_table(path, name) for name, path in paths.items()}
    estimated: list[int] = []

    def killed_after(number: int):
        def estimate(*args, step: int, **options):
            if len(estimated) == number:
                raise KeyboardInterrupt
            estimated.append(step)
            return estimate_llc_with_gradient(*args, step=step, **options)

        return estimate

    monkeypatch.setattr(checkpoint, "estimate_llc_with_gradient", killed_after(1))
    with pytest.raises(SystemExit):
        run_command(checkpoints, monkeypatch)
    (kept,) = checkpoints.parent.glob("state/*/llc_0.parquet")
    monkeypatch.setattr(checkpoint, "estimate_llc_with_gradient", killed_after(9))
    run_command(checkpoints, monkeypatch, {"num_draws": 8, "checkpoints": [9]})
    assert estimated == [0, 9]  # another setting's state is not gone on with
    assert not kept.exists()  # a job that ends well leaves none
    estimated.clear()
    for number in (1, 9):
        monkeypatch.setattr(checkpoint, "estimate_llc_with_gradient", killed_after(number))
        with contextlib.suppress(SystemExit):
            run_command(checkpoints, monkeypatch)
    assert estimated == [0, 9]
    said = capsys.readouterr().err
    assert "resuming after 1 checkpoints" in said and "draw 48/48 (100%)" in said
    for name, path in paths.items():
        assert tables.read_table(path, name).equals(whole[name])


def test_a_damaged_state_is_estimated_again(checkpoints: Path, monkeypatch, capsys):
    write_table = tables.write_table

    def write_and_damage(path, name, *args):
        write_table(path, name, *args)
        if name == "llc" and Path(path).name != "llc":
            Path(path).write_bytes(Path(path).read_bytes()[:-9])
            raise KeyboardInterrupt

    monkeypatch.setattr(llc.tables, "write_table", write_and_damage)
    with pytest.raises(SystemExit):
        run_command(checkpoints, monkeypatch)
    monkeypatch.undo()
    run_command(checkpoints, monkeypatch)
    assert "found a file that is truncated or not Parquet" in capsys.readouterr().err
    assert len(tables.read_table(checkpoints.with_name("llc"), "llc")) == 4


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"checkpoints": ["final"]}, ", step 20: parameters: expected finite numbers, found 1 of "),
        ({"batch_size": 33}, ", step 0: batch_size: expected at most the samples of the dataset"),
    ],
)
def test_the_command_says_in_one_line_what_is_wrong(
    changes: dict, message: str, checkpoints: Path, monkeypatch, capsys
):
    with pytest.raises(SystemExit) as stopped:
        run_command(checkpoints, monkeypatch, changes)
    said = capsys.readouterr().err
    assert stopped.value.code == 1 and said.count("\n") == 1
    assert said.startswith(f"error: {checkpoints}{message}")
    assert not checkpoints.with_name("llc").exists()


def sequences_used(folder: Path, monkeypatch, **changes) -> dict:
    """Sequences (xs, ys) on which the LLC is estimated, by step: of data, or of one draw."""
    used, original = {}, checkpoint.estimate_llc_with_gradient

    def estimate(model, vector, data, sampler, **options):
        used[options["step"]] = data(1, 3) if callable(data) else data
        return original(model, vector, data, sampler, **options)

    monkeypatch.setattr(checkpoint, "estimate_llc_with_gradient", estimate)
    settings = LLCSettings(**SECTION | {"checkpoints": [0, 3, 9]} | changes)
    write_checkpoints(folder / "drifting", small_run(), [0, 3, 9], drift=DRIFT)
    reader = small_run().open_checkpoints(folder / "drifting")
    assert len(list(llc.estimate_run(small_run(), reader, settings, torch.device("cpu")))) == 3
    return used


@pytest.mark.parametrize("data_mode", ["fixed", "fresh"])
def test_where_tasks_wander_the_loss_is_that_of_the_checkpoints_tasks(
    tmp_path: Path, monkeypatch, data_mode: str
):
    run = replace(small_run(), drift=tuple(Drift(*one) for one in DRIFT))
    for step, found in sequences_used(tmp_path, monkeypatch, data_mode=data_mode).items():
        stream = ("llc", step, 1, 3) if data_mode == "fresh" else ("llc",)
        size = SECTION["batch_size" if data_mode == "fresh" else "num_sequences"]
        expected = run.at(step).sequences(*stream, num_sequences=size)
        still = small_run().sequences(*stream, num_sequences=size)
        assert all(map(torch.equal, found, expected)) and found[0].equal(still[0])
        assert found[1].equal(still[1]) == (step == 0)


def test_without_drift_all_checkpoints_share_one_dataset(checkpoints: Path, monkeypatch):
    made, original = [], checkpoint.dataset
    monkeypatch.setattr(
        checkpoint, "dataset", lambda *given: made.append(given) or original(*given)
    )
    run_command(checkpoints, monkeypatch)
    assert len(made) == 1
