"""Whether loss and complexity predict when runs leave ridge: not in the paper, ours."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pandas as pd

from transience.claims.claim import NOT_TESTABLE, Finding, along_text, claim
from transience.claims.sweep_tables import Sweep
from transience.departure.agreement import concordance, known_order
from transience.departure.predicted import crossover

ESTIMATE = "centred_llc"
CASES = {
    "crossover": "a crossover n*",
    "dmmse_at_once": "dMMSE_M at every n (the gain in loss is too large)",
    "no_trade_off": "dMMSE_M at every n (it has no higher LLC than M = inf)",
    "ridge_stays": "ridge for ever (dMMSE_M has no lower loss)",
}
ORDERINGS = {
    "ratio": "the ratio of the LLC's difference to that of the loss",
    "llc_difference": "the LLC's difference alone",
    "loss_gap": "the loss gap alone",
    "num_tasks": "M alone",
}
LAWS = {
    "rational_description_length": "the rational model with description lengths",
    "rational_mean_gap": "the rational model with the mean gap over seeds",
    "rational_llc": "the rational model with LLCs",
    "rational_llc_of_dmmse": "the rational model with the LLC of dMMSE_M alone",
    "power_law": "a power law of M",
    "exponential": "an exponential of M",
    "constant": "a constant",
    "equation_8": "eq. 8",
}
RATIONAL, STANDARD = "rational_description_length", "power_law"


@claim(
    "Not in the paper (ours): eq. 8, with the losses of the ideal predictors and measured LLCs, "
    "predicts after how many samples a run leaves ridge.",
    needs_llc=True,
)
def crossover_predicts_departures(sweep: Sweep) -> Finding:
    """In every run that leaves ridge and has an LLC, the interval of n* meets that of the observed
    departure.
    """
    runs = _of_estimate(sweep.tables["free_energy"]).query("outcome == 'left'")
    runs = runs[runs["prediction"] != "missing"]
    if runs.empty:
        return Finding.not_testable("No run leaves ridge and has an LLC to compare with.")
    low = runs["predicted_low"].fillna(runs["predicted_samples"])
    high = runs["predicted_high"].fillna(runs["predicted_samples"])
    meets = (low <= runs["observed_high"]) & (high >= runs["observed_low"])
    cases = runs["prediction"].value_counts()
    predicted = ", ".join(f"{CASES[case]}: {number}" for case, number in cases.items())
    span = runs["observed_low"].min(), runs["observed_high"].max()
    needed = runs["llc_difference_needed"].dropna()
    needed = f"{needed.min():,.3g} to {needed.max():,.3g}" if len(needed) else "another"
    return Finding.of(
        bool(meets.all()),
        f"{len(runs)} runs leave ridge, after {span[0]:,.0f} to {span[1]:,.0f} samples; n* agrees "
        f"with {meets.sum()}. Predicted for them: {predicted}. The difference of LLCs is "
        f"{runs['delta_llc'].min():.3g} to {runs['delta_llc'].max():.3g}; for n* to be right it "
        f"would have to be {needed}.{_along(sweep, runs, _all_right)}",
    )


@claim(
    "Not in the paper (ours): the n* of eq. 8 orders the departures of runs from ridge.",
    needs_llc=True,
)
def crossover_orders_departures(sweep: Sweep) -> Finding:
    """The 95 % interval of the rank correlation (Somers' D) of n* with the observed departure is
    above 0.
    """
    table = _of_estimate(sweep.tables["free_energy_agreement"])
    found = table[table["scope"] == "all"].set_index("predictor")
    if "crossover" not in found.index or pd.isna(found.at["crossover", "rank_correlation"]):
        return Finding.not_testable("Too few pairs of runs have a known order, or an LLC.")
    others = ", ".join(
        f"of {words} {_interval(found.loc[name])}" for name, words in ORDERINGS.items()
    )
    runs = _of_estimate(sweep.tables["free_energy"])
    runs = runs[np.isfinite(runs["num_tasks"]) & (runs["prediction"] != "missing")]
    return Finding.of(
        bool(found.at["crossover", "low"] > 0),
        f"Rank correlation with the departure (Somers' D, 95 % interval) of n* "
        f"{_interval(found.loc['crossover'])}; {others}; "
        f"{found.at['crossover', 'num_pairs']} pairs of runs.{_along(sweep, runs, _in_order)}",
    )


def _along(
    sweep: Sweep, runs: pd.DataFrame, right: Callable[[pd.DataFrame, np.ndarray], bool]
) -> str:
    """Whether the n* of runs of `free_energy` would be right with the LLCs along h*, in words."""
    verdicts = {}
    for point, llcs in sweep.final_curve.items():
        keys = pd.MultiIndex.from_frame(runs[["num_tasks", "seed"]])
        own = llcs.stack().reindex(keys).to_numpy()
        reference = llcs.reindex([math.inf]).T[math.inf].reindex(runs["seed"]).to_numpy()
        found = crossover(runs["delta_loss"].to_numpy(), own - reference)
        known = len(found) and not np.isnan(found).any()
        verdicts[point] = Finding.of(right(runs, found), "").verdict if known else NOT_TESTABLE
    return along_text(verdicts)


def _all_right(runs: pd.DataFrame, found: np.ndarray) -> bool:
    """Whether every n* lies within the bounds of its departure."""
    return bool(((found >= runs["observed_low"]) & (found <= runs["observed_high"])).all())


def _in_order(runs: pd.DataFrame, found: np.ndarray) -> bool:
    """Whether n* orders more pairs of departures rightly than wrongly (no interval here)."""
    order = known_order(runs["observed_low"].to_numpy(), runs["observed_high"].to_numpy())
    return bool(concordance(found[None], order, np.ones((1, len(found))))[0] > 0)


@claim(
    "Not in the paper (ours): the rational model predicts the departure of runs it has not seen "
    "better than a power law of M."
)
def rational_model_predicts_unseen_departures(sweep: Sweep) -> Finding:
    """For M not seen, the 95 % interval of its mean log probability less that of the power law is
    above 0.
    """
    found = _scores(sweep, "num_tasks")
    if not {RATIONAL, STANDARD} <= {*found.index}:
        return Finding.not_testable("Too few runs leave ridge to predict those of another M.")
    laws = "; ".join(
        f"{words} {row['error']:.2f} ({row['error_low']:.2f} to {row['error_high']:.2f}), "
        f"{row['log_probability']:.2f}, {row['coverage']:.0%}"
        for name, words in LAWS.items()
        if name in found.index
        for row in [found.loc[name]]
    )
    best = LAWS[found["log_probability"].idxmax()], LAWS[found["error"].idxmin()]
    rational = found.loc[RATIONAL]
    gain, low, high = (rational[f"advantage{end}"] for end in ("", "_low", "_high"))
    return Finding.of(
        bool(low > 0),
        f"Departures of {rational['num_runs']} runs of an M not seen; mean error in decades (95 % "
        f"interval), mean log probability and coverage of 95 % intervals: {laws}. The log "
        f"probability of the first is {gain:+.2f} ({low:+.2f} to {high:+.2f}) from the power "
        f"law's. Most probable: {best[0]}; least error: {best[1]}. {_of_seeds(sweep)}",
    )


def _scores(sweep: Sweep, held_out: str) -> pd.DataFrame:
    """Scores over all runs, by predictor, where runs of an M or of a seed were held out."""
    scores = sweep.tables["departure_prediction_scores"]
    rows = scores[(scores["held_out"] == held_out) & (scores["scope"] == "all")]
    return rows.set_index("predictor")


def _of_seeds(sweep: Sweep) -> str:
    """The better of both for runs of a seed not seen, in a sentence."""
    found = _scores(sweep, "seed")
    if not {RATIONAL, STANDARD} <= {*found.index}:
        return "Of another seed there are none."
    better = LAWS[found.loc[[RATIONAL, STANDARD], "log_probability"].idxmax()]
    numbers = " and ".join(f"{found.at[name, 'error']:.2f}" for name in (RATIONAL, STANDARD))
    return f"For seeds not seen {better} is better; errors of both are {numbers}."


def _of_estimate(table: pd.DataFrame) -> pd.DataFrame:
    return table[table["estimate"] == ESTIMATE]


def _interval(row: pd.Series) -> str:
    return f"{row['rank_correlation']:.2f} ({row['low']:.2f} to {row['high']:.2f})"
