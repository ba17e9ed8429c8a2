"""The grid of settings around the configured one."""

import pytest
from made_up_calibration import ALLOWED, CONFIGURED

from transience.complexity.calibration.grid import grid
from transience.complexity.limits import MAX_STIFFNESS
from transience.errors import InputError


def test_the_grid_holds_fixed_what_its_names_say() -> None:
    settings = grid(CONFIGURED)
    h = {name: s.gamma / s.nbeta for name, s in settings.items()}
    assert h == dict.fromkeys(settings, 5.0) | {"quarter_h": 1.25, "fourfold_h": 20.0}
    for name in ("quarter_nbeta", "fourfold_nbeta"):
        s = settings[name]
        assert s.step_size * s.nbeta == pytest.approx(8e-3)
        assert s.num_burn_in == 100
    assert settings["half_step_size"].num_burn_in == 200
    assert settings["quarter_h"].num_burn_in == 400
    assert {s.num_draws for s in settings.values()} == {200}


def test_no_setting_of_the_grid_is_less_stable_than_the_configured_one_may_be() -> None:
    assert CONFIGURED.stiffness(ALLOWED) == pytest.approx(MAX_STIFFNESS)
    for name, settings in grid(CONFIGURED).items():
        assert settings.stiffness(ALLOWED) <= MAX_STIFFNESS * (1 + 1e-12), name


def test_the_grid_needs_a_pull() -> None:
    with pytest.raises(InputError, match=r"llc.gamma: expected a number above 0 .*, found 0"):
        grid(CONFIGURED.model_copy(update={"gamma": 0.0}))
