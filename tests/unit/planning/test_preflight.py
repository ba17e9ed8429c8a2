"""Before any job: may we write there, and is what stands there ours?"""

import json
import os
from pathlib import Path

import pytest

from transience.planning import preflight

FILES = ["config/config.yaml", "mine.yaml"]


@pytest.fixture(autouse=True)
def somewhere(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)


def record(results: Path, config: dict, files: list[str]) -> None:
    results.mkdir(parents=True)
    (results / "config.json").write_text(json.dumps(config | {"configuration_files": files}))


def test_nothing_stands_in_the_way_of_a_first_run() -> None:
    assert preflight.problems(Path("results/mine"), {}, FILES) == []


def test_a_file_where_a_folder_is_needed_is_one_line() -> None:
    Path("results").write_text("")
    (line,) = preflight.problems(Path("results/mine"), {}, FILES)
    assert line == "results: expected a folder to write to, found a file; move it away"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_may_not_be_written_to_is_one_line() -> None:
    Path("results/mine").mkdir(parents=True)
    Path("results/mine").chmod(0o500)
    (line,) = preflight.problems(Path("results/mine"), {}, FILES)
    assert line.startswith("results/mine: expected a folder to write to, found no permission")


def test_results_of_the_same_configuration_are_ours_whoever_made_them() -> None:
    record(Path("results/mine"), {"task": 1}, ["other.yaml"])
    assert preflight.problems(Path("results/mine"), {"task": 1}, FILES) == []


def test_results_of_another_configuration_are_named_with_the_first_difference() -> None:
    record(Path("results/mine"), {"task": {"task_dimension": 2}}, ["other.yaml"])
    config = {"task": {"task_dimension": 4}}
    (line,) = preflight.problems(Path("results/mine"), config, FILES)
    assert line.startswith(
        "results/mine: expected results of config/config.yaml + mine.yaml, found results of "
        "other.yaml with other settings (task.task_dimension: expected 4, found 2)"
    )


def test_a_damaged_record_is_one_line() -> None:
    record(Path("results/mine"), {}, FILES)
    Path("results/mine/config.json").write_text("{")
    (line,) = preflight.problems(Path("results/mine"), {}, FILES)
    assert line.endswith("expected the configuration of the results, found damage; delete the file")
