"""The verdict on a setting, and the one proposed, on tables whose verdicts are known."""

import json
import math
from pathlib import Path

import pytest
import yaml
from made_up_calibration import ALLOWED, made_up, made_up_curvature
from made_up_calibration import CONFIGURED as PRECONDITIONED

from transience.command.entry import ends_in_one_line
from transience.complexity.calibration.ordering import ordering_table
from transience.complexity.calibration.propose import Criterion, judge, main, proposal_text, propose
from transience.complexity.settings import LLCSettings
from transience.files import tables

CONFIGURED = PRECONDITIONED.model_copy(update={"lanczos_steps": 0})  # plain, unless it is said


def test_a_sound_setting_passes_and_is_proposed_again() -> None:
    calibration = made_up()
    stiff = made_up_curvature(calibration, stiffest=ALLOWED)
    criteria = list(judge(calibration, stiff, ordering_table(calibration), CONFIGURED))
    assert all(criterion.passes for criterion in criteria), criteria
    assert propose(calibration, stiff, CONFIGURED) == CONFIGURED


def test_a_stiff_checkpoint_lowers_the_step_size_and_lengthens_the_burn_in() -> None:
    calibration = made_up()
    stiff = made_up_curvature(calibration, stiffest=120.0)
    proposed = propose(calibration, stiff, CONFIGURED)
    changes = {"step_size": 1.2e-5, "num_burn_in": 167}
    assert proposed == CONFIGURED.model_copy(update=changes)
    criteria = judge(calibration, stiff, ordering_table(calibration), CONFIGURED)
    (criterion,) = (criterion for criterion in criteria if not criterion.passes)
    assert "h_max = 120 at M = 1, seed 1, step 25000" in criterion.finding


@pytest.mark.parametrize(("stiffest", "lowered"), [(ALLOWED, 0), (ALLOWED + 1.5, 2), (500.0, 12)])
def test_with_a_preconditioner_stiff_checkpoints_are_no_failure(stiffest: float, lowered: int):
    """Curvatures are 1, 2, … below the stiffest: those above what ε allows have it lowered."""
    calibration = made_up()
    left = made_up_curvature(calibration, stiffest=stiffest)
    first, *others = judge(calibration, left, ordering_table(calibration), PRECONDITIONED)
    assert first.passes and all(criterion.passes for criterion in others)
    assert f"ε is lowered by itself at {lowered} of 12 checkpoints" in first.finding
    assert f"h_max = {stiffest:.3g} left by the preconditioner at M = 1" in first.finding
    proposed = propose(calibration, left, PRECONDITIONED)
    assert proposed == PRECONDITIONED.model_copy(update={"num_burn_in": 25})


def test_with_a_preconditioner_half_a_relaxation_time_of_burn_in_is_enough() -> None:
    """2/(εγ) is 50 draws; plain chains need two of them."""
    calibration, ordering = made_up(), ordering_table(made_up())
    left = made_up_curvature(calibration, stiffest=ALLOWED)
    for configured, draws in ((PRECONDITIONED, 25), (CONFIGURED, 100)):
        for short in (0, 1):
            settings = configured.model_copy(update={"num_burn_in": draws - short})
            burn_in = list(judge(calibration, left, ordering, settings))[2]
            assert burn_in.passes == (not short), burn_in
            assert f"at least {draws / 50:g})" in burn_in.finding


def test_with_a_preconditioner_the_step_goes_with_nbeta() -> None:
    """So that chains take as many draws to relax at the nβ proposed."""
    calibration = made_up().assign(loss_rise_fraction=0.001)
    proposed = propose(calibration, made_up_curvature(calibration), PRECONDITIONED)
    assert (proposed.nbeta, proposed.gamma, proposed.num_burn_in) == (100.0, 500.0, 25)
    assert proposed.step_size == pytest.approx(8e-5)


def test_nbeta_is_the_smallest_that_stays_local_everywhere() -> None:
    calibration = made_up()
    stiff = made_up_curvature(calibration)
    for rise, expected in ((0.01, 100.0), (0.1, 1600.0), (0.5, 1600.0)):
        one = calibration["num_tasks"].eq(8.0) & calibration["seed"].eq(1)
        scaled = calibration.assign(loss_rise_fraction=0.001)
        scaled.loc[one, "loss_rise_fraction"] = rise * 400 / scaled["nbeta"]
        proposed = propose(scaled, stiff, CONFIGURED)
        assert proposed.nbeta == expected
        assert proposed.gamma == 5 * expected
    diverged = calibration.assign(diverged=calibration["setting"] == "configured")
    assert propose(diverged, stiff, CONFIGURED).nbeta == 1600.0
    findings = list(judge(diverged, stiff, ordering_table(diverged), CONFIGURED))
    assert [c.passes for c in findings] == [True, False, True, True, True]


def test_a_reversed_order_fails_the_setting() -> None:
    calibration = made_up({("fourfold_nbeta", 8.0): 25.0})
    *_, last = judge(
        calibration, made_up_curvature(calibration), ordering_table(calibration), CONFIGURED
    )
    assert not last.passes
    assert "reverses 2 of 6 orders" in last.finding


def test_the_proposal_can_be_pasted() -> None:
    proposed = CONFIGURED.model_copy(update={"step_size": 1.25e-5, "gamma": 2.0e7})
    criteria = [Criterion(False, "one"), Criterion(True, "two")]
    text = proposal_text(proposed, criteria, "mine")
    assert "fails 1 of 2 criteria" in text and "FAILS: one" in text
    section = yaml.safe_load(text)["llc"]
    assert LLCSettings.model_validate(section) == proposed
    assert list(section)[:2] == ["checkpoints", "step_size"]


def test_the_command_writes_orderings_and_proposal(tmp_path: Path, monkeypatch) -> None:
    calibration = made_up()
    frames = {"llc_calibration": calibration, "llc_curvature": made_up_curvature(calibration)}
    named = {"variant": "baseline", "num_tasks": ["1", "8", "inf"], "seed": [0, 1]}
    for name, frame in frames.items():
        tables.write_table(tmp_path / name, name, frame, named)
    settings = {"experiment": "mine", "llc": CONFIGURED.model_dump()}
    words = ["propose", "--settings", json.dumps(settings)]
    for name in (*frames, "llc_ordering", "proposal"):
        words += [f"--{name.replace('_', '-')}", str(tmp_path / name)]
    monkeypatch.setattr("sys.argv", words)
    ends_in_one_line(main)
    ordering = tables.read_table(tmp_path / "llc_ordering", "llc_ordering")
    assert len(ordering) == len(ordering_table(calibration))
    assert tables.read_metadata(tmp_path / "llc_ordering")["seed"] == [0, 1]
    proposed = propose(*frames.values(), CONFIGURED).model_dump()
    assert yaml.safe_load((tmp_path / "proposal").read_text()) == {"llc": proposed}


@pytest.mark.parametrize("diverged", [False, True])
def test_one_m_alone_has_no_order_to_keep(tmp_path: Path, diverged: bool) -> None:
    calibration = made_up(num_tasks=(8.0,))
    if diverged:
        calibration["loss_rise_fraction"], calibration["diverged"] = math.nan, True
    ordering = ordering_table(calibration)
    tables.write_table(tmp_path / "ordering", "llc_ordering", ordering, {})
    assert tables.read_table(tmp_path / "ordering", "llc_ordering").empty
    criteria = list(judge(calibration, made_up_curvature(calibration), ordering, CONFIGURED))
    assert [one.finding for one in criteria if "there is one M only" in one.finding] == [
        "ε/2 reverses no order of M, as there is one M only",
        "4 nβ at fixed γ/nβ reverses no order of M, as there is one M only",
    ]
    assert ("all (a chain diverged)" in criteria[1].finding) == diverged
    assert all(one.passes for one in criteria) != diverged
