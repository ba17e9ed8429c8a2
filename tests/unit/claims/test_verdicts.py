"""All claims at once, on made-up tables where the right verdicts are known."""

import math

import pandas as pd
import pytest
from claim_sweep import DIVERSITIES, INF, change, found, made_up, without

from transience.claims import verdicts
from transience.claims.claim import FAILS, HOLDS, NOT_TESTABLE
from transience.files import tables

ALWAYS = [one for one in verdicts.CLAIMS if one.kind is None]  # not about interventions


def test_every_claim_holds_in_a_sweep_like_the_papers():
    verdict = found(made_up())
    assert (verdict == HOLDS).all(), verdict[verdict != HOLDS]
    assert verdict.index.tolist() == [one.name for one in ALWAYS] and len(ALWAYS) == 23


@pytest.mark.parametrize("left", [[INF], [1.0], [1.0, INF], [1.0, 8.0]])
def test_a_tiny_sweep_has_a_verdict_for_every_claim(left: list[float], tmp_path):
    made = made_up()
    without(*(m for m in DIVERSITIES if m not in left))(made)
    table = verdicts.check(made)
    assert set(table["verdict"]) <= {HOLDS, FAILS, NOT_TESTABLE}
    tables.write_table(tmp_path / "claims", "claims", table, {})
    assert len(tables.read_table(tmp_path / "claims", "claims")) == len(ALWAYS)


def test_a_sweep_without_llcs_has_a_verdict_for_every_claim():
    made = made_up()
    made["llc"] = made["llc"].assign(diverged=True, llc=math.nan, centred_llc=math.nan)
    made["free_energy"]["prediction"] = "missing"
    numbers = ["rank_correlation", "low", "high"]
    made["free_energy_agreement"][numbers] = math.nan
    verdict = found(made)
    lacking = {name for name in verdict.index if "llc" in name or "crossover" in name}
    assert set(verdict.index[verdict == NOT_TESTABLE]) == lacking
    assert (verdict.drop(index=[*lacking]) == HOLDS).all()


def test_claims_that_need_an_llc_say_that_it_is_off():
    made = made_up()
    on = verdicts.check(made).set_index("claim")
    made["llc"] = made["llc"].iloc[:0]
    off = verdicts.check(made).set_index("claim")
    said = off["this_sweep_shows"] == "LLC is off (llc.checkpoints is empty)."
    assert (off["verdict"] == NOT_TESTABLE).equals(said)
    needed = {claim.name for claim in verdicts.CLAIMS if claim.needs_llc}
    assert {*off.index[said]} == needed and len(needed) == 6
    assert off[~said].equals(on[~said])


def test_claims_are_about_each_variant_by_itself():
    made = made_up()
    spoilt = made_up()
    change("transient_ridge", "rise", INF, 3.0)(spoilt)
    both = {name: pd.concat([made[name], spoilt[name].assign(variant="a")]) for name in made}
    both["claims"] = pd.DataFrame({"claim": ["the table of an earlier check is not looked at"]})
    table = verdicts.check(both)
    assert table["variant"].drop_duplicates().tolist() == ["a", "baseline"]
    for variant, alone in (("a", spoilt), ("baseline", made)):
        rows = table[table["variant"] == variant].reset_index(drop=True)
        expected = verdicts.check(alone).assign(variant=variant)
        pd.testing.assert_frame_equal(rows, expected)
    assert (found(made) == HOLDS).all() and not (found(spoilt) == HOLDS).all()
