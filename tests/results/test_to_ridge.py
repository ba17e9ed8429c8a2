"""What the page on the gap to ridge says, computed from the tables of its sweep."""

import json

import numpy as np
import pandas as pd
import pytest
from wording import ROOT, flat, late, page, reference

from transience.files.selections import mean_over_positions
from transience.model.settings import ModelSettings
from transience.model.transformer import Architecture, num_parameters
from transience.problem.settings import TaskSettings

FOLDER = ROOT / "results/reference/to_ridge"
PAGE = page("to_ridge.md")
ROWS = {  # what was changed, and its variant
    "nothing": "baseline",
    "rate: half a cosine to 0": "cosine",
    "rate: a line to 0 over the last half": "linear_over_last_half",
    "rate: half a cosine from twice the rate": "cosine_from_twice",
    "half the batch, twice the steps, rate 2.8e-3": "half_batch",
    "four times the batch, a quarter of the steps, rate 8e-3": "four_times_batch",
    "one block, 64 wide": "one_layer",
    "**four blocks, 32 wide**": "four_layers",
    "**four blocks and half a cosine**": "four_layers_cosine",
    "a wider MLP (160), 40 wide": "wide_mlp",
    "one head": "one_head",
    "an output projection, 44 wide": "output_projection",
    "four times as long (four times the cost)": "four_times_as_long",
}


SEEDS = (0, 1)
HELPS = {"default": "baseline", "four blocks": "four_layers"}
HELPS["four blocks and half a cosine"] = "four_layers_cosine"


def runs() -> pd.DataFrame:
    """Rows of table `transient_ridge` by variant, M and seed."""
    frame = reference("to_ridge", "transient_ridge")
    return frame.set_index(["variant", "num_tasks", "seed"]).sort_index()


def at_infinity(label: str) -> pd.DataFrame:
    """Runs of M = inf by seed, with how many percent they end above ridge."""
    own = runs().loc[(ROWS[label], np.inf)]
    return own.assign(above=100 * (own["final_ood_loss"] / own["ridge_ood_loss"] - 1))


def cells(values: pd.Series, form: str) -> str:
    """Of seeds, one behind the other."""
    return "; ".join(f"{value:{form}}" for value in values)


@pytest.mark.parametrize("label", ROWS)
def test_a_row_of_the_table(label):
    own = at_infinity(label)
    losses, above = cells(own["final_ood_loss"], ".3f"), cells(own["above"], ".0f")
    assert flat(f"| {label} | {losses} | {above} % |") in PAGE


def test_every_variant_has_a_row_and_all_but_one_two_seeds():
    found = runs().xs(np.inf, level="num_tasks").groupby("variant").size()
    assert found.to_dict() == {
        name: 1 if name == "four_times_as_long" else len(SEEDS) for name in ROWS.values()
    }


def closed() -> pd.DataFrame:
    """Percent of the default's gap to ridge that a variant closes, by seed."""
    found = runs().xs(np.inf, level="num_tasks")
    gap = (found["final_ood_loss"] - found["ridge_ood_loss"]).unstack("seed")
    return 100 * (1 - gap / gap.loc["baseline"])


def test_how_much_of_the_gap_is_closed():
    of = {name: cells(row.dropna(), ".0f") for name, row in closed().iterrows()}
    assert (
        f"half a cosine closes {of['cosine']} % of it, four blocks {of['four_layers']} %, both "
        f"{of['four_layers_cosine']} %. "
    ) in PAGE
    assert f"at a constant rate close {of['four_times_as_long']} % (28 %" in PAGE
    ridge = runs().xs(np.inf, level="num_tasks")["ridge_ood_loss"].groupby("seed")
    assert f"ridge ({cells(ridge.first(), '.3f')})" in PAGE
    assert (ridge.max() - ridge.min()).max() < 1e-3


@pytest.mark.parametrize("variant", ROWS.values())
def test_costs_are_alike(variant):
    config = json.loads((FOLDER / "config.json").read_text(encoding="utf-8"))
    of = {
        name: config[name] | config["variants"][variant].get(name, {})
        for name in ("task", "model", "training")
    }
    architecture = Architecture.of(TaskSettings(**of["task"]), ModelSettings(**of["model"]))
    sequences = of["training"]["num_steps"] * of["training"]["batch_size"]
    assert sequences == 16_000 * 64 * (4 if variant == "four_times_as_long" else 1)
    assert num_parameters(architecture) == pytest.approx(35_045, rel=0.08)


TWO = ("four_layers", "baseline")


def late_losses() -> pd.Series:
    """Loss on new tasks by variant, M and seed: mean of the last five checkpoints."""
    losses = mean_over_positions(reference("to_ridge", "evaluation"), "gaussian")
    of_runs = losses.sort_values("step").groupby(["variant", "num_tasks", "seed"])["loss"]
    return of_runs.apply(late)


def mean_rises(variant: str, m: float) -> pd.Series:
    """Percent by which that mean lies above the least, by seed."""
    return 100 * (late_losses() / runs()["least_ood_loss"] - 1).loc[(variant, m)]


def rises(variant: str, m: float) -> pd.Series:
    """Percent by which the loss on new tasks ends above its least, by seed."""
    return 100 * (runs().loc[(variant, m), "rise"] - 1)


@pytest.mark.parametrize("label", HELPS)
def test_transience_with_what_helps(label):
    row = [f"{cells(rises(HELPS[label], m), '.0f')} %" for m in (8.0, 16.0, 32.0, 64.0)]
    assert flat(f"| {label} | {' | '.join(row)} |") in PAGE


def test_what_is_said_of_transience():
    found = runs()["transient"]
    small = found.loc[["four_layers", "four_layers_cosine"]].unstack("num_tasks")[[8.0, 16.0]]
    assert (small.sum(axis=1) == 1).all()
    assert small.groupby("seed").nunique().eq(1).all(axis=None)  # of both variants alike
    assert (small.xs(0, level="seed") != small.xs(1, level="seed")).all(axis=None)
    assert not found.xs(32.0, level="num_tasks").any()
    of = {name: [*rises(name, 8.0), *rises(name, 16.0)] for name in ("baseline", "four_layers")}
    text = {name: f"{min(v):.0f} to {max(v):.0f}" for name, v in of.items()}
    assert (
        f"the default rises by {text['baseline']} %, four blocks by {text['four_layers']} %" in PAGE
    )
    more = rises("four_layers", 32.0) - rises("baseline", 32.0)
    assert more[1] < 0 < more[0] < 3
    means = [mean_rises(name, 32.0) for name in TWO]
    assert (means[0] > means[1]).all() and (means[0] < 10).all()
    both = [cells(of(name, 32.0), ".0f") for of in (rises, mean_rises) for name in TWO]
    assert (
        f"They rise by {both[0]} % there where two blocks rise by {both[1]} %, by the mean of the "
        f"last five checkpoints by {both[2]} % and {both[3]} %: as expected more than two do, and "
        "less than 10 %."
    ) in PAGE
    risen = runs().loc[("baseline", 32.0, 1)]
    assert risen["rise"] > 1.1 and risen["t_crit"] > 8_000
    least = runs()["least_ood_loss"]
    told = [cells(least.loc[(name, 8.0)], ".2f") for name in ("four_layers", "baseline")]
    assert f"near to ridge there (M = 8: {told[0]}, with two {told[1]})" in PAGE
    assert (least.loc[("four_layers", 16.0)] > least.loc[("baseline", 16.0)]).all()


def test_what_was_expected_of_seed_1():
    gap = closed()[1]
    assert 50 < gap["four_layers"] < 90 and not gap["cosine"] < 100 / 3
    assert all(rises(name, 64.0).max() < 5 for name in HELPS.values())
    batches = closed().loc["half_batch"]
    assert batches[0] < 0 < batches[1]
    gap = late_losses().xs(np.inf, level="num_tasks") - runs()["ridge_ood_loss"].xs(
        np.inf, level="num_tasks"
    )
    part = 100 * (1 - gap.loc[("four_times_as_long", 0)] / gap.loc[("baseline", 0)])
    assert f"({part:.0f} % by the mean of the last five checkpoints; one seed)" in PAGE
