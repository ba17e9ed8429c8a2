"""What the page on the gap to ridge says, computed from the tables of its sweep."""

import json

import numpy as np
import pandas as pd
import pytest
from wording import ROOT, flat, page, reference

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


def ends() -> pd.DataFrame:
    """By variant and M: the row of table `transient_ridge`, and the final loss on own tasks."""
    runs = reference("to_ridge", "transient_ridge").set_index(["variant", "num_tasks"])
    losses = mean_over_positions(reference("to_ridge", "evaluation"), "training")
    last = losses.sort_values("step").groupby(["variant", "num_tasks"])["loss"].last()
    return runs.assign(own=last)


def above(label: str) -> float:
    """By how many percent M = inf ends above ridge."""
    run = ends().loc[(ROWS[label], np.inf)]
    return 100 * (run["final_ood_loss"] / run["ridge_ood_loss"] - 1)


@pytest.mark.parametrize("label", ROWS)
def test_a_row_of_the_table(label):
    loss = ends().loc[(ROWS[label], np.inf), "final_ood_loss"]
    assert flat(f"| {label} | {loss:.3f} | {above(label):.0f} % |") in PAGE


def test_every_variant_has_a_row():
    assert {*ends().index.unique("variant")} == {*ROWS.values()}


def test_how_much_of_the_gap_is_closed():
    found = ends().xs(np.inf, level="num_tasks")
    gap = found["final_ood_loss"] - found["ridge_ood_loss"]
    closed = 100 * (1 - gap / gap["baseline"])
    assert (
        f"half a cosine closes {closed['cosine']:.0f} % of it, four blocks "
        f"{closed['four_layers']:.0f} %, both {closed['four_layers_cosine']:.0f} %. Four times as "
        f"many steps at a constant rate close {closed['four_times_as_long']:.0f} %"
    ) in PAGE
    assert {f"{loss:.3f}" for loss in found["ridge_ood_loss"]} == {"0.922"}
    assert "ridge (0.922)" in PAGE


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


def test_what_stays_transient():
    found = ends()["transient"]
    assert found.xs(16.0, level="num_tasks").all()
    assert found.xs(8.0, level="num_tasks").to_dict() == {
        "baseline": True, "four_layers": False, "four_layers_cosine": False
    }  # fmt: skip


@pytest.mark.parametrize("m", [8.0, 16.0])
@pytest.mark.parametrize("variant", ["baseline", "four_layers", "four_layers_cosine"])
def test_transience_with_what_helps(variant, m):
    run = ends().loc[(variant, m)]
    rise = 100 * (run["final_ood_loss"] / run["least_ood_loss"] - 1)
    assert f"| {run['least_ood_loss']:.2f} → {run['final_ood_loss']:.2f} ({rise:.0f} %) |" in PAGE
