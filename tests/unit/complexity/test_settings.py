"""Settings that no estimate can do with are refused by name."""

import math

import pytest
from pydantic import ValidationError
from regression import sampler


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
