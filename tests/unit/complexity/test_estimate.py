"""Flags of an estimate, and its tables."""

import math

import numpy as np
from regression import regression, sampler, squared_error

from transience.complexity.estimate import LLCEstimate, draw_table, flags, summary_table
from transience.complexity.estimator import estimate_llc
from transience.files import tables
from transience.problem.randomness import numpy_generator


def estimate_with(excess: np.ndarray, trivial_loss: float | None = 10.0) -> LLCEstimate:
    """An estimate whose paired traces are as given, with nβ = 1 and L(w*) = 2."""
    chains, draws = excess.shape
    settings = sampler(nbeta=1.0, num_chains=chains, num_draws=draws, num_burn_in=0)
    return LLCEstimate(
        settings=settings,
        losses=2 + excess,
        baseline_losses=np.full(excess.shape, 2.0),
        initial_loss=2.0,
        centre_losses=np.full(1 + chains, 2.0),
        trivial_loss=trivial_loss,
        acceptances=np.ones(chains),
        distances=np.ones(chains),
        diverged=~np.isfinite(excess).all(axis=1),
    )


def test_flags_say_what_is_wrong():
    noise = 0.01 * numpy_generator(0, "flags").standard_normal((4, 500))
    assert flags(estimate_with(0.2 + noise)) == [[]] * 4
    assert flags(estimate_with(-0.2 + noise)) == [["NEGATIVE"]] * 4
    assert flags(estimate_with(0.5 + noise)) == [["NOT_LOCAL"]] * 4  # 0.5 of the range 8
    assert flags(estimate_with(0.5 + noise, trivial_loss=None)) == [[]] * 4
    apart = flags(estimate_with(0.2 + noise + 0.01 * np.arange(4)[:, None]))
    assert apart == [["RHAT", "ESS"]] * 4  # chains that disagree are worth few draws
    drifting = flags(estimate_with(0.2 + noise + np.linspace(0, 0.003, 500)))
    assert drifting == [["NOT_EQUILIBRATED"]] * 4
    assert flags(estimate_with(0.2 + noise[:, :12])) == [["ESS"]] * 4
    assert flags(estimate_with(np.vstack([0.5 + noise[:1], 0.2 + noise])))[0][0] == "NOT_LOCAL"


def test_tables_have_the_columns_of_their_schemas():
    parameters, data, _ = regression()
    settings = sampler()
    estimate = estimate_llc(squared_error, parameters, data, settings, trivial_loss=6.0)
    keys = {"variant": "baseline", "num_tasks": math.inf, "seed": 0, "step": 100}
    summary, draws = summary_table(estimate, keys), draw_table(estimate, keys)
    assert set(summary.columns) == {column.name for column in tables.schemas()["llc"].columns}
    assert set(draws.columns) == {column.name for column in tables.schemas()["llc_trace"].columns}
    assert len(draws) == 3 * 50 and len(summary) == 3
    kept = draws[draws["draw"] >= settings.num_burn_in]
    from_draws = kept.groupby("chain").apply(
        lambda chain: settings.nbeta * (chain["loss"] - chain["baseline_loss"]).mean()
    )
    np.testing.assert_allclose(summary["llc"], from_draws, rtol=1e-12)
    np.testing.assert_allclose(
        summary["llc"], (summary["first_half_llc"] + summary["second_half_llc"]) / 2, rtol=1e-12
    )
