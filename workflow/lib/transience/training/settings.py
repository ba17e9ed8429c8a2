"""Sections `training` and `checkpoints` of a configuration."""

from typing import Literal

from transience.settings import Settings, key


class TrainingSettings(Settings):
    """Adam on fresh sequences at every step; linear warm-up, then a constant rate."""

    num_steps: int = key("steps", ge=1)
    """T, optimiser steps."""
    batch_size: int = key("sequences", ge=1)
    """Sequences in a batch."""
    learning_rate: float = key("none", gt=0)
    """Learning rate after warm-up."""
    warmup_steps: int = key("steps", ge=0)
    """Steps over which the learning rate rises linearly from 0. At most `num_steps`."""
    beta1: float = key("none", ge=0, lt=1)
    """β₁ of Adam, decay of the mean gradient."""
    beta2: float = key("none", ge=0, lt=1)
    """β₂ of Adam, decay of the mean squared gradient."""
    precision: Literal["float32", "tf32", "bf16"] = key("none")
    """Arithmetic of the matrix products of training. tf32 is for a GPU (a CPU imitates its
    rounding, which takes longer than float32); bf16 for a GPU or a processor with the instructions,
    and a large model. Both round more; weights, gradients and optimiser state stay float32."""
    log_every: int = key("steps", ge=1)
    """Distance between rows of the training table (batch loss, gradient norm, time)."""
    divergence_loss: float = key("squared units of y", gt=0)
    """A batch loss above this stops the run as diverged. Must be above D + σ², the loss of a model
    that has learned nothing."""


class CheckpointSettings(Settings):
    """Steps whose weights are saved: {0, linear_every, 2 linear_every, ..., T} together with
    {floor(T^(j/(N-1))) : j = 0..N-1}, N = logarithmic_count. Each costs 4 bytes a parameter."""

    linear_every: int = key("steps", ge=1)
    """Distance between the evenly spaced checkpoints. At most `training.num_steps`."""
    logarithmic_count: int = key("checkpoints", ge=2, le=10000)
    """N, the logarithmically spaced checkpoints, before equal steps are merged."""
