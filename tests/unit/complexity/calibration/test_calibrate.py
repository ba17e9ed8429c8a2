"""The command that calibrates SGLD on a run."""

import json
import math
from pathlib import Path

import pytest
import torch
import yaml
from made_up_calibration import CONFIGURED
from small import DRIFT, FLAGS, MODEL, TASK, small_run, write_checkpoints

from transience.command.entry import ends_in_one_line
from transience.complexity.calibration import calibrate
from transience.complexity.calibration.grid import grid
from transience.complexity.limits import MAX_STIFFNESS
from transience.complexity.settings import LLCCalibrationSettings
from transience.files.tables import read_table
from transience.planning import configuration

DEFAULTS = Path(__file__).parents[4] / "config/config.yaml"


@pytest.mark.parametrize("lanczos_steps", [8, 0])
def test_the_command_writes_both_tables(
    lanczos_steps: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changes = {"width": 4, "mlp_width": 4}
    write_checkpoints(tmp_path / "checkpoints", small_run(math.inf, **changes), [0, 5, 10])
    few = CONFIGURED.model_copy(
        update={"num_draws": 8, "num_burn_in": 4, "lanczos_steps": lanczos_steps}
    )
    chosen = {"num_tasks": ["all"], "seeds": ["all"], "checkpoints": [0, "final"]}
    sections = {"task": TASK, "model": MODEL | changes, "llc": few.model_dump()}
    sections["llc_calibration"] = chosen | {"num_sequences": 16}
    paths = {name: tmp_path / name for name in ("checkpoints", "llc-calibration", "llc-curvature")}
    words = ["calibrate", *FLAGS, "--num-tasks", "inf"]
    words += ["--settings", json.dumps({"experiment": "test", **sections})]
    words += [word for name, path in paths.items() for word in (f"--{name}", str(path))]
    monkeypatch.setattr("sys.argv", words)
    ends_in_one_line(calibrate.main)
    calibration = read_table(paths["llc-calibration"], "llc_calibration")
    assert len(calibration) == 2 * 6 * 2  # steps, settings, chains
    assert set(calibration["setting"]) == set(grid(CONFIGURED))
    stiffest = read_table(paths["llc-curvature"], "llc_curvature")
    assert stiffest["step"].tolist() == [0, 10]
    left, largest = stiffest["remaining_curvature"], stiffest["largest_curvature"]
    assert (largest > 0).all() and (left == largest).all() == (not lanczos_steps)
    assert (left <= largest).all()
    for row in stiffest.itertuples():
        assert row.stiffness == pytest.approx(CONFIGURED.stiffness(row.remaining_curvature))
        assert row.sequences == 16
        bound = CONFIGURED.model_copy(update={"step_size": row.step_size_bound})
        assert bound.stiffness(row.remaining_curvature) == pytest.approx(MAX_STIFFNESS)


def test_where_tasks_wander_curvature_is_that_of_the_checkpoints_tasks(tmp_path: Path) -> None:
    run = small_run(width=4, mlp_width=4)
    chosen = LLCCalibrationSettings(
        num_tasks=["all"], seeds=["all"], checkpoints=[0, 3], num_sequences=16
    )
    largest = []
    for name, drift in (("drifting", {"drift": DRIFT}), ("still", {})):
        write_checkpoints(tmp_path / name, run, [0, 3], **drift)
        reader = run.open_checkpoints(tmp_path / name)
        rows = calibrate.curvatures(run, reader, CONFIGURED, chosen, torch.device("cpu"))
        largest.append([row["largest_curvature"] for row in rows])
    assert [one == other for one, other in zip(*largest, strict=True)] == [True, False]


# Its runs


def completed(sweep: dict, chosen: dict, variants: dict) -> dict:
    config = yaml.safe_load(DEFAULTS.read_bytes())
    changes = {"sweep": sweep, "llc_calibration": config["llc_calibration"] | chosen}
    return configuration.completed(config | changes | {"variants": variants})


def test_calibrated_runs_are_those_chosen() -> None:
    sweep, variants = {"num_tasks": [1, 8, "inf"], "seeds": [0, 1]}, {"baseline": {}}
    everything = completed(sweep, {"num_tasks": ["all"], "seeds": ["all"]}, variants)
    assert configuration.calibrated_runs(everything) == configuration.runs(everything)
    some = completed(sweep, {"num_tasks": [8, math.inf], "seeds": [1]}, variants)
    expected = [("baseline", 8, 1), ("baseline", math.inf, 1)]
    assert configuration.calibrated_runs(some) == expected


def test_a_variant_may_sweep_what_is_calibrated_elsewhere() -> None:
    variants = {"baseline": {}, "one": {"sweep": {"num_tasks": [64], "seeds": [7]}}}
    chosen = {"num_tasks": ["all"], "seeds": [0]}
    config = completed({"num_tasks": [1, 8], "seeds": [0]}, chosen, variants)
    assert {run[0] for run in configuration.calibrated_runs(config)} == {"baseline"}
