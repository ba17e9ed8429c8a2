"""Small work on one thread, and the threads of before given back."""

import pytest
import torch

from transience.complexity.threads import MOST_ALONE, threads_for


def test_small_work_has_one_thread_and_large_work_all():
    torch.set_num_threads(2)
    with threads_for(100, 64):
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == 2
    with threads_for(MOST_ALONE, 2):
        assert torch.get_num_threads() == 2


def test_an_error_gives_the_threads_back():
    torch.set_num_threads(2)
    with pytest.raises(ZeroDivisionError), threads_for(1, 1):
        _ = 1 / 0
    assert torch.get_num_threads() == 2
