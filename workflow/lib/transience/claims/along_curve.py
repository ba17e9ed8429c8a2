"""Claims about the LLC are looked at along h* = γ/nβ too, as a verdict may hang on that choice."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import replace

import pandas as pd

from transience.claims.claim import FAILS, HOLDS, NOT_TESTABLE, Finding
from transience.claims.sweep_tables import Sweep

METHODS = {"sgld": "SGLD", "quadrature": "quadrature"}
WORDS = {HOLDS: "holds", FAILS: "fails", NOT_TESTABLE: "can't be tested"}


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
