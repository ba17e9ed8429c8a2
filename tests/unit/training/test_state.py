"""The saved state: written whole or not at all, and read back as it was."""

import pytest
import torch
from safetensors import SafetensorError

from transience.training.state import TrainingState

CPU = torch.device("cpu")


def a_state() -> TrainingState:
    state = TrainingState.initial(torch.arange(5.0))
    state.step, state.seconds, state.sequences = 7, 1.5, 112
    state.log = [(1.0, 4.0, 0.1, 2.0, 0.5, 16.0, 1.0, 0.5, 0.25, 0.1, 0.01)]
    state.second_moment += 3
    return state


def test_a_state_is_read_back_as_it_was(tmp_path):
    a_state().save(tmp_path / "state")
    found = TrainingState.load(tmp_path / "state", CPU)
    assert (found.step, found.seconds, found.sequences) == (7, 1.5, 112)
    assert found.log == a_state().log
    for name in ("vector", "first_moment", "second_moment"):
        assert torch.equal(getattr(found, name), getattr(a_state(), name))


def test_a_failed_save_leaves_the_state_before_it(tmp_path, monkeypatch):
    a_state().save(tmp_path / "state")

    def full_disk(tensors, path):
        path.write_bytes(b"half")
        raise OSError("no space")

    monkeypatch.setattr("transience.training.state.save_file", full_disk)
    with pytest.raises(OSError, match="no space"):
        a_state().save(tmp_path / "state")
    assert TrainingState.load(tmp_path / "state", CPU).step == 7
    assert [path.name for path in tmp_path.iterdir()] == ["state"]


def test_a_damaged_state_is_told_from_a_whole_one(tmp_path):
    a_state().save(tmp_path / "state")
    (tmp_path / "state").write_bytes((tmp_path / "state").read_bytes()[:-10])
    with pytest.raises(SafetensorError):
        TrainingState.load(tmp_path / "state", CPU)
