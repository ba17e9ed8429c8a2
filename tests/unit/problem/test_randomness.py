"""Random streams: numbers depend on seed and name alone, and no two streams share them."""

import numpy as np
import torch

from transience.problem.randomness import generator, numpy_generator, stream_key


def test_streams_are_told_apart_by_structure_not_by_text():
    assert stream_key(0, "a", 1) != stream_key(0, "a", "1")
    assert stream_key(0, "a/b") != stream_key(0, "a", "b")
    assert stream_key(0, 1) != stream_key(1, 0)
    first = torch.randn(4, generator=generator(0, "a"))
    assert torch.equal(first, torch.randn(4, generator=generator(0, "a")))


def test_keys_stay_what_they_are():
    """Every number of a sweep hangs on them."""
    assert stream_key(0, "tasks") == 5725660943145713091
    assert stream_key(3, "training", 17, "inputs") == 8751103477162674611


def test_a_longer_numpy_draw_starts_with_the_shorter():
    longer = numpy_generator(0, "a").standard_normal(100)
    assert np.array_equal(longer[:7], numpy_generator(0, "a").standard_normal(7))
    assert not np.array_equal(longer[:7], numpy_generator(1, "a").standard_normal(7))
