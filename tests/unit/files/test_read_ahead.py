"""Checkpoints read by a thread: the same ones in order, some ahead, and errors in their place."""

import threading

import pytest
import torch

from transience.errors import InputError
from transience.files import read_ahead
from transience.files.read_ahead import AHEAD, on_device

CPU = torch.device("cpu")


class Disk:
    """Checkpoints of three numbers each, by number, and which of them were read."""

    def __init__(self) -> None:
        self.asked: list[int] = []
        self.threads: set[str] = set()
        self.read_all = threading.Condition()

    def __call__(self, number: int) -> torch.Tensor:
        with self.read_all:
            self.asked.append(number)
            self.threads.add(threading.current_thread().name)
            self.read_all.notify()
        return torch.full((3,), float(number))

    def wait_for(self, count: int) -> None:
        with self.read_all:
            assert self.read_all.wait_for(lambda: len(self.asked) >= count, timeout=30)


@pytest.mark.parametrize("count", [0, 1, AHEAD, 7])
def test_all_come_in_order_and_stay_what_they_were(count):
    """Buffers are used again, but not the tensors that were handed out."""
    found = list(read_ahead.read_ahead(Disk(), count, CPU))
    assert [vector.tolist() for vector in found] == [[float(n)] * 3 for n in range(count)]


def test_the_next_ones_are_read_while_one_is_worked_on_and_no_more():
    disk = Disk()
    for number, _ in enumerate(read_ahead.read_ahead(disk, 7, CPU)):
        disk.wait_for(min(7, number + 1 + AHEAD))
        assert disk.asked == list(range(min(7, number + 1 + AHEAD)))
    assert len(disk.threads) == 1 and threading.current_thread().name not in disk.threads


def test_an_error_comes_in_the_place_of_its_checkpoint():
    def read(number: int) -> torch.Tensor:
        if number == 3:
            raise InputError("step 30: damaged")
        return torch.zeros(3)

    vectors, seen = read_ahead.read_ahead(read, 7, CPU), 0
    with pytest.raises(InputError, match="step 30: damaged"):
        for _ in vectors:
            seen += 1
    assert seen == 3


def test_who_stops_early_leaves_no_thread_behind():
    vectors, before = read_ahead.read_ahead(Disk(), 7, CPU), threading.active_count()
    next(vectors)
    vectors.close()
    assert threading.active_count() == before


def test_a_buffer_is_filled_again_only_after_it_was_copied():
    buffer = torch.zeros(3)

    class Copied:
        def synchronize(self) -> None:
            assert buffer.tolist() == [0.0] * 3

    assert read_ahead._refill(Disk(), 5, buffer, Copied()) is buffer
    assert buffer.tolist() == [5.0] * 3


def test_on_a_cpu_a_row_is_handed_out_as_it_is_and_by_no_thread():
    row, disk = torch.ones(3), Disk()
    assert all(vector is row for vector in on_device(lambda number: row, 4, CPU))
    assert len(list(on_device(disk, 4, CPU))) == 4
    assert disk.threads == {threading.current_thread().name}
