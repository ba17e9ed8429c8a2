"""What the page of the paper's sweep says of two M trained for all its steps, from tables."""

import math

import numpy as np
import pandas as pd
import pytest
from wording import page, reference

from transience.departure.observed import departures, relative_distance
from transience.departure.thresholds import thresholds_table
from transience.files.selections import mean_over_positions, of_last_step

PAGE = page("paper_sweep.md")
FOLDER, SHORT = "paper-long", "paper-short"
STEPS = 150_000
M = (256.0, 362.0)


def threshold_at_the_end(folder: str) -> float:
    return thresholds_table(reference(folder, "evaluation")).query("share == 1")["value"].item()


def departure(folder: str, num_tasks: float) -> tuple[float, float]:
    """Bounds of the step at which a run left ridge."""
    found = departures(reference(folder, "evaluation")).set_index("num_tasks").loc[num_tasks]
    assert found["outcome"] == "left"
    return found["low"], found["high"]


def middle(folder: str, num_tasks: float) -> float:
    return math.sqrt(math.prod(departure(folder, num_tasks)))


@pytest.fixture(scope="module")
def runs() -> pd.DataFrame:
    return reference(FOLDER, "transient_ridge").set_index("num_tasks")


def test_all_steps_were_trained():
    ends = reference(FOLDER, "training").groupby("num_tasks")["step"].max()
    assert ends.to_dict() == dict.fromkeys(M, STEPS)


def test_m_half(runs):
    early, found = threshold_at_the_end(SHORT), threshold_at_the_end(FOLDER)
    grown = thresholds_table(reference(SHORT, "evaluation")).dropna(subset=["value"])
    slope = np.polyfit(np.log(grown["step"]), np.log(grown["value"]), 1)[0]
    foretold = 10 * round(early * (STEPS / 20_000) ** slope / 10)
    assert f"M½ is {foretold} at the end: {early:.0f} after 20,000 steps" in PAGE
    assert f"exponent {slope:.2f} with which" in PAGE
    exponent = math.log(found / early) / math.log(STEPS / 20_000)
    assert f"**{found:.0f}**, between 256 and 362; an exponent of {exponent:.2f} |" in PAGE
    map_ = reference("scales", "extrapolation").query("quantity == 'threshold'").iloc[0]
    assert map_["low"] < found < map_["high"]


def test_where_they_end(runs):
    low, high = departure(FOLDER, 256.0)
    assert f"between steps {low:,.0f} and {high:,.0f} |" in PAGE
    small, large = (runs.loc[m, "relative_distance_at_end"] for m in M)
    assert f"{large:.2f} of the way from dMMSE to ridge, and still falling" in PAGE
    ends = [runs.loc[362.0, f"distance_to_{one}_at_end"] for one in ("ridge", "dmmse")]
    said = f"{small:.2f} of the way, a rise of {100 * (runs.loc[256.0, 'rise'] - 1):.0f} %; "
    said += f"{large:.2f} of the way: nearer to ridge ({ends[0]:.2f}) than to dMMSE ({ends[1]:.2f})"
    assert said in PAGE
    own = mean_over_positions(reference(FOLDER, "evaluation"), "training")
    late = own[own["num_tasks"].eq(362.0) & own["step"].gt(STEPS / 2)]
    assert np.polyfit(late["step"], relative_distance(late), 1)[0] < 0


def test_both_are_transient(runs):
    assert runs["transient"].all()
    first, second = (runs.loc[m] for m in M)
    assert 3.13 < first["least_ood_loss"] < 3.43 and first["t_crit"] > 4000
    said = f"a least of {first['least_ood_loss']:.2f} at step {first['t_crit']:,} "
    assert (
        said + f"(ridge: {first['ridge_ood_loss']:.2f}), then {first['final_ood_loss']:.2f}" in PAGE
    )
    said = f"from {second['least_ood_loss']:.2f} at step {second['t_crit']:,} it rises by "
    assert said + f"{100 * (second['rise'] - 1):.0f} %, where 10 %" in PAGE
    far = runs["least_ood_loss"] / runs["ridge_ood_loss"]
    assert f"still {far[256.0]:.2f} and {far[362.0]:.2f} times ridge's" in PAGE


def test_how_departures_go_with_m():
    early = [middle(SHORT, m) for m in (64.0, 128.0)]
    late = middle(FOLDER, 256.0)
    said = ", ".join(f"{step:,.0f}" for step in early) + f" and {late:,.0f} for M = 64, 128 and 256"
    assert f"{said} ({middle(SHORT, 32.0):,.0f} for M = 32)" in PAGE
    assert math.log2(late / early[0]) / 2 == pytest.approx(2, abs=0.1)
    law = 1000 * round(late * (362 / 256) ** 2 / 1000)
    assert f"would have left by step {law:,}" in PAGE
    longer = middle("paper-subset", 64.0)
    assert f"step {early[0]:,.0f} with the short one and at {longer:,.0f} with" in PAGE


def test_own_tasks_are_not_yet_learned():
    own = mean_over_positions(reference(FOLDER, "evaluation"), "training")
    loss = of_last_step(own).set_index("num_tasks").loc[256.0, "loss"]
    ideal = reference(FOLDER, "predictors").query("num_tasks == 256 and distribution == 'training'")
    ideal = ideal.groupby("predictor")["loss"].mean()
    said = f"{loss:.2f} (dMMSE: {ideal['dmmse']:.2f}; ridge: {ideal['ridge']:.2f})"
    assert said in PAGE
