"""Which trainings there are: planned, begun, of a sweep or of anyone."""

import json
import os

import pytest
from made_up_lines import run_lines

from transience.errors import InputError
from transience.planning.configuration import completed
from transience.watch.monitor import Monitor
from transience.watch.places import family, places, warning

WRITTEN = {
    "experiment": "small",
    "sweep": {"num_tasks": [4, 16, "inf"], "seeds": [0, 1]},
    "variants": {"baseline": {}, "wide": {"sweep": {"num_tasks": [4], "seeds": [0]}}},
}


def configured(folder):
    text = json.dumps(completed(WRITTEN) | {"configuration_files": ["a.yaml"]})
    (folder / "config.json").write_text(text)


def names(folder):
    return [place.name for place in places(folder)]


def test_runs_are_those_planned_in_the_order_of_m(tmp_path):
    configured(tmp_path)
    run_lines(tmp_path, 99.0)  # of another configuration
    assert names(tmp_path) == [
        *("baseline/M4_seed0", "baseline/M4_seed1", "wide/M4_seed0"),
        *("baseline/M16_seed0", "baseline/M16_seed1", "baseline/Minf_seed0", "baseline/Minf_seed1"),
    ]
    assert warning(tmp_path) == ""
    assert all(place.lines() is None for place in places(tmp_path))


@pytest.mark.parametrize("damage", [None, "", "{", "[]", '{"variants": 3}'])
def test_without_a_plan_runs_are_those_begun(tmp_path, damage):
    run_lines(tmp_path, 8.0, seed=3, variant="a_Mb")
    (tmp_path / ".resume/llc_baseline_M4_seed0/abc").mkdir(parents=True)  # of another stage
    (tmp_path / "runs/baseline/Minf_seed0").mkdir(parents=True)
    if damage is not None:
        (tmp_path / "config.json").write_text(damage)
    assert names(tmp_path) == ["a_Mb/M8_seed3", "baseline/Minf_seed0"]
    assert bool(warning(tmp_path)) == (damage is not None)
    assert "\n" not in warning(tmp_path)


def test_anyones_trainings_are_files_of_lines(tmp_path):
    for name in ("b", "deep/a"):
        Monitor(tmp_path / f"{name}.jsonl", every=1)(1, {"loss": 1.0})
    (tmp_path / "other.jsonl").write_text('{"id": 1}\n')
    (tmp_path / "empty.jsonl").touch()
    (tmp_path / "later.jsonl").write_text('{"format": 99, "pid": 1}\n')
    assert names(tmp_path) == ["b", "deep/a", "later"]


def test_a_name_that_is_no_utf8_can_be_shown(tmp_path):
    (tmp_path / os.fsdecode(b"caf\xe9.jsonl")).write_text('{"format": 1, "pid": 1}\n')
    assert names(tmp_path) == ["caf\ufffd"]


def test_the_family_is_that_of_the_plan(tmp_path):
    assert family(tmp_path) == "linear"
    configured(tmp_path)
    assert family(tmp_path) == "linear"
    config = json.loads((tmp_path / "config.json").read_text())
    config["task"]["family"] = "features"
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert family(tmp_path) == "features"


@pytest.mark.parametrize(
    ("name", "found"),
    [("nothing", "found no such folder"), ("file", "found a file"), ("empty", "found neither")],
)
def test_a_folder_that_is_no_sweep_is_said_in_a_line(tmp_path, name, found):
    (tmp_path / "file").touch()
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError) as error:
        places(tmp_path / name)
    assert found in str(error.value) and "\n" not in str(error.value)


def test_the_folder_of_all_sweeps_is_no_sweep_and_names_them(tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        configured(tmp_path / name)
        run_lines(tmp_path / name)
    with pytest.raises(InputError, match=f"found those of 2: {tmp_path}/one, {tmp_path}/two$"):
        places(tmp_path)
