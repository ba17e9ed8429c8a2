"""What the page of the paper's sweep says of seven M of the paper's size, computed from tables."""

import numpy as np
import pandas as pd
import pytest
from wording import ROOT, counted, page, span

from transience.complexity.summary import llc_by_run
from transience.files.tables import read_table

FOLDER = ROOT / "results/reference/paper-short/tables"
PAGE = page("paper_sweep.md")
TRANSIENT = [32.0, 64.0, 128.0]
LEAVING = [64.0, 128.0, 32.0]  # as the page has them


def table(name: str) -> pd.DataFrame:
    return read_table(FOLDER / f"{name}.parquet", name)


def listed(values: pd.Series, form: str) -> str:
    texts = [f"{value:{form}}" for value in values]
    return f"{', '.join(texts[:-1])} and {texts[-1]}"


@pytest.fixture(scope="module")
def runs() -> pd.DataFrame:
    return table("transient_ridge").set_index("num_tasks")


def test_which_m_are_transient_and_how(runs):
    assert runs.index[runs["transient"]].tolist() == TRANSIENT
    chosen = runs.loc[TRANSIENT]
    ridge = chosen["ridge_ood_loss"].iloc[0]
    least = chosen["least_ood_loss"]
    assert f"falls to {listed(least, '.2f')} (ridge: {ridge:.2f})" in PAGE
    assert f"by {listed(100 * (chosen['rise'] - 1), '.0f')} % when training ends" in PAGE
    assert f"steps {listed(chosen['t_crit'], ',d')}." in PAGE
    assert f"still {span(least / ridge, '.1f')} times ridge's loss" in PAGE
    stay = 100 * (runs.loc[[362.0, 32768.0, np.inf], "rise"].max() - 1)
    assert f"stay within {stay:.1f} % of their least" in PAGE
    eight = runs.loc[8.0]
    fall = 100 * (1 - eight["least_ood_loss"] / eight["initial_ood_loss"])
    assert f"falls by {fall:.0f} % only, to {eight['least_ood_loss']:.2f} at step" in PAGE


def test_verdicts(runs):
    assert counted(table("claims")) in PAGE
    above = 100 * (runs.loc[np.inf, "final_ood_loss"] / runs.loc[np.inf, "ridge_ood_loss"] - 1)
    assert f"M = ∞ ends {above:.0f} % above ridge's loss" in PAGE


def test_complexity():
    centred = llc_by_run(table("llc")).set_index("num_tasks")["centred_llc"]
    risen = [8.0, *TRANSIENT]
    assert f"by SGLD ({', '.join(f'{centred[m]:.0f}' for m in risen)} for" in PAGE
    assert centred[[32768.0, np.inf]].isna().all()
    curve = table("llc_curve").set_index(["num_tasks", "h_star"])
    at_1 = curve["llc"].xs(1.0, level="h_star")
    assert f"at h* = 1 it is {', '.join(f'{at_1[m]:.0f}' for m in risen)})" in PAGE
    assert f"crosses that of M = ∞**, {at_1[np.inf]:.0f}," in PAGE
    every = curve["llc"].unstack()
    above = every.loc[TRANSIENT].max() > every.loc[np.inf]
    assert above.index[above].tolist() == [0.1, 0.3, 1.0, 3.0, 10.0]
    positive = (curve["llc"] - curve["negative_part"]).xs(1.0, level="h_star")
    values = f"(M = 64: {positive[64]:.0f}, M = 128: {positive[128]:.0f}, M = ∞: "
    assert f"{values}{positive[np.inf]:.0f}) only M = 128 lies above" in PAGE
    assert positive.drop([128.0, np.inf]).max() < positive[np.inf] < positive[128.0]


def test_alarms():
    alarms = table("alarms").set_index(["detector", "num_tasks"])["lead_on_departure"]
    first, second, third = (alarms["ood_loss", m] for m in LEAVING)
    assert f"comes {first:,.0f} steps before the departure of M = 64, {second:,.0f}" in PAGE
    assert f"that of M = 128 and {-third:,.0f} after that of M = 32" in PAGE
    first, second, third = (alarms["below_ridge", m] for m in LEAVING)
    assert f"no test set, {first:,.0f} and {second:,.0f} before and {-third:,.0f} after." in PAGE
