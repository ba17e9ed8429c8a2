"""Checkpoint schedule and file: the published count, rows that come back, damage that is named."""

import pytest
import torch

from transience.errors import InputError
from transience.files.checkpoints import CheckpointReader, CheckpointWriter


@pytest.fixture
def file(tmp_path):
    writer = CheckpointWriter(tmp_path / "partial", [0, 5, 9], 7, {"seed": 3})
    for step in (9, 0, 5):
        writer.write(step, torch.full((7,), float(step)))
    writer.finish(tmp_path / "checkpoints.safetensors")
    return tmp_path / "checkpoints.safetensors"


def test_rows_and_metadata_come_back(file):
    reader = CheckpointReader(file)
    assert reader.steps == [0, 5, 9] and len(reader) == 3
    assert reader.metadata == {"seed": 3}
    for index, step in enumerate(reader.steps):
        assert torch.equal(reader.parameters(index), torch.full((7,), float(step)))


def test_a_writer_goes_on_where_another_stopped(tmp_path):
    first = CheckpointWriter(tmp_path / "partial", [0, 5], 7, {"created": "earlier"})
    first.write(0, torch.ones(7))
    first.flush()
    first.file.close()
    second = CheckpointWriter(tmp_path / "partial", [0, 5], 7, {"created": "later"})
    second.write(5, torch.full((7,), 2.0))
    second.finish(tmp_path / "done")
    reader = CheckpointReader(tmp_path / "done")
    assert reader.parameters(0).tolist() == [1.0] * 7
    assert reader.parameters(1).tolist() == [2.0] * 7
    assert reader.metadata == {"created": "earlier"}


@pytest.mark.parametrize("keep", [0, 4, 100, -1])
def test_a_truncated_file_is_named(file, keep):
    file.write_bytes(file.read_bytes()[:keep])
    with pytest.raises(InputError, match=r"checkpoints\.safetensors: expected .* truncated"):
        CheckpointReader(file)


def test_missing_foreign_and_mismatched_files_are_named(file, tmp_path):
    with pytest.raises(InputError, match="no such file"):
        CheckpointReader(tmp_path / "absent")
    (tmp_path / "foreign").write_bytes(b"\x80\x04 a pickle, perhaps")
    with pytest.raises(InputError, match="foreign"):
        CheckpointReader(tmp_path / "foreign")
    with pytest.raises(InputError, match="expected checkpoints of 8 parameters, found 7"):
        CheckpointReader(file).check_num_parameters(8)
