"""What variants turn."""

import math

import pytest
from small import MODEL, TASK, TRAINING

from transience.departure.knobs import MAIN, OTHER, WIDTH, is_plain, knobs, values_of
from transience.model.settings import ModelSettings
from transience.problem.settings import TaskSettings
from transience.training.settings import TrainingSettings


def sections(**own: dict) -> dict:
    return {
        "task": TaskSettings(**TASK | own.get("task", {})),
        "model": ModelSettings(**MODEL | own.get("model", {})),
        "training": TrainingSettings(**TRAINING | own.get("training", {})),
    }


WIDER = {key: 2 * MODEL[key] for key in ("width", "mlp_width")}
RATE = TRAINING["learning_rate"] / 4


@pytest.mark.parametrize(
    ("own", "knob", "value"),
    [
        ({}, MAIN, math.nan),
        ({"model": {"width": MODEL["width"]}}, MAIN, math.nan),
        ({"training": {"log_every": 20, "divergence_loss": 1e4}}, MAIN, math.nan),
        ({"model": WIDER}, WIDTH, 2.0 * MODEL["width"]),
        ({"model": {"width": 16}}, "model.width", 16.0),
        ({"model": WIDER | {"mlp_width": 24}}, OTHER, math.nan),
        ({"model": WIDER | {"num_heads": 4}}, OTHER, math.nan),
        ({"task": {"task_dimension": 4}, "model": {"num_layers": 4}}, OTHER, math.nan),
        ({"training": {"learning_rate": RATE}}, "training.learning_rate", RATE),
        ({"training": {"num_steps": 80}}, "training.num_steps", 80.0),
        ({"training": {"phases": [{"fresh_fraction": 0.1}]}}, OTHER, math.nan),
        ({"training": {"beta1": 0.0}}, OTHER, math.nan),
        ({"task": {"family": "features"}}, OTHER, math.nan),
        ({"model": {"output_projection": True}}, OTHER, math.nan),
    ],
)
def test_a_knob(own, knob, value):
    found = knobs({"baseline": sections(), "changed": sections(**own)})
    assert found["baseline"][0] == MAIN
    assert found["changed"] == pytest.approx((knob, value), nan_ok=True)


def test_values():
    found = values_of(sections(model=WIDER))
    assert found[WIDTH] == found["model.width"] == 2 * MODEL["width"]
    assert found["task.noise_variance"] == TASK["noise_variance"]
    assert "model.output_projection" not in found


def test_a_plain_training_is_the_same_throughout():
    assert is_plain(sections())
    for changed in (
        {"phases": [{"fresh_fraction": 0.1}]},
        {"branch": {"variant": "baseline", "step": 20}},
        {"stop_when": {"detector": "below_ridge", "threshold": 0.3, "cooldown_steps": 5}},
    ):
        assert not is_plain(sections(training=changed))
