"""What the kernels are made of: exp to two units in the last place, and parts of a vector."""

import numpy as np

from transience.model.kernels.compilation import compiled
from transience.model.kernels.lanes import WIDTH, exp, load, load_first, store, store_first


@compiled
def exp_of_all(out, x, count):
    for i in range(0, count, WIDTH):
        store(out, i, exp(load(x, i)))


@compiled
def copy_first(out, x, count):
    store_first(out, 0, count, load_first(x, 0, count))


def exp_by_kernel(x: np.ndarray) -> np.ndarray:
    out = np.empty_like(x)
    exp_of_all(out.ctypes.data, x.ctypes.data, len(x))
    return out


def test_exp_is_right_to_two_units_in_the_last_place():
    x = np.linspace(-50, 88, 160_000, dtype=np.float32)
    exact = np.exp(x.astype(np.float64))
    error = np.abs(exp_by_kernel(x) - exact) / np.spacing(exact.astype(np.float32))
    assert error.max() < 2


def test_exp_at_the_edges():
    x = np.full(WIDTH, -200, dtype=np.float32)
    x[:4] = np.nan, -np.inf, 0, -1e30
    out = exp_by_kernel(x)
    assert np.isnan(out[0]) and out[2] == 1
    assert np.all(out[[1, 3, 4]] == 0)


def test_first_lanes():
    x, out = np.arange(1, 17, dtype=np.float32), np.zeros(16, dtype=np.float32)
    copy_first(out.ctypes.data, x.ctypes.data, 5)
    assert out.tolist() == [1, 2, 3, 4, 5] + [0] * 11
