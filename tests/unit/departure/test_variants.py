"""Sections of a variant: its own values, checked, and all others as they are."""

from types import SimpleNamespace

import pytest
from small import TRAINING

from transience.departure.variants import variant_section
from transience.errors import InputError
from transience.training.settings import BranchSettings, PhaseSettings, TrainingSettings

WHOLE = TrainingSettings(**TRAINING, phases=[PhaseSettings(weight_decay=0.1)])


def section(**own: object) -> TrainingSettings:
    variants = {"baseline": {}, "other": {"training": own}, "deeper": {"model": {"num_layers": 4}}}
    settings = SimpleNamespace(training=WHOLE, variants=variants)
    for variant in ("baseline", "deeper"):
        assert variant_section(settings, variant, "training") == WHOLE
    return variant_section(settings, "other", "training")


def test_own_values_take_the_place_of_others_of_the_section():
    assert section(num_steps=7) == WHOLE.model_copy(update={"num_steps": 7})


def test_phases_and_branches_are_settings_and_not_dictionaries():
    found = section(phases=[{"begin": 3, "batch_size": 2}], branch={"variant": "baseline"})
    assert found.phases == [PhaseSettings(begin=3, batch_size=2)]
    assert found.branch == BranchSettings(variant="baseline")
    assert found.phases[0].weight_decay == 0.0


def test_what_a_variant_may_not_have_is_named():
    with pytest.raises(
        InputError, match=r"^variants\.other\.training\.phases\.0\.begn: .*; found 3$"
    ):
        section(phases=[{"begn": 3}])
