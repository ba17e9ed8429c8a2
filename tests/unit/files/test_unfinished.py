"""A killed job finds what it left, and no other job does."""

from pathlib import Path

import pytest

from transience.files.unfinished import state_folder

JOB = {"run": "M=8 seed=0", "settings": {"step_size": 1e-6}, "code": "abc", "device": "cpu"}


def test_the_same_job_finds_its_folder(tmp_path: Path):
    folder = state_folder(tmp_path / "state", *JOB.values())
    (folder / "chains").write_text("what it left")
    assert state_folder(tmp_path / "state", *JOB.values()) == folder
    assert folder.parent == tmp_path / "state"


@pytest.mark.parametrize(
    "other",
    [{"run": "M=8 seed=1"}, {"settings": {"step_size": 2e-6}}, {"code": "x"}, {"device": 1}],
)
def test_another_job_has_another_folder(tmp_path: Path, other: dict):
    folders = {state_folder(tmp_path, *(JOB | change).values()) for change in ({}, other)}
    assert len(folders) == 2


def test_where_one_part_ends_and_the_next_begins_matters(tmp_path: Path):
    assert state_folder(tmp_path, "a", "bc") != state_folder(tmp_path, "ab", "c")
