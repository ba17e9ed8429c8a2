"""Kernels for embedding, LayerNorm and ReLU: in `test_operations`, and here what they assume."""

import numpy as np

from transience.model.kernels import layers
from transience.model.transformer import LAYER_NORM_EPS


def test_kernels_use_the_epsilon_of_the_definition():
    assert np.float32(LAYER_NORM_EPS) == layers.EPS
