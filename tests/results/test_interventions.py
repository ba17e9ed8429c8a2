"""What the page of interventions says, computed from the tables of the study."""

import numpy as np
import pandas as pd
import pytest
from wording import flat, page, reference, span

PAGE = page("interventions.md")
WHOLE = ("interventions", "interventions_12_16")  # sweeps with all their tables, seed 0
SECOND = ("interventions_8_1", "interventions_8_1/rest", "interventions_12_16_1")  # seed 1
FOLDERS = (*WHOLE, *SECOND)
FRESH = "from_the_start", "from_t_crit", "after_departure"
ROWS = {  # what was done, and the variants that did it
    "**new tasks in 1 of 100 sequences**": [f"fresh_1_{when}" for when in FRESH],
    "new tasks in 3 of 100": [f"fresh_3_{when}" for when in FRESH],
    "new tasks in 10 of 100": [f"fresh_10_{when}" for when in FRESH],
    "a cooldown of 500 steps at t_crit": ["cool_at_t_crit"],
    "the same at an alarm": ["cool_at_alarm"],
    "the same at step 2,000, 4,000 or 8,000": [f"cool_at_{n}" for n in (2000, 4000, 8000)],
    "a tenth of the rate from t_crit, 2,000 or 4,000": [
        f"tenth_at_{when}" for when in ("t_crit", 2000, 4000)
    ],
    "weight decay of MLPs, 0.1": ["decay_1e-1_of_mlp"],
    "weight decay of MLPs, 0.3": ["decay_3e-1_of_mlp"],
    "weight decay of all weights, 0.01": ["decay_1e-2"],
    "weight decay of all weights, 0.1": ["decay_1e-1"],
    "weight decay of all weights, 0.3": ["decay_3e-1"],
    "weight decay of attention, 0.1 or 0.3": ["decay_1e-1_of_attention", "decay_3e-1_of_attention"],
    "weight decay of 0.3 in a window of 4,000 steps, at four onsets": [
        f"window_at_{onset}" for onset in (0, 1000, 4000, 8000)
    ],
    "rate: half a cosine to 0": ["cosine"],
    "rate: linear decay to 0 over the last fifth": ["stable_then_decay"],
    "M = 64 or ∞ for 4,000 steps, then M": ["stages_down_from_64", "stages_down_from_inf"],
    "tasks that wander, forgotten in 100 or 1,000 steps": ["drift_1e-2", "drift_1e-3"],
    "tasks that wander, forgotten in 10,000 or 100,000 steps": ["drift_1e-4", "drift_1e-5"],
}


def table(name: str) -> pd.DataFrame:
    return pd.concat(reference(folder, name) for folder in FOLDERS)


def runs() -> pd.DataFrame:
    """Rows of table `interventions`, of M = 64 once."""
    rows = table("interventions").drop_duplicates(["variant", "num_tasks", "seed"])
    return rows.assign(cost=rows["final_loss"] / rows["control_final_loss"])


def spans(rows: pd.DataFrame, column: str, form: str) -> str:
    """By M: the least and the greatest over variants, or a dash where there is none."""
    each = []
    for _, own in rows.groupby("num_tasks"):
        values = own[column].dropna()
        low, high = (f"{value:{form}}" for value in (values.min(), values.max()))
        each.append("–" if values.empty else low if low == high else f"{low} to {high}")
    return "; ".join(each)


def row(label: str) -> str:
    rows = runs()
    rows = rows[rows["variant"].isin(ROWS[label])]
    cells = [
        spans(rows, *what) for what in (("preserved", ".2f"), ("cost", ".2f"), ("gain", ".2f"))
    ]
    return f"| {label} | {' | '.join(cells)} |"


@pytest.mark.parametrize("label", ROWS)
def test_a_row_of_the_table(label):
    assert flat(row(label)) in PAGE


def test_every_variant_has_a_row():
    named = {name for variants in ROWS.values() for name in variants}
    others = {*runs()["variant"]} - named
    assert others == {"cool_at_the_end", "stages_up_equal", "stages_up_logarithmic"}


def test_the_untouched_runs():
    rows = runs().query("num_tasks < 64")
    least, end, own = (
        spans(rows, f"control_{name}", form)
        for name, form in (
            ("least_ood_loss", ".2f"),
            ("final_ood_loss", ".2f"),
            ("final_loss", ".3f"),
        )
    )
    said = f"falls to {least} (ridge: 0.92) and ends at {end}, on their own tasks at {own}."
    assert said in PAGE
    ridge = pd.concat(reference(folder, "transient_ridge") for folder in WHOLE)["ridge_ood_loss"]
    assert {f"{value:.2f}" for value in ridge} == {"0.92"}


def test_stages_up():
    rows = runs().set_index("variant").sort_values("seed")
    equal, logarithmic = (rows.loc[f"stages_up_{name}"] for name in ("equal", "logarithmic"))
    control, first, second = (
        " and ".join(f"{value:.2f}" for value in ends)
        for ends in (
            equal["control_final_ood_loss"],
            equal["final_ood_loss"],
            logarithmic["final_ood_loss"],
        )
    )
    assert f"ends at {control} (seeds 0 and 1): {first} for equal stages, {second} for" in PAGE
    costs = pd.concat([equal["cost"], logarithmic["cost"]])
    assert f"with {span(costs, '.2f')} times its loss on q_M" in PAGE


@pytest.mark.parametrize(("folder", "holds", "fails"), [(WHOLE[0], 4, 7), (WHOLE[1], 5, 7)])
def test_verdicts_on_what_was_expected(folder, holds, fails):
    claims = reference(folder, "claims").query("variant == 'baseline'").set_index("claim")
    first, last = "fresh_tasks_prevent", "some_intervention_is_worth_it"
    verdicts = claims.loc[first:last, "verdict"].value_counts()
    assert (verdicts["holds"], verdicts["fails"]) == (holds, fails)


def between(values: pd.Series, form: str, times: float = 1.0) -> str:
    return f"{times * values.min():{form}} to {times * values.max():{form}}"


def every_run() -> pd.DataFrame:
    """Those of the study and those with six seeds, of 16,000 steps."""
    longer = confirming()["variant"].str.endswith("four_times_as_long")
    return pd.concat([runs(), confirming()[~longer]])


def test_what_is_said_of_new_tasks():
    rows = every_run().query("kind == 'fresh_fraction'")
    few, many = (rows[rows["value"].eq(share)] for share in (0.01, 0.1))
    assert f"undoes {between(few['preserved'], '.1f')} of the rise and costs" in PAGE
    assert f"costs at most {100 * (few['cost'].max() - 1):.0f} %" in PAGE
    assert f"ends at {between(many['final_ood_loss'], '.1f')}, below the least" in PAGE
    assert (many["final_ood_loss"] < many["control_least_ood_loss"]).all()
    assert f"costs {between(many['cost'] - 1, '.0f', 100)} %. It does not" in PAGE
    at_8 = few[few["num_tasks"].eq(8)]["final_ood_loss"]
    front = reference("interventions", "front").query("num_tasks == 8")
    front = front[front["distribution"].eq("gaussian")].set_index("fresh_fraction")["loss"]
    best = front.groupby(level=0).mean().sort_index()
    ideal = np.interp(0.01, best.index, best)
    assert (
        f"they end at {between(at_8, '.1f')} on new tasks, that predictor at {ideal:.1f}." in PAGE
    )


def test_what_is_said_of_rates_and_decay():
    rows = runs().set_index(["variant", "num_tasks", "seed"])
    tenth = rows.loc[[f"tenth_at_{when}" for when in ("t_crit", 2000, 4000)]]
    assert f"is ahead by {between(tenth['gain'], '.2f')}; weight decay" in PAGE
    cosine = rows.loc["cosine"]
    first, second = (f"{cosine.loc[(m, 0), 'gain']:.2f}" for m in (12.0, 16.0))
    assert f"at M = 12 ({first}) and 16 ({second}) of seed 0" in PAGE
    assert cosine.xs(1, level="seed")["gain"].isna().all()
    spared = [between(cosine.loc[m, "preserved"], ".2f") for m in (8.0, 12.0)]
    assert f"it spares {spared[0]} at M = 8, {spared[1]} at M = 12" in PAGE
    whole = rows.loc["decay_3e-1"]
    assert whole["gain"].max() < 0
    assert whole["preserved"].groupby("num_tasks").mean().idxmax() == 16
    decayed = every_run().query("variant == 'decay_3e-1_of_mlp'")
    assert (
        f"spares {between(decayed['preserved'], '.2f')} for "
        f"{between(decayed['cost'] - 1, '.0f', 100)} %, and"
    ) in PAGE
    longer = confirming().query("variant == 'decay_3e-1_of_mlp_four_times_as_long'")
    spared, gains = (
        " and ".join(f"{value:.2f}" for value in longer[name]) for name in ("preserved", "gain")
    )
    assert f"it spares {spared}, and is level with stopping ({gains})" in PAGE


def test_what_is_said_of_stages_and_of_tasks_that_wander():
    rows = runs()
    stages = rows[rows["variant"].str.startswith("stages_down")]
    assert stages["verdict"].eq("delayed").all() and len(stages) == 12
    released = stages[["low", "high"]] - 4000
    assert released[stages["num_tasks"].eq(8)].to_numpy().max() == 500
    of_16 = released[stages["num_tasks"].eq(16)]
    assert f"after {of_16['low'].min():,.0f} to {of_16['high'].max():,.0f})" in PAGE
    assert f"spare {stages['preserved'].max():.2f} at best" in PAGE
    drifts = rows[rows["kind"].eq("task_drift")]
    prevented = drifts["verdict"].eq("prevented").groupby(drifts["value"]).sum()
    assert (prevented[0.01], prevented[0.001]) == (6, 5)
    assert drifts[drifts["value"].eq(0.01)].shape[0] == 6


def test_the_cooldown_at_an_alarm():
    rows = every_run().query("variant == 'cool_at_alarm'")
    assert f"it spares {between(rows['preserved'], '.2f')} of the rise for" in PAGE
    assert f"for {between(rows['cost'] - 1, '.0f', 100)} % on own tasks, and is ahead" in PAGE
    assert (rows["gain"] > 0).all()


CONFIRMED = {  # what was done with six seeds at M = 8, and two for four times as long
    "new tasks in 1 of 100 from the start": "fresh_1_from_the_start",
    "the same from t_crit": "fresh_1_from_t_crit",
    "a cooldown of 500 steps at an alarm": "cool_at_alarm",
    "weight decay of MLPs, 0.3": "decay_3e-1_of_mlp",
    "new tasks in 1 of 100, four times as long": "fresh_1_four_times_as_long",
    "weight decay of MLPs, 0.3, four times as long": "decay_3e-1_of_mlp_four_times_as_long",
}


def confirming() -> pd.DataFrame:
    rows = reference("interventions_confirm", "interventions")
    return rows.assign(cost=rows["final_loss"] / rows["control_final_loss"])


def mean_and_interval(variant: str, quantity: str, values: pd.Series) -> str:
    """Over seeds; both values where there are two, a dash where no run has a value."""
    if values.isna().all():
        return "–"
    if len(values) == 2:
        return " and ".join(f"{value:.2f}" for value in values)
    effects = reference("interventions_confirm", "intervention_effects")
    row = effects.set_index(["variant", "quantity"]).loc[(variant, quantity)]
    assert row["num_seeds"] == len(values)
    return f"{row['mean']:.2f} ({row['low']:.2f} to {row['high']:.2f})"


def confirmed(label: str) -> str:
    rows = confirming()
    rows = rows[rows["variant"].eq(CONFIRMED[label])].sort_values("seed")
    cells = [
        mean_and_interval(CONFIRMED[label], quantity, rows[column])
        for column, quantity in (
            ("preserved", "preserved"),
            ("cost", "loss_ratio"),
            ("gain", "gain"),
        )
    ]
    ahead = "–" if rows["gain"].isna().all() else f"{(rows['gain'] > 0).sum()} of {len(rows)}"
    return f"| {label} | {' | '.join(cells)} | {ahead} |"


@pytest.mark.parametrize("label", CONFIRMED)
def test_a_row_of_six_seeds(label):
    assert flat(confirmed(label)) in PAGE


def test_what_six_seeds_say():
    rows = confirming()
    assert {*rows["variant"]} == {*CONFIRMED.values()}
    few = rows[rows["variant"].eq("fresh_1_from_the_start")]
    assert (few["preserved"] >= 1).sum() == 5 and len(few) == 6
    assert not rows["verdict"].eq("prevented").any()
    longer = rows[rows["variant"].str.endswith("four_times_as_long")]
    fresh = longer["variant"].str.startswith("fresh")
    assert longer[fresh]["preserved"].min() > 1
    ours, theirs = (
        one.set_index(["variant", "seed"]).loc[("decay_3e-1_of_mlp", 1), "gain"]
        for one in (rows, reference("interventions_8_1", "interventions"))
    )
    assert f"ahead by {ours:.2f}; on another processor" in PAGE
    assert f"behind by {-theirs:.2f}, as" in PAGE
    assert longer[~fresh]["preserved"].max() < 0.3 and longer[~fresh]["gain"].max() < 0.02
