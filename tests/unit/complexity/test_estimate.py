"""Flags of an estimate, and its tables."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from regression import regression, sampler, squared_error

from transience.complexity.estimate import LLCEstimate, chain_flags, draw_table, summary_table
from transience.complexity.estimator import estimate_llc_of_loss
from transience.files import tables
from transience.problem.randomness import numpy_generator


def estimate_with(excess: np.ndarray, **changes: Any) -> LLCEstimate:
    """An estimate whose paired traces are as given, with nβ = 1 and L(w*) = 2; sound in the rest.

    ε = 1e-3 and γ = 10, so a curvature of 50 has the stiffness 0.015.
    """
    chains, draws = excess.shape
    settings = sampler(nbeta=1.0, num_chains=chains, num_draws=draws, num_burn_in=0)
    sound = {
        "settings": settings,
        "losses": 2 + excess,
        "baseline_losses": np.full(excess.shape, 2.0),
        "initial_loss": 2.0,
        "centre_losses": np.full(1 + chains, 2.0),
        "trivial_loss": 10.0,
        "acceptances": np.ones(chains),
        "distances": np.ones(chains),
        "diverged": ~np.isfinite(excess).all(axis=1),
        "num_parameters": 5,
        "largest_curvature": 50.0,
        "remaining_curvature": 50.0,
    }
    return LLCEstimate(**sound | changes)


def noise(draws: int = 500) -> np.ndarray:
    return 0.01 * numpy_generator(0, "flags").standard_normal((4, draws))


def flags(excess: np.ndarray, **changes: Any) -> list[list[str]]:
    return chain_flags(estimate_with(excess, **changes))


def test_a_sound_estimate_has_no_flag():
    assert flags(0.2 + noise()) == [[]] * 4
    assert estimate_with(0.2 + noise()).flags == []
    assert str(estimate_with(0.2 + noise())).endswith("\nflags: none")


def test_flags_say_what_is_wrong():
    assert flags(-0.2 + noise()) == [["NEGATIVE"]] * 4
    assert flags(0.8 + noise()) == [["NOT_LOCAL"]] * 4  # 0.8 of the range 8
    apart = flags(0.2 + noise() + 0.01 * np.arange(4)[:, None])
    assert apart == [["RHAT", "ESS"]] * 4  # chains that disagree are worth few draws
    drifting = flags(0.2 + noise() + np.linspace(0, 0.003, 500))
    assert drifting == [["NOT_EQUILIBRATED"]] * 4
    assert flags(0.2 + noise()[:, :8]) == [["ESS"]] * 4
    assert flags(np.vstack([0.8 + noise()[:1], 0.2 + noise()]))[0][0] == "NOT_LOCAL"


@pytest.mark.parametrize(("llc", "flagged"), [(2.4, []), (2.6, ["ABOVE_HALF_P"])])
def test_more_than_half_the_parameters_is_too_much(llc: float, flagged: list[str]):
    """Of 5 parameters; the range is large enough for the rise to be local."""
    assert flags(llc + noise(), trivial_loss=1000.0) == [flagged] * 4


def test_one_chain_above_half_the_parameters_is_named_alone():
    found = flags(np.vstack([2.6 + noise()[:1], 2.45 + noise()[1:]]), trivial_loss=1000.0)
    assert ["ABOVE_HALF_P" in chain for chain in found] == [True, False, False, False]


@pytest.mark.parametrize(("curvature", "flagged"), [(580.0, []), (600.0, ["STIFF"])])
def test_a_step_too_large_for_the_curvature_left_is_stiff(curvature: float, flagged: list[str]):
    """At ε (nβ h + γ)/4 = 0.15, h = 590; what the preconditioner took away does not count."""
    made = estimate_with(0.2 + noise(), largest_curvature=9000.0, remaining_curvature=curvature)
    assert made.stiffness == pytest.approx(1e-3 * (curvature + 10) / 4)
    assert chain_flags(made) == [flagged] * 4


def test_a_low_acceptance_is_that_of_its_chain():
    acceptances = np.array([0.6, 0.49, 0.51, 0.0])
    assert flags(0.2 + noise(), acceptances=acceptances) == [
        [], ["ACCEPTANCE"], [], ["ACCEPTANCE"],
    ]  # fmt: skip


@pytest.mark.parametrize(
    "missing",
    [
        {"trivial_loss": None},
        {"remaining_curvature": math.nan},
        {"acceptances": np.full(4, math.nan)},
        {"acceptances": np.array([1.0, 1.0, math.nan, 1.0])},
    ],
    ids=["trivial loss", "curvature", "acceptances", "an acceptance"],
)
def test_what_could_not_be_looked_at_is_unchecked(missing: dict[str, Any]):
    assert flags(0.2 + noise(), **missing) == [["UNCHECKED"]] * 4


def test_too_few_draws_are_unchecked():
    """No R-hat and no effective draws from three; nor from draws that are all the same."""
    for excess in (0.2 + noise(3), np.full((4, 500), 0.2)):
        assert all("UNCHECKED" in chain for chain in flags(excess))


def test_a_chain_that_diverged_leaves_the_others_checked():
    """Its own checks are missing, which DIVERGED says."""
    excess = 0.2 + noise()
    excess[1, 300:] = math.nan
    acceptances = np.array([1.0, math.nan, 1.0, 1.0])
    found = flags(excess, acceptances=acceptances)
    assert found == [[], ["DIVERGED"], [], []]
    every = np.full((4, 500), math.nan)
    assert flags(every, acceptances=np.full(4, math.nan)) == [["DIVERGED"]] * 4


def test_an_estimate_prints_its_flags_in_words():
    made = estimate_with(2.6 + noise(), trivial_loss=None)
    assert made.flags == ["ABOVE_HALF_P", "UNCHECKED"]
    head, flagged = str(made).split("\n")
    assert head.startswith("LLC 2.6 ± ") and "h* = γ/nβ = 10 (nβ = 1, γ = 10, ε = 0.001" in head
    assert flagged == "flags: above P/2 (ABOVE_HALF_P), unchecked (UNCHECKED)"


def test_an_estimate_far_above_half_the_parameters_is_flagged():
    """A network of 81 parameters; what it has learnt makes nβ h far too large for this ε."""
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Linear(2, 20), torch.nn.Tanh(), torch.nn.Linear(20, 1))
    xs = 2 * torch.randn(2000, 2)
    ys = torch.sin(xs.sum(dim=1)) + 0.1 * torch.randn(2000)
    optimiser = torch.optim.Adam(network.parameters(), lr=0.02)
    for _ in range(300):
        optimiser.zero_grad()
        (network(xs)[:, 0] - ys).square().mean().backward()
        optimiser.step()

    def loss(parameters: dict, xs: torch.Tensor, ys: torch.Tensor) -> torch.Tensor:
        return (torch.func.functional_call(network, parameters, xs)[:, 0] - ys).square()

    settings = sampler(
        step_size=1e-3, nbeta=263.0, gamma=100.0, num_draws=300, num_burn_in=100, batch_size=64
    )
    parameters = {name: tensor.detach() for name, tensor in network.named_parameters()}
    estimate = estimate_llc_of_loss(loss, parameters, (xs, ys), settings, together=True)
    assert estimate.num_parameters == 81
    assert estimate.llc > 81 / 2
    assert {"ABOVE_HALF_P", "UNCHECKED"} <= {*estimate.flags}
    assert "above P/2 (ABOVE_HALF_P)" in str(estimate)


def test_tables_have_the_columns_of_their_schemas():
    parameters, data, _ = regression()
    settings = sampler()
    estimate = estimate_llc_of_loss(squared_error, parameters, data, settings, trivial_loss=6.0)
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
