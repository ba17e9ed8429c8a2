"""What the default sweep must show, and what no sweep may show, on its finished tables."""

import numpy as np
import pandas as pd
import pytest

from transience.claims import verdicts
from transience.departure.transient_ridge import transient_ridge_table
from transience.files.tables import RUN_KEYS

MONTE_CARLO = 0.02  # relative error of a mean over the test set, as both sides share the test set

Tables = dict[str, pd.DataFrame]


def means(table: pd.DataFrame, distribution: str) -> pd.DataFrame:
    """Rows of the mean over positions."""
    return table[table["position"].isna() & (table["distribution"] == distribution)]


# The phenomenon: settings of the default sweep are chosen such that these hold


@pytest.mark.parametrize(
    "claim",
    [
        "ood_loss_rises_again",
        "infinity_keeps_ridge",
        "low_ends_near_dmmse",
        "infinity_ends_near_ridge",
        "intermediate_deflect",
    ],
)
def test_the_sweep_shows_transient_ridge(sweep_tables: Tables, claim: str):
    found = verdicts.check(sweep_tables).set_index("claim").loc[claim]
    assert found["verdict"] == "holds", found["this_sweep_shows"]


def test_the_sweep_has_enough_task_diversities_and_seeds(sweep_tables: Tables):
    runs = sweep_tables["transient_ridge"]
    assert runs["num_tasks"].nunique() >= 7
    assert {1.0, np.inf} <= set(runs["num_tasks"])
    assert runs["seed"].nunique() >= 2


# Tables that agree with each other


def test_verdicts_are_those_of_the_tables(sweep_tables: Tables):
    columns = ["claim", "verdict"]
    computed = verdicts.check(sweep_tables)[columns]
    pd.testing.assert_frame_equal(computed, sweep_tables["claims"][columns])


def test_transient_ridge_follows_from_the_other_tables(sweep_tables: Tables):
    stored = sweep_tables["transient_ridge"]
    of_probe = [column for column in stored if column.startswith("root_")]
    computed = transient_ridge_table(
        sweep_tables["evaluation"],
        sweep_tables["predictors"],
        sweep_tables["trajectory_pca"],
        stored[RUN_KEYS + of_probe],
    )
    computed = computed.sort_values(RUN_KEYS, ignore_index=True)[stored.columns]
    pd.testing.assert_frame_equal(computed, stored)


# What is true of any sweep


def test_all_models_of_a_seed_start_from_the_same_weights(sweep_tables: Tables):
    runs = sweep_tables["transient_ridge"].groupby(["variant", "seed"])["initial_ood_loss"]
    assert (runs.max() - runs.min()).max() < 1e-6


def test_the_test_set_of_gaussian_tasks_is_the_same_for_all_task_diversities(sweep_tables: Tables):
    runs = sweep_tables["transient_ridge"].groupby(["variant", "seed"])["ridge_ood_loss"]
    assert (runs.max() - runs.min()).max() < 1e-9


@pytest.mark.parametrize(("distribution", "best"), [("training", "dmmse"), ("gaussian", "ridge")])
def test_no_model_beats_the_best_possible_predictor(
    sweep_tables: Tables, distribution: str, best: str
):
    models = means(sweep_tables["evaluation"], distribution).groupby(RUN_KEYS)["loss"].min()
    ideal = means(sweep_tables["predictors"], distribution)
    ideal = ideal[ideal["predictor"] == best].set_index(RUN_KEYS)["loss"]
    assert (models / ideal).min() > 1 - MONTE_CARLO


def test_dmmse_beats_ridge_on_its_own_tasks_and_ridge_beats_dmmse_elsewhere(sweep_tables: Tables):
    for distribution, best, other in (
        ("training", "dmmse", "ridge"),
        ("gaussian", "ridge", "dmmse"),
    ):
        losses = means(sweep_tables["predictors"], distribution)
        losses = losses.pivot(index=RUN_KEYS, columns="predictor", values="loss")
        assert (losses[best] <= losses[other] * (1 + MONTE_CARLO)).all()


def test_every_model_learns(sweep_tables: Tables):
    losses = (
        means(sweep_tables["evaluation"], "training").sort_values("step").groupby(RUN_KEYS)["loss"]
    )
    assert (losses.last() < 0.8 * losses.first()).all()


def test_components_are_unit_vectors(sweep_tables: Tables):
    table = sweep_tables["trajectory_pca_components"]
    squares = (table["loading"] ** 2).groupby([table[k] for k in ("variant", "seed", "component")])
    np.testing.assert_allclose(squares.sum(), 1, rtol=1e-9)


def test_llc_chains_stay_finite_and_at_the_end_local(sweep_tables: Tables):
    """Early checkpoints are flagged: the loss rises by more of its range there."""
    llc = sweep_tables["llc"]
    assert not llc["diverged"].any()
    final = llc["step"] == llc.groupby(RUN_KEYS)["step"].transform("max")
    assert not llc.loc[final, "flags"].str.contains("NOT_LOCAL").any()
    assert (llc.groupby([*RUN_KEYS, "step"])["centred_llc"].mean() > 0).all()


def test_both_forms_of_the_llc_differ_by_the_descent(sweep_tables: Tables):
    """Up to the jackknife's correction, which only adds what the mean's own error takes away."""
    groups = sweep_tables["llc"].groupby([*RUN_KEYS, "step"])
    means, error = groups[["llc", "centred_llc", "descent"]].mean(), groups["centred_llc"].sem()
    correction = means["centred_llc"] - means["llc"] - means["descent"]
    assert (correction > -3 * error).all()
    assert (correction < 0.15 * means["centred_llc"] + 3 * error).all()
