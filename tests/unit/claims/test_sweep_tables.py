"""The view of a sweep's tables: which M there are, and what their runs ended with."""

import math

import pandas as pd
from claim_sweep import DIVERSITIES, INF, SEEDS, change, found, made_up, without

from transience.claims.claim import HOLDS, NOT_TESTABLE
from transience.claims.sweep_tables import Sweep


def test_the_m_of_a_sweep_are_told_apart():
    sweep = Sweep.of(made_up(), "baseline")
    assert sweep.finite == [1, 8, 16, 64, 128, 256] and sweep.intermediate == sweep.finite[1:]
    assert sweep.transient == [8, 16, 64, 128] and sweep.has_infinity
    made = made_up()
    change("transient_ridge", "transient", 8, False)(made)
    without(INF)(made)
    sweep = Sweep.of(made, "baseline")
    assert sweep.transient == [16, 64, 128] and not sweep.has_infinity


def test_frames_by_m_have_a_column_a_seed():
    sweep = Sweep.of(made_up(), "baseline")
    for frame in (sweep.by_m("rise"), sweep.final_llcs, sweep.final_llcs_at_checkpoint):
        assert frame.index.tolist() == list(DIVERSITIES) and frame.columns.tolist() == list(SEEDS)
    assert (sweep.final_llcs - sweep.final_llcs_at_checkpoint == 5).all(axis=None)
    assert sweep.final_losses.loc[8, 1].to_dict() == {"dmmse": 0.5, "ridge": 1.6, "model": 0.5}


def test_an_estimate_with_a_diverged_chain_is_missing():
    made = made_up()
    diverged = made["llc"].assign(chain=1, centred_llc=math.nan, llc=math.nan, diverged=True)
    made["llc"] = pd.concat([made["llc"], diverged])
    of_llc = found(made)[lambda found: found.index.str.startswith("llc_")]
    assert len(of_llc) == 4 and (of_llc == NOT_TESTABLE).all()


def test_only_the_last_measured_checkpoint_counts_for_the_llc():
    made = made_up()
    made["llc"] = pd.concat([made["llc"].assign(step=5, centred_llc=1.0), made["llc"]])
    assert (found(made) == HOLDS).all()
