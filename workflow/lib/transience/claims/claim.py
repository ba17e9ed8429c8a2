"""What a claim is, what was found about it, and the numbers of a sweep in words."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from transience.claims.sweep_tables import Sweep
from transience.complexity.summary import LLC_IS_OFF

HOLDS, FAILS, NOT_TESTABLE = "holds", "fails", "not testable"
METHODS = {"sgld": "SGLD", "quadrature": "quadrature"}
WORDS = {HOLDS: "holds", FAILS: "fails", NOT_TESTABLE: "can't be tested"}


@dataclass(frozen=True)
class Finding:
    """What a sweep shows about a claim, in a sentence with its numbers."""

    shows: str
    verdict: str

    @classmethod
    def of(cls, holds: bool, shows: str) -> Finding:
        """Verdict `holds` or `fails`."""
        return cls(shows, HOLDS if holds else FAILS)

    @classmethod
    def of_numbers(cls, holds: bool, shows: str, *numbers: Any) -> Finding:
        """Verdict on numbers, series or frames: not testable without any, or if one is missing."""
        found = np.concatenate([np.ravel(each).astype(float) for each in numbers])
        if len(found) and not np.isnan(found).any():
            return cls.of(holds, shows)
        return cls.not_testable(f"{shows} Of these, some are missing." if len(found) else shows)

    @classmethod
    def not_testable(cls, reason: str) -> Finding:
        """The sweep lacks what the claim needs."""
        return cls(reason, NOT_TESTABLE)


@dataclass(frozen=True)
class Claim:
    """A claim of the paper and the function that checks it.

    What the function's docstring says is the criterion: it stands beside the verdict. A claim about
    a ``kind`` of intervention is listed only where the sweep has runs of that kind.
    """

    name: str
    paper_says: str
    check: Callable[[Sweep], Finding]
    needs_llc: bool = False
    kind: str | None = None

    def is_about(self, sweep: Sweep) -> bool:
        """Whether it is listed for the sweep."""
        return self.kind is None or not sweep.interventions(self.kind).empty

    @property
    def criterion(self) -> str:
        """When it holds, in numbers fixed beforehand."""
        return " ".join((self.check.__doc__ or "").split())

    def row(self, sweep: Sweep) -> dict[str, str]:
        """Row of the table `claims`."""
        off = self.needs_llc and sweep.llc_is_off
        finding = Finding.not_testable(f"{LLC_IS_OFF}.") if off else self.check(sweep)
        return {
            "claim": self.name,
            "paper_says": self.paper_says,
            "criterion": self.criterion,
            "this_sweep_shows": finding.shows,
            "verdict": finding.verdict,
        }


def claim(
    paper_says: str, *, needs_llc: bool = False, kind: str | None = None
) -> Callable[[Callable[[Sweep], Finding]], Claim]:
    """Make the function below a claim of the same name."""
    return lambda check: Claim(check.__name__, paper_says, check, needs_llc, kind)


def along_curve(
    check: Callable[[Sweep, pd.DataFrame], Finding],
) -> Callable[[Sweep], Finding]:
    """Turn a check on LLCs (index num_tasks, columns seed) into one of a sweep.

    Its verdict is that of the section `llc`; what it is at the other points of the curve follows.
    """

    @functools.wraps(check)
    def checked(sweep: Sweep) -> Finding:
        finding = check(sweep, sweep.final_llcs)
        verdicts = {point: check(sweep, llcs).verdict for point, llcs in sweep.final_curve.items()}
        return replace(finding, shows=f"{finding.shows}{along_text(verdicts)}")

    return checked


UNDERTRAINED = 1.5  # a loss over that of ridge, of a model that has not come near it (ours)


def undertrained(what: str, distribution: str, ratios: pd.Series) -> Finding | None:
    """Finding that a loss is too far above that of ridge to tell what was learned; None if not."""
    if (ratios <= UNDERTRAINED).all():
        return None
    return Finding.not_testable(
        f"Undertrained: {what} ends with {numbers_text(ratios)} times the loss of ridge on "
        f"{distribution}, by seed; more than {UNDERTRAINED:g} is too far to tell."
    )


def infinity_undertrained(sweep: Sweep) -> Finding | None:
    """The same for M = inf, by its OOD loss."""
    return undertrained("M = inf", "new tasks", sweep.ood_loss_over_ridge.loc[math.inf])


# Words


def tasks_text(diversities: Iterable[float]) -> str:
    """`M = 2, 4, inf`, or `no M`."""
    text = ", ".join(f"{m:g}" for m in diversities)
    return f"M = {text}" if text else "no M"


def numbers_text(values: Iterable[float]) -> str:
    """Values of the seeds: `1.23 / 1.31`, or `missing` where there is none."""
    return " / ".join("missing" if np.isnan(value) else f"{value:.3g}" for value in values)


def by_m_text(frame: pd.DataFrame) -> str:
    """Values by M and seed: `1.2 / 1.3 (M = 8), 1.5 / 1.4 (M = 16)`."""
    return ", ".join(f"{numbers_text(row)} (M = {m:g})" for m, row in frame.iterrows())


def rank_correlation(xs: Iterable[float], ys: Iterable[float]) -> float:
    """Spearman's rank correlation."""
    return pd.Series(list(xs)).rank().corr(pd.Series(list(ys)).rank())


def along_text(verdicts: dict[tuple[str, float], str]) -> str:
    """` Along h*: by SGLD it holds at 1, 0.1; by quadrature it holds at 0.1 and fails at 10, 3.`"""
    parts = []
    for method, name in METHODS.items():
        own = {h_star: verdict for (of, h_star), verdict in verdicts.items() if of == method}
        found = []
        for verdict, words in WORDS.items():
            values = ", ".join(f"{h:g}" for h in sorted(own, reverse=True) if own[h] == verdict)
            if values:
                found.append(f"{words} at {values}")
        if found:
            parts.append(f"by {name} it {' and '.join(found)}")
    return f" Along h*: {'; '.join(parts)}." if parts else ""
