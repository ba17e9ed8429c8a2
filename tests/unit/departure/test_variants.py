"""What a variant has of its own: sections, checked; its control; where it leaves that."""

from types import SimpleNamespace

import numpy as np
import pytest
from small import TRAINING

from transience.departure.variants import control_of, last_in_common, variant_section
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


def plain(**changes: object) -> TrainingSettings:
    return WHOLE.model_copy(update=changes)


def test_the_control_is_where_branches_begin():
    family = {
        "main": plain(),
        "other": plain(),
        "branch": plain(branch=BranchSettings(variant="other")),
        "twig": plain(branch=BranchSettings(variant="branch")),
    }
    controls = {name: control_of(name, family, "main") for name in family}
    assert controls == {"main": "main", "other": "main", "branch": "other", "twig": "other"}


@pytest.mark.parametrize(
    ("values", "expected"),
    [([4.0, 3.0, 2.0, 2.0], 30), ([4.0, 3.0, 1.0, 2.0], 10), ([9.0, 3.0, 2.0, 2.0], 0)],
)
def test_runs_are_the_same_up_to_their_last_common_step(values, expected):
    steps, others = [0, 10, 20, 30], [0, 5, 10, 20, 30]
    theirs = np.array([4.0, 3.5, 3.0, 2.0, 2.0])
    assert last_in_common(steps, np.array(values), others, theirs) == expected
    many = (np.stack([np.ones(len(one)), one], axis=1) for one in (values, theirs))
    mine, other = many
    assert last_in_common(steps, mine, others, other) == expected
