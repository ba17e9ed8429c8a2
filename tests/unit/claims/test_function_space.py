"""Trajectories and principal components: both verdicts of every claim."""

import math
from collections.abc import Callable

import pytest
from claim_sweep import DIVERSITIES, INF, Tables, change, every, verdict, without

from transience.claims.claim import FAILS, NOT_TESTABLE

OF_THE_LINE = ("infinity_goes_to_ridge", "pc1_follows_root_loss")
OF_THE_PLANE = (
    *OF_THE_LINE,
    *("intermediate_deflect", "deflection_exceeds_chance", "pc2_orders_predictors"),
    *("pc2_follows_ood_loss", "early_positions_load_on_pc2"),
)


def late_positions_load_more(made: Tables) -> None:
    table = made["trajectory_pca_components"]
    table.loc[table["seed"] == 1, "loading"] = table["position"] + 1.0


def chance_bends_as_far(made: Tables) -> None:
    rows = made["trajectory_subspace"]
    rows.loc[rows["setting"].isin(["8", "16", "64", "128"]) & (rows["seed"] == 1), "value"] = 0.2


def without_components(*numbers: int) -> Callable[[Tables], None]:
    """Checkpoints that lie on a line, or are all equal."""

    def apply(made: Tables) -> None:
        for number in numbers:
            made["trajectory_pca"][f"pc{number}"] = math.nan
        components = made["trajectory_pca_components"]
        first = components["component"].min()
        components.loc[components["component"] == first, "loading"] = math.nan
        made["trajectory_pca_components"] = components[components["component"] == first]
        made["transient_ridge"]["ridge_deflection"] = math.nan
        made["trajectory_subspace"]["value"] = math.nan

    return apply


@pytest.mark.parametrize(
    ("claim", "spoil"),
    [
        (
            "intermediate_deflect",
            every(
                *(change("transient_ridge", "ridge_deflection", m, 0.01) for m in (8, 16, 64, 128))
            ),
        ),
        ("deflection_exceeds_chance", chance_bends_as_far),
        (
            "infinity_goes_to_ridge",  # hardly moves
            change("trajectory_pca", "pc1", INF, lambda x: x.where(x == 3, -9.0)),
        ),
        (
            "infinity_goes_to_ridge",  # leaves again
            change("trajectory_pca", "pc1", INF, [-9.0, 3.0, 1.0, 3.0, 3.0]),
        ),
        (
            "pc2_orders_predictors",
            every(*(change("trajectory_pca", "pc2", m, lambda x: -x) for m in (1, 8, 16))),
        ),
        (
            "pc2_follows_ood_loss",
            every(*(change("evaluation", "loss", m, lambda x: -x) for m in DIVERSITIES)),
        ),
        (
            "pc1_follows_root_loss",
            every(*(change("evaluation", "loss", m, lambda x: -x) for m in DIVERSITIES)),
        ),
        ("early_positions_load_on_pc2", late_positions_load_more),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_claim_fails_where_one_seed_says_otherwise(claim: str, spoil: Callable):
    assert verdict(claim, spoil) == FAILS


@pytest.mark.parametrize(
    ("claim", "spoil"),
    [
        ("infinity_goes_to_ridge", without(INF)),
        ("intermediate_deflect", without(8, 16, 64, 128)),
        ("pc2_orders_predictors", without(16, 64, 128, 256)),
        (
            "pc2_follows_ood_loss",  # a loss that never changes
            every(*(change("evaluation", "loss", m, 1.0) for m in DIVERSITIES)),
        ),
        *((claim, without_components(1, 2)) for claim in OF_THE_PLANE),
        *((claim, without_components(2)) for claim in OF_THE_PLANE[2:]),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_claim_is_not_testable_where_the_sweep_lacks_what_it_needs(claim: str, spoil: Callable):
    assert verdict(claim, spoil) == NOT_TESTABLE
