"""What the keys of a configuration demand of each other, one function a condition.

Every value given to a condition has passed the schema already. Memory is estimated from below, for
the largest array of a stage alone; the rest of the machine's memory is left to everything else.
"""

import math
from collections.abc import Callable, Iterator
from typing import Any

from transience.training.schedule import num_checkpoints

Problem = tuple[str, str, object]  # key, what was expected, what was found
CONDITIONS: list[tuple[tuple[str, ...], Callable[..., Iterator[Problem]]]] = []
LARGEST_ROW = 2**31 - 1  # values in a fixed-size list of a Parquet file


def problems(settings: dict[str, Any]) -> Iterator[Problem]:
    """Problems of the settings of one variant; a value that is wrong already is None there."""
    for keys, condition in CONDITIONS:
        values = [settings[section][key] for section, key in (key.split(".") for key in keys)]
        if all(value is not None for value in values):
            yield from condition(*values)


def _condition(*keys: str) -> Callable[..., Callable[..., Iterator[Problem]]]:
    def register(function: Callable[..., Iterator[Problem]]) -> Callable[..., Iterator[Problem]]:
        CONDITIONS.append((keys, function))
        return function

    return register


# Model and training


@_condition("model.width", "model.num_heads")
def _heads_divide_width(width: int, num_heads: int) -> Iterator[Problem]:
    if width % num_heads:
        yield "model.num_heads", f"a divisor of model.width ({width})", num_heads


@_condition("training.warmup_steps", "training.num_steps")
def _warmup_ends(warmup_steps: int, num_steps: int) -> Iterator[Problem]:
    if warmup_steps > num_steps:
        yield "training.warmup_steps", f"at most training.num_steps ({num_steps})", warmup_steps


@_condition("training.log_every", "training.num_steps")
def _training_is_logged(log_every: int, num_steps: int) -> Iterator[Problem]:
    if log_every > num_steps:
        yield "training.log_every", f"at most training.num_steps ({num_steps})", log_every


@_condition("training.divergence_loss", "task.task_dimension", "task.noise_variance")
def _start_is_no_divergence(bound: float, dimension: int, noise: float) -> Iterator[Problem]:
    if bound <= dimension + noise:
        start = f"the loss before training, task_dimension + noise_variance ({dimension + noise:g})"
        yield "training.divergence_loss", f"a number above {start}", bound


@_condition("checkpoints.linear_every", "training.num_steps")
def _spacing_within_training(linear_every: int, num_steps: int) -> Iterator[Problem]:
    if linear_every > num_steps:
        yield "checkpoints.linear_every", f"at most training.num_steps ({num_steps})", linear_every


# Measurements


@_condition("llc.batch_size", "llc.num_sequences")
def _minibatch_within_data_set(batch_size: int, num_sequences: int) -> Iterator[Problem]:
    if batch_size > num_sequences:
        yield "llc.batch_size", f"at most llc.num_sequences ({num_sequences})", batch_size


@_condition("llc.checkpoints", "training.num_steps")
def _llc_within_training(checkpoints: list[int | float | str], num_steps: int) -> Iterator[Problem]:
    for step in checkpoints:
        if step != "final" and step > num_steps:
            yield "llc.checkpoints", f"steps up to training.num_steps ({num_steps})", step
    if "final" in checkpoints and num_steps in checkpoints:
        yield "llc.checkpoints", "each checkpoint once", f"final and {num_steps}, the same"


@_condition("llc_calibration.checkpoints", "training.num_steps")
def _calibration_within_training(
    checkpoints: list[int | float | str], num_steps: int
) -> Iterator[Problem]:
    for step in checkpoints:
        if step != "final" and step > num_steps:
            expected = f"steps up to training.num_steps ({num_steps})"
            yield "llc_calibration.checkpoints", expected, step


@_condition("llc_calibration.num_tasks", "sweeps.num_tasks")
def _calibrated_diversities_are_in_the_sweep(chosen: list, swept: list) -> Iterator[Problem]:
    yield from _in_the_sweep("num_tasks", chosen, swept)


@_condition("llc_calibration.seeds", "sweeps.seeds")
def _calibrated_seeds_are_in_the_sweep(chosen: list, swept: list) -> Iterator[Problem]:
    yield from _in_the_sweep("seeds", chosen, swept)


def _in_the_sweep(key: str, chosen: list, swept: list) -> Iterator[Problem]:
    """None but values that a sweep of some variant has may be chosen, or `all`."""
    outside = [value for value in chosen if value != "all" and value not in swept]
    if outside:
        expected = f"all, or values of sweep.{key} ({', '.join(map(str, swept))})"
        yield f"llc_calibration.{key}", expected, ", ".join(map(str, outside))


@_condition(
    "trajectory_pca.num_components",
    "sweep.num_tasks",
    "training.num_steps",
    "checkpoints.linear_every",
    "checkpoints.logarithmic_count",
)
def _pca_has_enough_rows(
    num_components: int, num_tasks: list[int | str], *schedule: int
) -> Iterator[Problem]:
    most = len(num_tasks) * num_checkpoints(*schedule) - 1
    if num_components > most:
        rows = f"task diversities ({len(num_tasks)}) x checkpoints ({num_checkpoints(*schedule)})"
        yield "trajectory_pca.num_components", f"at most {most}, {rows} - 1", num_components


@_condition("probe.num_sequences", "task.num_examples")
def _probe_fits_a_row(num_sequences: int, num_examples: int) -> Iterator[Problem]:
    if num_sequences * num_examples > LARGEST_ROW:
        expected = (
            f"at most {LARGEST_ROW // num_examples} sequences, as a Parquet row holds 2^31 - 1"
        )
        yield "probe.num_sequences", f"{expected} predictions", num_sequences


@_condition("figures.smoothing_window")
def _window_has_a_centre(window: int) -> Iterator[Problem]:
    if window % 2 == 0:
        yield "figures.smoothing_window", "an odd number, for a centred window", window


# Memory


def _fits(key: str, what: str, num_values: int, memory: int, factors: str) -> Iterator[Problem]:
    """Float32 values of one array against half of the memory."""
    if 4 * num_values > memory / 2:
        expected = f"at most {memory / 2e9:.1f} GB (half of this machine's memory) for {what}"
        yield key, expected, f"at least {4 * num_values / 1e9:,.1f} GB, {factors}"


@_condition(
    "machine.memory",
    "probe.num_sequences",
    "task.num_examples",
    "sweep.num_tasks",
    "training.num_steps",
    "checkpoints.linear_every",
    "checkpoints.logarithmic_count",
)
def _joint_pca_fits(
    memory: int, probe: int, num_examples: int, num_tasks: list[int | str], *schedule: int
) -> Iterator[Problem]:
    sizes = [len(num_tasks), num_checkpoints(*schedule), probe * num_examples]
    factors = f"{sizes[0]} task diversities x {sizes[1]} checkpoints x {sizes[2]} predictions"
    yield from _fits("probe.num_sequences", "the joint PCA", math.prod(sizes), memory, factors)


@_condition(
    "machine.memory", "evaluation.num_sequences", "task.num_examples", "task.task_dimension"
)
def _test_sets_fit(memory: int, num: int, num_examples: int, dimension: int) -> Iterator[Problem]:
    factors = f"3 sets x {num} sequences x {num_examples} examples x {dimension + 1} numbers"
    values = 3 * num * num_examples * (dimension + 1)
    yield from _fits("evaluation.num_sequences", "the test sets", values, memory, factors)


@_condition("machine.memory", "llc.num_sequences", "task.num_examples", "task.task_dimension")
def _llc_data_fit(memory: int, num: int, num_examples: int, dimension: int) -> Iterator[Problem]:
    factors = f"{num} sequences x {num_examples} examples x {dimension + 1} numbers"
    values = num * num_examples * (dimension + 1)
    yield from _fits("llc.num_sequences", "the data of the LLC", values, memory, factors)


@_condition("machine.memory", "training.batch_size", "task.num_examples", "model.width")
def _batch_fits(memory: int, batch_size: int, num_examples: int, width: int) -> Iterator[Problem]:
    factors = f"{batch_size} sequences x {2 * num_examples} tokens x {width} coordinates"
    values = batch_size * 2 * num_examples * width
    yield from _fits("training.batch_size", "the activations of a batch", values, memory, factors)


@_condition("machine.memory", "sweep.num_tasks", "task.task_dimension")
def _tasks_fit(memory: int, num_tasks: list[int | str], dimension: int) -> Iterator[Problem]:
    largest = max((m for m in num_tasks if m != "inf"), default=0)
    factors = f"{largest} tasks x {dimension} coordinates"
    yield from _fits(
        "sweep.num_tasks", "the largest task set", largest * dimension, memory, factors
    )


@_condition("machine.memory", "model.width", "model.mlp_width", "model.num_layers")
def _model_fits(memory: int, width: int, mlp_width: int, num_layers: int) -> Iterator[Problem]:
    parameters = num_layers * width * (3 * width + 2 * mlp_width)
    factors = f"4 x {parameters} weights (with their gradient and Adam's two averages)"
    yield from _fits("model.width", "the model in training", 4 * parameters, memory, factors)
