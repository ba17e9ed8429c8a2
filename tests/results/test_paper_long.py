"""What the page of the paper's sweep says of two M trained for all its steps, from tables."""

import math

import numpy as np
import pandas as pd
import pytest
from halfway import (
    departure_bounds,
    departure_step,
    growth_exponent,
    threshold_at_the_end,
    thresholds_of,
)
from wording import ROOT, flat, page, reference, span

from transience.claims.behaviour import IN_BETWEEN, NEAR
from transience.departure.observed import HALFWAY, departures, relative_distance
from transience.files.selections import mean_over_positions

PAGE = page("paper_sweep.md")
FOLDER, SHORT = "paper-long", "paper-short"
STEPS = 150_000
M = (256.0, 362.0)


@pytest.fixture(scope="module")
def runs() -> pd.DataFrame:
    return reference(FOLDER, "transient_ridge").set_index("num_tasks")


def test_all_steps_were_trained():
    ends = reference(FOLDER, "training").groupby("num_tasks")["step"].max()
    assert ends.to_dict() == dict.fromkeys(M, STEPS)


def own(num_tasks: float) -> pd.DataFrame:
    """Distances on a run's own tasks by step, with the relative one."""
    table = mean_over_positions(reference(FOLDER, "evaluation"), "training")
    rows = table[table["num_tasks"] == num_tasks].sort_values("step")
    return rows.assign(relative=relative_distance(rows)).set_index("step")


def rises(num_tasks: float) -> np.ndarray:
    """By how many percent the OOD loss is above its least, at the last 16 checkpoints."""
    table = mean_over_positions(reference(FOLDER, "evaluation"), "gaussian")
    loss = table[table["num_tasks"] == num_tasks].sort_values("step")["loss"].to_numpy()
    return 100 * (loss[-16:] / loss.min() - 1)


def foretold() -> tuple[float, float]:
    """M_1/2 at the end, and the exponent, by the runs of 20,000 steps."""
    slope = growth_exponent(thresholds_of(SHORT))
    return threshold_at_the_end(SHORT) * (STEPS / 20_000) ** slope, slope


def test_what_was_expected_is_as_it_was_committed():
    """The comment of the configuration says the same as the page."""
    said = flat((ROOT / "config/paper_long.yaml").read_text(encoding="utf-8").replace("# ", ""))
    value, slope = foretold()
    early = threshold_at_the_end(SHORT)
    assert f"M_1/2 was {early:.0f}" in said and f"an exponent of {slope:.2f}" in said
    assert f"That foretells {10 * int(value / 10)} after 150,000" in said
    assert f"{10 * int(value / 10)} at the end: {early:.0f} after 20,000" in PAGE
    assert f"exponent {slope:.2f} with which" in PAGE
    for one in ("after about 80,000 steps", "close to halfway", "128 (33 to 501)", "3.43 and 3.13"):
        assert one in said
    for one in ("after about 80,000 steps", "close to halfway", "128 (33 to 501)", "3.13 and 3.43"):
        assert one in PAGE


def test_m_half():
    early, found = threshold_at_the_end(SHORT), threshold_at_the_end(FOLDER)
    assert f"**{found:.0f}**, interpolated between 256 and 362" in PAGE
    assert abs(found / foretold()[0] - 1) < 0.1
    crossed = departure_step(FOLDER, 256.0)
    before = math.log(256 / early) / math.log(crossed / 20_000)
    after = math.log(found / 256) / math.log(STEPS / crossed)
    assert f"with {before:.2f} until M = 256 crossed, and with {after:.2f} from there" in PAGE


def test_what_the_map_foretold():
    """As it was by seed 0 alone, before these runs."""
    found = threshold_at_the_end(FOLDER)
    assert 33 < found < 501
    assert f"spans a factor of {501 / 33:.0f}" in PAGE
    assert f"at 20,000 steps already, fails by {found / 128:.1f} |" in PAGE


def test_where_they_end(runs):
    low, high = departure_bounds(FOLDER, 256.0)
    assert f"between steps {low:,.0f} and {high:,.0f} |" in PAGE
    small, large = (runs.loc[m, "relative_distance_at_end"] for m in M)
    assert f"at a relative distance of {small:.2f} |" in PAGE
    assert IN_BETWEEN[0] < small and large < IN_BETWEEN[1]
    assert f"our limit of *in between* is {IN_BETWEEN[0]:.2f}" in PAGE
    assert f"close to halfway | {large:.2f} |" in PAGE
    last = runs.loc[362.0]
    ends = [last[f"distance_to_{one}_at_end"] for one in ("ridge", "dmmse")]
    ratio = last["final_ood_loss"] / last["ridge_ood_loss"]
    said = f"nearer to ridge ({ends[0]:.2f}) than to dMMSE ({ends[1]:.2f}); its OOD loss "
    assert said + f"{ratio:.2f} times ridge's | not by our limits ({NEAR} times)" in PAGE
    assert ratio > NEAR


def test_halfway_need_not_be_between():
    low, high = departure_bounds(FOLDER, 256.0)
    halfway = own(256.0).loc[low:high, ["distance_to_dmmse", "distance_to_ridge"]]
    assert f"both are {halfway.to_numpy().mean():.2f} away" in PAGE
    ideal = reference(FOLDER, "predictors").query("num_tasks == 256 and distribution == 'training'")
    losses = ideal.groupby("predictor")["loss"].mean()
    apart = losses["ridge"] - losses["dmmse"]  # dMMSE is the posterior mean
    assert f"and {apart:.2f} from each other" in PAGE


def test_how_they_rise(runs):
    first, second = (runs.loc[m] for m in M)
    assert 3.13 < first["least_ood_loss"] < 3.43 and first["t_crit"] > 4000
    said = f"least {first['least_ood_loss']:.2f} at step {first['t_crit']:,} "
    said += f"(ridge: {first['ridge_ood_loss']:.2f}), at the end {first['final_ood_loss']:.2f}"
    assert said in PAGE
    assert f"a rise of {span(rises(256.0))} % over the last checkpoints" in PAGE
    said = f"from {second['least_ood_loss']:.2f} at step {second['t_crit']:,} by "
    assert said + f"{span(rises(362.0))} % over the last checkpoints" in PAGE
    assert rises(362.0).min() < 10 < rises(362.0).max()
    far = runs["least_ood_loss"] / runs["ridge_ood_loss"]
    assert f"still {far[256.0]:.2f} and {far[362.0]:.2f} times ridge's" in PAGE
    short = reference(SHORT, "transient_ridge").set_index("num_tasks")["least_ood_loss"]
    assert f"nearer to ridge there ({short[362.0]:.2f}) than" in PAGE


def test_how_departures_go_with_m():
    steps = {m: departure_step(SHORT, m) for m in (32.0, 64.0, 128.0)}
    steps[256.0] = departure_step(FOLDER, 256.0)
    later = [f"{steps[m]:,.0f}" for m in (64.0, 128.0, 256.0)]
    assert f"leave at steps {later[0]}, {later[1]} and {later[2]}:" in PAGE
    first, second, third = (math.log2(steps[2 * m] / steps[m]) for m in (32.0, 64.0, 128.0))
    longer = departure_step("paper-subset", 64.0)
    said = f"exponents of {second:.1f} and {third:.1f}, but of "
    assert said + f"{math.log2(steps[256.0] / longer) / 2:.1f} from M = 64 to 256" in PAGE
    assert f"longer warm-up ({longer:,.0f}), and of {first:.1f} from 32 to 64" in PAGE
    law = 1000 * round(steps[256.0] * (362 / 256) ** 2 / 1000)
    assert f"would have left by step {law:,}. It stays" in PAGE
    found = departures(reference(FOLDER, "evaluation")).set_index("num_tasks").loc[362.0]
    assert found["outcome"] == "stays" and law < STEPS
    late = own(362.0).loc[50_000:, "relative"]
    slope, start = np.polyfit(late.index, late, 1)
    assert (HALFWAY - start) / slope > 200_000
