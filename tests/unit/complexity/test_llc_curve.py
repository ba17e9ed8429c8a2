"""The command llc_curve: its rows, the samplers behind them, mistakes."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from small import DRIFT, FLAGS, MODEL, TASK, small_run, write_checkpoints

from transience.command.entry import ends_in_one_line
from transience.complexity import checkpoint, llc_curve
from transience.complexity.llc_curve import curve_run, quadrature_rows, samplers
from transience.complexity.settings import LLCCurveSettings, LLCSettings
from transience.files import tables
from transience.problem.drift import Drift

LLC = {
    "checkpoints": ["final"], "step_size": 1e-3, "nbeta": 50.0, "gamma": 10.0, "num_chains": 2,
    "num_draws": 10, "num_burn_in": 2, "batch_size": 16, "data_mode": "fixed",
    "num_sequences": 32, "lanczos_steps": 6, "lanczos_sequences": 16,
}  # fmt: skip
CURVE = {
    "checkpoints": [0, "final"], "h_star": [4.0, 1.0, 0.2], "sampled_h_star": [4.0, 2.0],
    "num_probes": 3, "lanczos_steps": 6, "num_sequences": 16,
}  # fmt: skip


def run_command(folder: Path, monkeypatch: pytest.MonkeyPatch, llc: dict, curve: dict) -> None:
    settings = {"experiment": "test", "task": TASK, "model": MODEL, "llc": llc, "llc_curve": curve}
    words = ["--settings", json.dumps(settings), "--checkpoints", str(folder / "checkpoints")]
    words += ["--llc-curve", str(folder / "llc_curve")]
    monkeypatch.setattr("sys.argv", ["llc_curve", *FLAGS, *words])
    ends_in_one_line(llc_curve.main)


def table(folder: Path, monkeypatch: pytest.MonkeyPatch, **changes: Any) -> pd.DataFrame:
    """Of a run at steps 0, 5 and 10, with changes of either section."""
    if not (folder / "checkpoints").exists():
        write_checkpoints(folder / "checkpoints", small_run(), [0, 5, 10])
    run_command(folder, monkeypatch, LLC, CURVE | changes)
    return tables.read_table(folder / "llc_curve", "llc_curve")


def test_the_command_writes_a_row_for_each_checkpoint_method_and_h_star(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
):
    found = table(tmp_path, monkeypatch)
    expected = [("quadrature", h) for h in (0.2, 1.0, 4.0)] + [("sgld", h) for h in (2.0, 4.0)]
    for step in (0, 10):
        rows = found[found["step"] == step]
        assert sorted(zip(rows["method"], rows["h_star"], strict=True)) == expected
    assert len(found) == 2 * len(expected)
    assert (found["seed"] == 1).all() and (found["num_tasks"] == 4).all()
    by = found.groupby("method")
    assert by["estimates"].unique().map(list).to_dict() == {"quadrature": [3], "sgld": [2]}
    assert found["llc"].notna().all() and (found["error"] > 0).all()
    assert (by["negative_part"].count() == pd.Series({"quadrature": 6, "sgld": 0})).all()
    assert (found.loc[found["method"] == "quadrature", "negative_part"] <= 0).all()
    assert (found.loc[found["method"] == "quadrature", "flags"] == "").all()
    assert "ESS" in found.loc[found["method"] == "sgld", "flags"].iloc[0]  # of ten draws
    assert "llc_curve baseline M=4 seed=1  part 10/10 (100%)" in capsys.readouterr().err


def test_sgld_has_the_pull_of_its_h_star_and_as_many_draws_to_relax():
    configured = LLCSettings(**LLC)
    found = list(samplers(configured, LLCCurveSettings(**CURVE), seed=7))
    assert [sampler.gamma for sampler in found] == [200.0, 100.0]
    for sampler in found:
        assert sampler.step_size * sampler.gamma == pytest.approx(1e-3 * 10)
        assert (sampler.nbeta, sampler.seed, sampler.num_draws) == (50.0, 7, 10)
    without = configured.model_copy(update={"gamma": 0.0})
    steps = [sampler.step_size for sampler in samplers(without, LLCCurveSettings(**CURVE), 7)]
    assert steps == [1e-3, 1e-3]


def test_estimates_are_taken_with_these_samplers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """ε is lowered only where the curvature left asks for it."""
    used, original = [], checkpoint.estimate_llc_with_gradient

    def estimate(model, vector, data, sampler, **options):
        used.append(
            (sampler.gamma, sampler.step_size, sampler.stiffness(options["curvature"].remaining))
        )
        return original(model, vector, data, sampler, **options)

    monkeypatch.setattr(checkpoint, "estimate_llc_with_gradient", estimate)
    table(tmp_path, monkeypatch, checkpoints=["final"], sampled_h_star=[4.0, 1e-3])
    (stiff_pull, small_step, _), (weak_pull, lowered, stiffness) = used
    assert (stiff_pull, weak_pull) == (200.0, pytest.approx(0.05))
    assert small_step == pytest.approx(1e-3 * 10 / 200)
    assert lowered < 1e-3 * 10 / 0.05  # what εγ asks for is far too large
    assert stiffness == pytest.approx(0.15, rel=1e-5)


def test_without_h_star_of_sgld_there_is_the_quadrature_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    whole = table(tmp_path, monkeypatch)
    alone = table(tmp_path, monkeypatch, sampled_h_star=[])
    of_quadrature = whole[whole["method"] == "quadrature"].reset_index(drop=True)
    pd.testing.assert_frame_equal(alone, of_quadrature)


def test_a_checkpoints_rows_do_not_depend_on_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    both = table(tmp_path, monkeypatch)
    last = table(tmp_path, monkeypatch, checkpoints=["final"])
    pd.testing.assert_frame_equal(both[both["step"] == 10].reset_index(drop=True), last)


def test_errors_are_those_of_the_mean_over_probes():
    probes = pd.DataFrame(
        {"h_star": [1.0] * 3, "probe": range(3), "llc": [1.0, 2.0, 6.0],
         "negative_part": [-1.0, 0.0, -2.0]}
    )  # fmt: skip
    (row,) = quadrature_rows(probes).to_dict("records")
    assert row["llc"] == 3.0 and row["negative_part"] == -1.0 and row["estimates"] == 3
    assert row["error"] == pytest.approx(np.std([1, 2, 6], ddof=1) / np.sqrt(3))


def test_a_mistake_is_told_with_file_and_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
):
    write_checkpoints(tmp_path / "checkpoints", small_run(), [0, 5, 10])
    with pytest.raises(SystemExit):
        run_command(tmp_path, monkeypatch, LLC | {"batch_size": 33}, CURVE)
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.startswith(f"error: {tmp_path / 'checkpoints'}, step 0: batch_size: ")
    assert not (tmp_path / "llc_curve").exists()


def test_where_tasks_wander_the_loss_is_that_of_the_checkpoints_tasks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """As if there were that checkpoint alone, of a run whose tasks had always been such."""
    settings = LLCSettings(**LLC), LLCCurveSettings(**CURVE | {"checkpoints": [0, 3, 9]})
    run = replace(small_run(), drift=tuple(Drift(*one) for one in DRIFT))
    write_checkpoints(tmp_path / "drifting", small_run(), [0, 3, 9], drift=DRIFT)
    write_checkpoints(tmp_path / "still", small_run(), [0, 3, 9])
    drifting, still = (
        small_run().open_checkpoints(tmp_path / name) for name in ("drifting", "still")
    )
    cpu = torch.device("cpu")
    found = list(curve_run(small_run(), drifting, *settings, cpu))
    without = list(curve_run(small_run(), still, *settings, cpu))
    original = checkpoint.dataset
    for step, frame, other in zip((0, 3, 9), found, without, strict=True):
        there = run.at(step)
        with monkeypatch.context() as patch:
            patch.setattr(checkpoint, "dataset", lambda _, *rest, of=there: original(of, *rest))
            alone = settings[1].model_copy(update={"checkpoints": [step]})
            (expected,) = curve_run(small_run(), still, settings[0], alone, cpu)
        pd.testing.assert_frame_equal(frame, expected)
        assert frame.equals(other) == (step == 0)
