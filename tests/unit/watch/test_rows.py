"""Checkpoints of a training under way, read while they are written."""

import numpy as np
import pytest
import torch
from small import small_run, write_checkpoints

from transience.errors import InputError
from transience.files.checkpoints import CheckpointReader, CheckpointWriter
from transience.training.state import TrainingState
from transience.watch.rows import Rows, saved_step


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "checkpoints.partial"
    writer = CheckpointWriter(path, [0, 10, 20, 30], 6, {"created": "today"})
    writer.write(0, torch.arange(6.0))
    writer.write(20, torch.tensor([1.0, 2.0, float("nan"), 4.0, 5.0, 6.0]))
    writer.flush()
    writer.file.close()
    return path


def test_rows_are_those_that_were_written(path):
    rows = Rows(path)
    assert (rows.steps, rows.metadata) == ([0, 10, 20, 30], {"created": "today"})
    np.testing.assert_array_equal(rows.row(0), np.arange(6.0))


@pytest.mark.parametrize("index", [1, 2, 3, 99])
def test_a_row_that_is_not_there_yet_or_no_numbers_is_none(path, index):
    assert Rows(path).row(index) is None


def test_a_file_that_shrinks_has_no_more_rows(path):
    rows = Rows(path)
    path.write_bytes(path.read_bytes()[: rows.start + rows.first + 4])
    assert rows.row(0) is None


def test_a_finished_file_reads_the_same(tmp_path):
    run = small_run()
    write_checkpoints(tmp_path / "c.safetensors", run, [0, 1, 5])
    rows, reader = Rows(tmp_path / "c.safetensors"), CheckpointReader(tmp_path / "c.safetensors")
    assert (rows.steps, rows.metadata) == (reader.steps, reader.metadata)
    for index in range(3):
        np.testing.assert_array_equal(rows.row(index), reader.parameters(index).numpy())


@pytest.mark.parametrize("content", [b"", b"PAR1", b"\xff" * 100, b"\x05" + b"\x00" * 7 + b"{{{{{"])
def test_another_file_is_said_in_a_line(tmp_path, content):
    (tmp_path / "x").write_bytes(content)
    with pytest.raises(InputError, match="expected a safetensors file, found another"):
        Rows(tmp_path / "x")


def test_the_saved_step_is_that_of_the_state(tmp_path):
    assert saved_step(tmp_path) == -1
    state = TrainingState.initial(torch.zeros(5))
    state.step, state.log = 70, [tuple(range(11))]
    state.save(tmp_path / "state.safetensors")
    assert saved_step(tmp_path) == 70
    (tmp_path / "state.safetensors").write_bytes(b"damage")
    assert saved_step(tmp_path) == -1
