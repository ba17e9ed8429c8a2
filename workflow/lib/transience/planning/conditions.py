"""What the keys of a configuration demand of each other, one function a condition.

Every value given to a condition has passed the schema already. Memory is estimated from below, for
the largest array of a stage alone; the rest of the machine's memory is left to everything else.
"""

import math
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from transience.figures.settings import MAIN
from transience.model.settings import ModelSettings
from transience.settings import in_steps
from transience.training.phases import bounds, kept_steps
from transience.training.schedule import num_checkpoints
from transience.training.settings import CheckpointSettings, PhaseSettings, TrainingSettings

Problem = tuple[str, str, object]  # key, what was expected, what was found
Condition = Callable[..., Iterator[Problem]]
Sizes = Callable[..., dict[str, int]]
CONDITIONS: list[tuple[tuple[str, ...], Condition]] = []
LARGEST_ROW = 2**31 - 1  # values in a fixed-size list of a Parquet file
SCHEDULE = ("training.num_steps", "checkpoints.linear_every", "checkpoints.logarithmic_count")


def problems(settings: dict[str, Any]) -> Iterator[Problem]:
    """Problems of the settings of one variant; a value that is wrong already is None there."""
    for keys, condition in CONDITIONS:
        values = [settings[section][key] for section, key in (key.split(".") for key in keys)]
        if all(value is not None for value in values):
            yield from condition(*values)


def _condition(*keys: str) -> Callable[[Condition], Condition]:
    def register(function: Condition) -> Condition:
        CONDITIONS.append((keys, function))
        return function

    return register


# Model and training


@_condition("model.width", "model.num_heads")
def _heads_divide_width(width: int, num_heads: int) -> Iterator[Problem]:
    if width % num_heads:
        yield "model.num_heads", f"a divisor of model.width ({width})", num_heads


def _at_most(key: str, largest: str, value: int, bound: int) -> Iterator[Problem]:
    if value > bound:
        yield key, f"at most {largest} ({bound})", value


for _key, _largest in (
    ("training.warmup_steps", "training.num_steps"),
    ("training.log_every", "training.num_steps"),
    ("checkpoints.linear_every", "training.num_steps"),
    ("llc.batch_size", "llc.num_sequences"),
    ("llc.lanczos_sequences", "llc.num_sequences"),
):
    _condition(_key, _largest)(partial(_at_most, _key, _largest))


@_condition("training.divergence_loss", "task.task_dimension", "task.noise_variance")
def _start_is_no_divergence(bound: float, dimension: int, noise: float) -> Iterator[Problem]:
    if bound <= dimension + noise:
        start = f"the loss before training, task_dimension + noise_variance ({dimension + noise:g})"
        yield "training.divergence_loss", f"a number above {start}", bound


@_condition("checkpoints.states", "training.num_steps")
def _states_within_training(states: list, num_steps: int) -> Iterator[Problem]:
    for step in states:
        if step != "all" and step > num_steps:
            yield "checkpoints.states", f"steps up to training.num_steps ({num_steps})", step


# Phases and branches


@_condition("training.phases", "training.branch", "training.num_steps", "training.learning_rate")
def _phases_follow_each_other(
    phases: list[Any], branch: dict[str, Any], num_steps: int, rate: float
) -> Iterator[Problem]:
    key, stop = "training.phases", branch.get("num_steps", num_steps)
    if "num_steps" not in branch and not isinstance(branch.get("step", 0), str):
        stop = num_steps - in_steps(branch.get("step", 0), num_steps)
    kinds, before = [PhaseSettings(**phase) for phase in phases], 0
    for number, (begin, end) in enumerate(bounds(kinds, 0, stop), start=1):
        found = f"item {number}, from {begin} to {end}"
        if not begin < end:
            yield key, "phases that end after they begin", found
        elif begin < before:
            yield (
                key,
                f"phases in their order and apart (item {number - 1} ends at {before})",
                found,
            )
        elif end > stop:
            yield key, f"phases within {stop} steps of training", found
        before = end
    for number, phase in enumerate(kinds, start=1):
        if phase.weight_decay * rate >= 1:
            most = f"weight_decay below 1 / training.learning_rate ({1 / rate:g})"
            yield key, most, f"item {number}, {phase.weight_decay:g}"


@_condition("training.stop_when")
def _stop_is_whole(stop: dict[str, Any]) -> Iterator[Problem]:
    missing = [key for key in ("detector", "threshold") if not stop.get(key)]
    if stop and missing:
        expected = "a detector and a threshold, or {} to train to the last step"
        yield "training.stop_when", expected, f"no {' and no '.join(missing)}"


@_condition("training.branch", "family.variants", *map("sweep.{}".format, ("num_tasks", "seeds")))
def _branch_has_a_parent(
    branch: dict[str, Any], variants: dict[str, Any], num_tasks: list, seeds: list
) -> Iterator[Problem]:
    key, name = "training.branch", branch.get("variant")
    if not branch:
        return
    if name not in variants:
        listed = ", ".join(variants)
        yield key, f"a variant of this sweep ({listed})", name or "none"
        return
    sweep = variants[name]["sweep"]
    for what, wanted in (("num_tasks", num_tasks), ("seeds", seeds)):
        if sweep[what] is not None and (without := [v for v in wanted if v not in sweep[what]]):
            expected = f"a variant with every one of these {what} in its sweep"
            yield key, expected, f"{name}, without {', '.join(map(str, without))}"
    seen = [name]
    while (parent := (variants[seen[-1]]["training"]["branch"] or {}).get("variant")) in variants:
        if parent in seen:
            yield (
                key,
                "branches that lead back to a run from step 0",
                " from ".join([*seen, parent]),
            )
            return
        seen.append(parent)


OF_MODEL = [("task", key) for key in ("task_dimension", "num_examples", "noise_variance")]
OF_MODEL += [("model", key) for key in ModelSettings.model_fields]


@_condition("training.branch", "family.variants", *map(".".join, OF_MODEL))
def _branch_is_of_the_same_model(
    branch: dict[str, Any], variants: dict[str, Any], *own: Any
) -> Iterator[Problem]:
    parent = variants.get(branch.get("variant"))
    if parent:
        for (section, key), value in zip(OF_MODEL, own, strict=True):
            theirs = parent[section][key]
            if theirs not in (None, value):
                expected = f"that of variant {branch['variant']}, which it leaves ({theirs})"
                yield f"{section}.{key}", expected, value


@_condition("training.branch", "family.variants")
def _branch_begins_at_a_kept_state(
    branch: dict[str, Any], variants: dict[str, Any]
) -> Iterator[Problem]:
    name, step = branch.get("variant"), branch.get("step", 0)
    if name not in variants:
        return
    parent = variants[name]
    states, known = parent["checkpoints"]["states"], _kept_states(parent)
    if states is None or known is None:
        return
    kept, key = f"checkpoints.states of variant {name}", "training.branch"
    if isinstance(step, str):
        if not states:
            yield key, f"states to begin from, {kept}, such as [all]", step
    elif (step := in_steps(step, parent["training"]["num_steps"])) not in known:
        yield key, f"a step of {kept} ({', '.join(map(str, states)) or 'none'})", step


def _kept_states(settings: dict[str, Any]) -> list[int] | None:
    """Steps at which a variant keeps its state; None where that is not known before it runs."""
    training, checkpoints = settings["training"], settings["checkpoints"]
    if None in [*training.values(), *checkpoints.values()]:
        return None
    branch = training["branch"]
    start = branch.get("step", 0)
    if isinstance(start, str):
        return None
    typed = TrainingSettings(**training), CheckpointSettings(**checkpoints)
    return kept_steps(*typed, start=in_steps(start, training["num_steps"]))[1]


# Measurements


def _within_training(
    key: str, checkpoints: list[int | float | str], num_steps: int
) -> Iterator[Problem]:
    for step in checkpoints:
        if step != "final" and step > num_steps:
            yield key, f"steps up to training.num_steps ({num_steps})", step
    if "final" in checkpoints and num_steps in checkpoints:
        yield key, "each checkpoint once", f"final and {num_steps}, the same"


def _in_the_sweep(key: str, chosen: list, swept: list) -> Iterator[Problem]:
    """None but values that a sweep of some variant has may be chosen, or `all`."""
    outside = [value for value in chosen if value != "all" and value not in swept]
    if outside:
        expected = f"all, or values of sweep.{key} ({', '.join(map(str, swept))})"
        yield f"llc_calibration.{key}", expected, ", ".join(map(str, outside))


for _key in ("llc.checkpoints", "llc_curve.checkpoints", "llc_calibration.checkpoints"):
    _condition(_key, "training.num_steps")(partial(_within_training, _key))
for _key in ("num_tasks", "seeds"):
    _condition(f"llc_calibration.{_key}", f"sweeps.{_key}")(partial(_in_the_sweep, _key))


@_condition("probe.num_sequences", "task.num_examples")
def _probe_fits_a_row(num_sequences: int, num_examples: int) -> Iterator[Problem]:
    if num_sequences * num_examples > LARGEST_ROW:
        most = f"at most {LARGEST_ROW // num_examples} sequences"
        row = "as a Parquet row holds 2^31 - 1 predictions"
        yield "probe.num_sequences", f"{most}, {row}", num_sequences


@_condition("figures.variant", "family.variants")
def _shown_variant_is_there(chosen: str, variants: dict[str, Any]) -> Iterator[Problem]:
    if variants and chosen not in (MAIN, *variants):
        listed = ", ".join(variants)
        yield "figures.variant", f"{MAIN}, or a variant of this sweep ({listed})", chosen


@_condition("figures.smoothing_window")
def _window_has_a_centre(window: int) -> Iterator[Problem]:
    if window % 2 == 0:
        yield "figures.smoothing_window", "an odd number, for a centred window", window


# Memory: the function gives the sizes of an array, whose product is its number of float32


def _fits(key: str, what: str, *others: str) -> Callable[[Sizes], Sizes]:
    """Register a condition on a key: an array fits half of the memory."""

    def register(sizes_of: Sizes) -> Sizes:
        @_condition("machine.memory", key, *others)
        def condition(memory: int, *values: Any) -> Iterator[Problem]:
            sizes = sizes_of(*values)
            num_bytes = 4 * math.prod(sizes.values())
            if num_bytes > memory / 2:
                factors = " x ".join(f"{size} {word}".strip() for word, size in sizes.items())
                most = f"at most {memory / 2e9:.1f} GB (half of this machine's memory) for {what}"
                yield key, most, f"at least {num_bytes / 1e9:,.1f} GB, {factors}"

        return sizes_of

    return register


@_fits("probe.num_sequences", "the joint PCA", "task.num_examples", "sweep.num_tasks", *SCHEDULE)
def _joint_pca(num: int, num_examples: int, num_tasks: list, *schedule: int) -> dict[str, int]:
    checkpoints, predictions = num_checkpoints(*schedule), num * num_examples
    sizes = {"task diversities": len(num_tasks), "checkpoints": checkpoints}
    return sizes | {"predictions": predictions}


@_fits("llc.num_sequences", "the data of the LLC", "task.num_examples", "task.task_dimension")
def _llc_data(num: int, num_examples: int, dimension: int) -> dict[str, int]:
    return {"sequences": num, "examples": num_examples, "numbers": dimension + 1}


@_fits("evaluation.num_sequences", "the test sets", "task.num_examples", "task.task_dimension")
def _test_sets(num: int, num_examples: int, dimension: int) -> dict[str, int]:
    return {"sets": 3} | _llc_data(num, num_examples, dimension)


@_fits("training.batch_size", "the activations of a batch", "task.num_examples", "model.width")
def _batch(batch_size: int, num_examples: int, width: int) -> dict[str, int]:
    return {"sequences": batch_size, "tokens": 2 * num_examples, "coordinates": width}


@_fits("sweep.num_tasks", "the largest task set", "task.task_dimension")
def _task_set(num_tasks: list[int | str], dimension: int) -> dict[str, int]:
    largest = max((m for m in num_tasks if m != "inf"), default=0)
    return {"tasks": largest, "coordinates": dimension}


@_fits("model.width", "the model in training", "model.mlp_width", "model.num_layers")
def _model(width: int, mlp_width: int, num_layers: int) -> dict[str, int]:
    weights = num_layers * width * (3 * width + 2 * mlp_width)
    return {"": 4, "weights (with their gradient and Adam's two averages)": weights}
