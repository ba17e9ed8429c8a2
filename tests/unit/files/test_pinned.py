"""A place in the GPU's work; what waits for it is tested with checkpoints read and written."""

import pytest
import torch

from transience.files.pinned import mark


def test_a_thread_that_waits_sleeps(monkeypatch):
    """The event is of the kind that blocks, and is put behind the work that there is."""
    made = []

    class Event:
        def __init__(self, *, blocking):
            made.append(blocking)

        def record(self):
            made.append("recorded")

    monkeypatch.setattr(torch.cuda, "Event", Event)
    assert isinstance(mark(), Event)
    assert made == [True, "recorded"]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_what_is_marked_is_done_after_the_wait():
    source = torch.ones(2**20, device="cuda")
    copy = torch.empty(2**20, pin_memory=True)
    copy.copy_(source, non_blocking=True)
    mark().synchronize()
    assert (copy == 1).all()
