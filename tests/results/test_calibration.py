"""What the page of the LLC says of other settings, computed from the tables of the calibration."""

import math

import pandas as pd
import pytest
from wording import ROOT, flat, page, reference, span

FOLDER = ROOT / "results/reference/calibration"
PAGE = page("llc.md")
END, EARLY = 16_000, 1000
SETTINGS = ("configured", "half_step_size", "quarter_nbeta", "fourfold_nbeta")


@pytest.fixture(scope="module")
def estimates() -> pd.DataFrame:
    """Centred estimates, mean over chains: (step, M) by setting."""
    table = reference("calibration", "llc_calibration")
    by_setting = table.groupby(["step", "num_tasks", "setting"])["centred_llc"]
    return by_setting.mean().unstack("setting")


def test_the_table(estimates):
    for m in (1.0, 8.0, 16.0, math.inf):
        end = [f"{estimates.loc[(END, m), setting]:.1f}" for setting in SETTINGS]
        early = [f"{estimates.loc[(EARLY, m), setting]:.0f}" for setting in SETTINGS]
        name = "∞" if math.isinf(m) else f"{m:.0f}"
        assert flat(f"| {name} | {' | '.join([*end, *early[:2], early[3]])} |") in PAGE


def test_how_far_estimates_move(estimates):
    moved = 100 * (estimates.div(estimates["configured"], axis=0) - 1).drop(index=1, level=1)
    end, early = moved.loc[END], moved.loc[EARLY]
    assert f"half the ε takes off {span(-end['half_step_size'])} %" in PAGE
    assert f"four times nβ adds {span(end['fourfold_nbeta'])} %" in PAGE
    assert f"moves M = 8 by {end.loc[8.0, 'quarter_nbeta']:.0f} %" in PAGE
    assert end["quarter_nbeta"].drop(8.0).abs().max() < 1.5 and "others by 1 %" in PAGE
    assert f"ε/2 takes off {span(-early['half_step_size'])} %" in PAGE
    assert estimates.loc[EARLY, "quarter_nbeta"].isna().tolist() == [True, True, True, False]


def test_the_criteria(estimates):
    table = reference("calibration", "llc_calibration")
    rises = table.groupby(["setting", "step", "num_tasks"])["loss_rise_fraction"].mean() * 100
    far = rises["quarter_nbeta"][END].drop(1.0)
    assert f"the loss rises by {span(far)} % of its range" in PAGE
    assert f"rises by up to {rises['configured'].max():.0f} % of its range" in PAGE
    assert f"rises by {rises['fourfold_nbeta'].max():.1f} %" in PAGE
    proposal = (FOLDER / "llc_proposal.yaml").read_text(encoding="utf-8")
    assert "fails 1 of 5 criteria" in proposal and "nbeta: 4000.0" in proposal


def test_the_order_of_m_is_the_same_at_the_end(estimates):
    for setting in SETTINGS:
        assert estimates.loc[END, setting].is_monotonic_increasing
