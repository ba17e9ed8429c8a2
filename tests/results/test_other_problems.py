"""What the page of other problems says, computed from their tables."""

import numpy as np
import pandas as pd
import pytest
from wording import counted, late, page, reference, span

from transience.complexity.summary import llc_by_run
from transience.files.selections import mean_over_positions

PAGE = page("other_problems.md")


def by_m(experiment: str) -> pd.DataFrame:
    """Least and greatest over seeds of what a run rose by, in %, and of losses over the general."""
    runs = reference(experiment, "transient_ridge")
    least, end = (runs[f"{name}_ood_loss"] / runs["ridge_ood_loss"] for name in ("least", "final"))
    runs = runs.assign(rise=100 * (runs["rise"] - 1), least=least, above=100 * (end - 1))
    return runs.groupby("num_tasks")[["rise", "least", "above"]].agg(["min", "max"]).round(4)


@pytest.mark.parametrize("experiment", ["features", "gaussian_means"])
def test_counts_of_verdicts(experiment):
    assert counted(reference(experiment, "claims")) in PAGE


def test_features():
    runs = reference("features", "transient_ridge")
    seeds = runs[runs["transient"]].groupby("num_tasks").size()
    assert seeds.to_dict() == {4.0: 1, 8.0: 2, 16.0: 1}
    found = by_m("features")
    rise, least = found["rise"], found["least"].loc[[4.0, 8.0, 16.0]]
    assert f"by {span(rise.loc[8.0])} % at M = 8 and by 10 to {rise.loc[16.0, 'max']:.0f} %" in PAGE
    assert 9.9 < rise.loc[16.0, "min"] < 10
    assert f"by {span(rise.loc[4.0], word='and')} % at M = 4" in PAGE
    assert f"it is {least['min'].min():.1f} to {least['max'].max():.1f} times the general" in PAGE
    assert f"M = ∞ ends {span(found['above'].loc[np.inf])} % above it" in PAGE


def test_gaussian_means():
    runs = reference("gaussian_means", "transient_ridge")
    (transient,) = runs[runs["transient"]].to_dict("records")
    assert (transient["num_tasks"], transient["seed"], transient["t_crit"]) == (1, 1, 43)
    found = by_m("gaussian_means")
    rise = found["rise"]
    assert f"by {span(rise.loc[8.0])} % at M = 8, {span(rise.loc[16.0])} % at M = 16" in PAGE
    assert f"{span(rise.loc[64.0])} % at M = 64" in PAGE
    assert f"M = 64 ends {span(found['above'].loc[64.0])} % above it" in PAGE
    assert f"to {found['above'].loc[np.inf, 'max']:.0f} % of its loss" in PAGE
    llc = llc_by_run(reference("gaussian_means", "llc")).groupby("num_tasks")["centred_llc"]
    spans = llc.agg(["min", "max"]).apply(span, axis=1)
    told = ", ".join(spans.drop(np.inf))
    assert f"({told} for M = 1, 4, 8, 16, 64; {spans[np.inf]} for M = ∞)" in PAGE


def test_gaussian_means_for_longer():
    runs = reference("gaussian_means_long", "transient_ridge").set_index(["num_tasks", "seed"])
    before = reference("gaussian_means", "transient_ridge").set_index(["num_tasks", "seed"])
    assert runs.index[runs["transient"]].tolist() == [(16.0, 1)]
    both = " and ".join
    own, other = (f"distance_to_{name}_at_end" for name in ("dmmse", "ridge"))
    assert (
        f"falls from {both(f'{v:.3f}' for v in before.loc[16.0, own])} at step 16,000 to "
        f"{both(f'{v:.3f}' for v in runs.loc[16.0, own])} at 64,000, while that to the general one "
        f"grows from {both(f'{v:.3f}' for v in before.loc[16.0, other])} to "
        f"{both(f'{v:.3f}' for v in runs.loc[16.0, other])}."
    ) in PAGE
    assert (before.loc[16.0, other] < runs.loc[16.0, other]).all()
    rises = {m: both(f"{100 * (v - 1):.0f}" for v in runs.loc[m, "rise"]) for m in (16.0, 32.0)}
    assert f"ends {rises[16.0]} % above its least" in PAGE
    losses = mean_over_positions(reference("gaussian_means_long", "evaluation"), "gaussian")
    of_16 = losses.query("num_tasks == 16").sort_values("step").groupby("seed")["loss"]
    risen = of_16.apply(lambda loss: 100 * (late(loss) / loss.min() - 1))
    assert f"by the mean of the last five checkpoints both rise by {span(risen)} %, and" in PAGE
    smooth = of_16.apply(lambda loss: 100 * (late(loss) / loss.rolling(5).mean().min() - 1))
    assert f"with the least a mean of five too by {span(smooth)} %." in PAGE
    assert f"M = 32 rises by {rises[32.0]} % and ends about halfway" in PAGE
    halfway = np.sqrt(runs[own]) / (np.sqrt(runs[own]) + np.sqrt(runs[other]))
    assert halfway.loc[32.0].between(0.44, 0.5).all() and (halfway.loc[16.0] < 0.36).all()
