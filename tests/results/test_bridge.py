"""What the page on the paper's problem with a smaller model says, computed from its tables."""

import numpy as np
import pandas as pd
import pytest
from wording import ROOT, counted, flat, page, reference

from transience.complexity.summary import llc_by_run
from transience.files.selections import mean_over_positions
from transience.model.settings import ModelSettings
from transience.model.transformer import Architecture, num_parameters
from transience.planning.configuration import DEFAULTS, completed, load, variant_settings
from transience.problem.settings import TaskSettings

PAGE = page("bridge.md")
TRANSIENT = [16.0, 32.0, 64.0, 128.0]
SEARCHED = {  # as the page names them
    "two blocks, width 64": "width_64",
    "two blocks, width 128": "width_128",
    "the same, batches of 128": "width_128_batch_128",
    "**four blocks, width 128**": "width_128_four_layers",
    "two blocks, width 256": "width_256",
}


def by_seed(values: pd.Series, form: str, flags: pd.Series | None = None) -> str:
    """Of the seeds, with a star where there is a flag."""
    stars = [
        "" if flags is None or not flag else "*" for flag in (values if flags is None else flags)
    ]
    return "; ".join(f"{value:{form}}{star}" for value, star in zip(values, stars, strict=True))


@pytest.fixture(scope="module")
def runs() -> pd.DataFrame:
    """By M and seed: the row of `transient_ridge` and the LLC at the end."""
    keys = ["num_tasks", "seed"]
    llc = llc_by_run(reference("bridge", "llc")).set_index(keys)[["llc", "centred_llc", "flags"]]
    return reference("bridge", "transient_ridge").set_index(keys).join(llc).sort_index()


@pytest.mark.parametrize("m", [1.0, 4.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0, np.inf])
def test_a_row_of_the_table(runs, m):
    own = runs.loc[m]
    cells = [
        "∞" if np.isinf(m) else f"{m:,.0f}",
        by_seed(own["t_crit"], ",d"),
        by_seed(own["least_ood_loss"] / own["ridge_ood_loss"], ".2f"),
        by_seed(100 * (own["rise"] - 1), ".0f") + " %",
        "" if np.isinf(m) else by_seed(own["relative_distance_at_end"], ".2f"),
        by_seed(own["centred_llc"], ".0f", own["flags"]),
        by_seed(own["llc"], ".0f", own["flags"]),
    ]
    assert flat(f"| {' | '.join(cells)} |") in PAGE


def test_verdicts_and_who_is_transient(runs):
    claims = reference("bridge", "claims").query("variant == 'baseline'")
    assert counted(claims) in PAGE
    assert [m for m in runs.index.unique(0) if runs.loc[m, "transient"].all()] == TRANSIENT
    failed = set(claims.loc[claims["verdict"].eq("fails"), "claim"])
    assert failed == {
        *("llc_plateaus", "infinity_goes_to_ridge"),
        *("crossover_predicts_departures", "crossover_orders_departures"),
    }


def test_complexity_of_transient_m_is_above_that_of_infinity(runs):
    of_infinity = runs.loc[(np.inf, 0)]
    above = runs["centred_llc"] > of_infinity["centred_llc"]
    assert [m for m in above.index.unique(0) if above[m].all()] == [32, 64, 128, 256, 512]
    in_the_papers_form = runs["llc"] > of_infinity["llc"]
    assert in_the_papers_form[[64.0, 128.0]].all()
    assert not in_the_papers_form[[1.0, 4.0, 16.0, 32.0]].any()
    assert (runs["flags"].str.contains("NOT_EQUILIBRATED")).sum() == 1


def curve() -> pd.DataFrame:
    """By quadrature, of both seeds."""
    rows = reference("bridge", "llc_curve").query("method == 'quadrature'")
    return rows.set_index(["num_tasks", "seed", "h_star"])


def test_quadrature():
    every = curve()["llc"].unstack()
    of_infinity = every.loc[(np.inf, 0)]
    above = (every.loc[[32.0, 64.0, 128.0]] > of_infinity).groupby("num_tasks").all()
    assert above[[1.0, 3.0, 10.0]].all(axis=None)
    assert above[0.3].tolist() == [True, False, True]
    assert every.loc[(64.0, 0), 0.3] > of_infinity[0.3] > every.loc[(64.0, 1), 0.3]
    assert above[0.1].tolist() == [False, False, True]
    assert of_infinity[0.03] < 0
    first, second, third = (by_seed(every[1.0].loc[m], ".0f") for m in (32.0, 64.0, 128.0))
    assert f"with {first}, {second} and {third} over {of_infinity[1.0]:.0f}." in PAGE


def test_quadrature_without_negative_curvature():
    at_1 = curve().xs((0, 1.0), level=("seed", "h_star"))
    positive = at_1["llc"] - at_1["negative_part"]
    high = ", ".join(f"{positive[m]:.0f}" for m in (64.0, 128.0, np.inf))
    assert f"above M = ∞ ({high}) and M = 32 does not ({positive[32]:.0f})" in PAGE
    assert positive[32] < positive[np.inf] < positive[[64.0, 128.0]].min()


def test_the_two_methods(runs):
    factor = curve().loc[(64.0, 0, 0.1), "llc"] / runs.loc[(64.0, 0), "centred_llc"]
    assert f"differ by a factor of {factor:.0f} at M = 64" in PAGE


def test_how_far_seeds_are_apart(runs):
    for m, form in ((64.0, "centred_llc"), (128.0, "llc")):
        assert f"by {runs.loc[m, form].max() - runs.loc[m, form].min():.0f} at M = {m:.0f}" in PAGE


def test_the_bend_of_128():
    table = reference("bridge", "trajectory_subspace").query("quantity == 'reordered_share'")
    rows = table[table["setting"].astype(float).eq(128.0)].sort_values("seed")["value"]
    first, second = 100 * rows
    assert f"in {second:.0f} % of orders ({first:.0f} % in seed 0)" in PAGE


def test_the_rational_model():
    scores = reference("bridge", "departure_prediction_scores").query(
        "variant == 'baseline' and held_out == 'num_tasks' and scope == 'all'"
    )
    first = scores.loc[scores["log_probability"].idxmax()]
    low, middle, high = (first[f"advantage{part}"] for part in ("_low", "", "_high"))
    assert f"by {middle:.2f} in log probability ({low:.3f} to {high:.2f})" in PAGE
    left = reference("bridge", "free_energy").query("outcome == 'left'")
    assert {*left["num_tasks"]} == {16.0, 32.0, 64.0}


@pytest.mark.parametrize("label", SEARCHED)
def test_a_row_of_the_search(label):
    variant = SEARCHED[label]
    losses = mean_over_positions(reference("bridge/search", "evaluation"), "gaussian")
    losses = losses[losses["variant"].eq(variant)]
    of_64, of_infinity = (
        losses[losses["num_tasks"].eq(m)].sort_values("step")["loss"] for m in (64, np.inf)
    )
    least, end = of_64.min(), of_64.iloc[-1]
    cells = [label, f"{parameters(variant):,d}", f"{of_infinity.iloc[-1]:.2f}"]
    cells += [f"{least:.2f}", f"{end:.2f}", f"{100 * (end / least - 1):.0f} %"]
    assert f"| {' | '.join(cells)} |" in PAGE


def parameters(variant: str) -> int:
    """Of a model of the search, by its configuration."""
    whole = load(DEFAULTS) | {}
    for name, section in load(ROOT / "config/bridge_search.yaml").items():
        whole[name] = whole[name] | section if isinstance(section, dict) else section
    chosen = variant_settings(completed(whole), variant)
    shape = Architecture.of(TaskSettings(**chosen["task"]), ModelSettings(**chosen["model"]))
    return num_parameters(shape)


@pytest.mark.parametrize("m", [32.0, 64.0, 128.0])
def test_beside_the_papers_model(runs, m):
    large = reference("paper-short", "transient_ridge").set_index("num_tasks").loc[m]
    both = [runs.loc[(m, 0)], large]

    def values(column: str, form: str) -> str:
        return ", ".join(f"{one[column]:{form}}" for one in both)

    rises = ", ".join(f"{100 * (one['rise'] - 1):.0f}" for one in both)
    steps = values("t_crit", ",.0f")
    assert f"| {m:.0f} | {steps} | {values('least_ood_loss', '.2f')} | {rises} % |" in PAGE
