"""Where a branch leaves a run, if that is said in words."""

import pandas as pd
import pytest

from transience.departure.branch_point import branch_point
from transience.errors import InputError

STEPS = [0, 10, 20, 30, 40]


def evaluation(ood: list[float], to_dmmse: list[float]) -> pd.DataFrame:
    """A run whose distance to ridge is small from step 10 on."""
    to_ridge = [4.0, 0.5, 0.5, 0.5, 0.5]
    columns = {"loss": ood, "distance_to_dmmse": to_dmmse, "distance_to_ridge": to_ridge}
    rows = [
        pd.DataFrame({"step": STEPS, "distribution": name, "position": pd.NA} | columns)
        for name in ("gaussian", "training")
    ]
    return pd.concat(rows).assign(variant="a", num_tasks=8.0, seed=0)


def test_t_crit_is_the_least_loss_on_new_tasks():
    assert branch_point(evaluation([4, 2, 1, 3, 3.5], [1] * 5), "t_crit") == 20


def test_departure_is_the_first_checkpoint_that_stays_nearer_to_dmmse():
    to_dmmse = [4, 2, 2, 0.1, 0.1]
    assert branch_point(evaluation([4, 2, 1, 3, 3.5], to_dmmse), "departure") == 30


def test_a_run_that_does_not_leave_has_no_departure():
    with pytest.raises(InputError, match="expected a run that leaves ridge"):
        branch_point(evaluation([4, 2, 1, 3, 3.5], [4, 2, 2, 2, 2]), "departure")
