"""Checkpoints behind a disk that is slow, or full; that of the whole command is in test_command."""

import threading

import pytest
import torch

from transience.files.checkpoints import CheckpointReader, CheckpointWriter
from transience.training.background import BUFFERS, BackgroundWriter

STEPS = [0, 1, 2, 3, 4, 5]


class Disk(CheckpointWriter):
    """A disk that writes nothing before it is told to, and notes what it does."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.free, self.done = threading.Semaphore(0), []

    def write(self, step, vector):
        assert self.free.acquire(timeout=60)
        super().write(step, vector)
        self.done.append(step)

    def flush(self):
        self.done.append("flush")
        super().flush()


@pytest.fixture
def disk(tmp_path):
    disk = Disk(tmp_path / "partial", STEPS, 7, {})
    yield disk
    disk.file.close()


def test_training_goes_on_before_anything_is_written(disk, tmp_path):
    """And changes its parameters; what is kept is what they were."""
    writer, vector = BackgroundWriter(disk), torch.zeros(7)
    for step in STEPS:
        if step >= BUFFERS:
            disk.free.release()  # else training waits, as memory is bounded
        writer.write(step, vector)
        vector += 1
        assert len(disk.done) <= max(0, step + 1 - BUFFERS)
    disk.free.release(BUFFERS)
    writer.finish(tmp_path / "done")
    assert disk.done == [*STEPS, "flush"]  # in order
    reader = CheckpointReader(tmp_path / "done")
    assert [set(reader.parameters(row).tolist()) for row in range(6)] == [{float(s)} for s in STEPS]


def test_flush_waits_for_all_that_was_written(disk):
    writer = BackgroundWriter(disk)
    writer.write(3, torch.ones(7))
    writer.write(1, torch.ones(7))
    threading.Timer(0.1, disk.free.release, [2]).start()
    writer.flush()
    assert disk.done == [3, 1, "flush"]


@pytest.mark.parametrize("noticed", ["write", "flush", "finish"])
def test_a_full_disk_stops_the_training(disk, tmp_path, monkeypatch, noticed):
    """At the next save at the latest, which then promises nothing."""

    def full(*arguments):
        raise OSError("no space left on device")

    monkeypatch.setattr(Disk, "write", full)
    writer = BackgroundWriter(disk)
    for step in range(BUFFERS):
        writer.write(step, torch.zeros(7))
    calls = {
        "write": lambda: writer.write(5, torch.zeros(7)),
        "flush": writer.flush,
        "finish": lambda: writer.finish(tmp_path / "done"),
    }
    with pytest.raises(OSError, match="no space left"):
        calls[noticed]()
    assert disk.done == [] and not (tmp_path / "done").exists()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_goes_on_too(disk, tmp_path):
    writer, vector = BackgroundWriter(disk), torch.zeros(7, device="cuda")
    disk.free.release(len(STEPS))
    for step in STEPS:
        writer.write(step, vector)
        vector += 1
    assert all(buffer.is_pinned() for buffer in writer.buffers)
    writer.finish(tmp_path / "done")
    reader = CheckpointReader(tmp_path / "done")
    assert [set(reader.parameters(row).tolist()) for row in range(6)] == [{float(s)} for s in STEPS]
