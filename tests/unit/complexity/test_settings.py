"""Settings that no estimate can do with are refused by name."""

import math

import pytest
from pydantic import ValidationError
from regression import sampler

from transience.complexity.settings import LLCCurveSettings, LLCSettings

LLC = {
    "checkpoints": [], "step_size": 1e-3, "nbeta": 50.0, "gamma": 10.0, "num_chains": 2,
    "num_draws": 4, "num_burn_in": 0, "batch_size": 1, "data_mode": "fixed", "num_sequences": 1,
    "lanczos_steps": 0, "lanczos_sequences": 1,
}  # fmt: skip
CURVE = {
    "checkpoints": ["final"], "h_star": [1, 0.1], "sampled_h_star": [], "num_probes": 2,
    "lanczos_steps": 2, "num_sequences": 1,
}  # fmt: skip


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"step_size": 0.0}, "greater than 0"),
        ({"step_size": "1e-3"}, "a valid number"),
        ({"nbeta": -1.0}, "greater than 0"),
        ({"nbeta": math.nan}, "a finite number"),
        ({"gamma": -0.5}, "greater than or equal to 0"),
        ({"num_chains": 0}, "greater than or equal to 1"),
        ({"num_draws": 0}, "greater than or equal to 1"),
        ({"num_draws": 2.5}, "a valid integer"),
        ({"num_burn_in": -1}, "greater than or equal to 0"),
        ({"batch_size": True}, "a valid integer"),
        ({"data_mode": "stream"}, "'fixed' or 'fresh'"),
        ({"seed": -1}, "greater than or equal to 0"),
        ({"baseline": "pared"}, "'paired' or 'dataset'"),
    ],
)
def test_unusable_settings_are_named(change: dict, message: str):
    with pytest.raises(ValidationError) as error:
        sampler(**change)
    (problem,) = error.value.errors()
    ((name, value),) = change.items()
    assert problem["loc"] == (name,) and problem["input"] is value
    assert problem["msg"] == f"Input should be {message}"


@pytest.mark.parametrize(
    ("section", "change"),
    [
        (LLC, {"lanczos_steps": -1}),
        (LLC, {"lanczos_steps": 1.5}),
        (LLC, {"lanczos_sequences": 0}),
        (CURVE, {"checkpoints": []}),
        (CURVE, {"h_star": []}),
        (CURVE, {"h_star": [0.0]}),
        (CURVE, {"h_star": [1, 1.0]}),
        (CURVE, {"sampled_h_star": [-1.0]}),
        (CURVE, {"num_probes": 1}),
        (CURVE, {"lanczos_steps": 1}),
        (CURVE, {"num_sequences": 0}),
        (CURVE, {"gamma": 1.0}),
    ],
)
def test_sections_hold_what_they_can_do_with(section: dict, change: dict):
    kind = LLCSettings if section is LLC else LLCCurveSettings
    kind(**section)
    with pytest.raises(ValidationError) as error:
        kind(**section | change)
    assert {problem["loc"][0] for problem in error.value.errors()} == {*change}


def test_the_sampler_knows_nothing_of_lanczos_iteration():
    """So an estimate at 0 steps is that of a section without them."""
    assert "lanczos_steps" not in LLCSettings(**LLC).sampler(3).model_dump()
