"""The grid of known answers for the LLC estimator, and the page that shows how it does on them."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import partial

import numpy as np
import oracle_values
from oracles import (
    Found,
    Problem,
    deep_linear,
    extrapolated,
    minibatch_regression,
    normal_crossing,
    quadratic,
    sgld,
)

from transience.complexity.preconditioner import Preconditioner
from transience.complexity.settings import SamplerSettings


@dataclass(frozen=True)
class Case:
    """A problem with settings and what is known of it; ``quadrature`` takes nβ, if there is one."""

    name: str
    problem: Problem
    nbeta: float
    gamma: float
    step_size: float  # and half of it
    asymptotic: Fraction  # λ
    multiplicity: int
    quadrature: Callable[[float], float] | None = None

    def exact(self, *, nbeta: float, copies: int, paths: int) -> tuple[float, float]:
        """Exact nβ E[L] and its standard error, 0 by quadrature."""
        if self.quadrature is not None:
            return self.quadrature(nbeta), 0.0
        leap = math.sqrt(self.step_size * self.nbeta / nbeta)
        return oracle_values.hamiltonian_monte_carlo(
            self.problem, nbeta=nbeta, gamma=self.gamma, leap=leap, copies=copies, paths=paths
        )


@dataclass(frozen=True)
class Result:
    """What the estimator found, extrapolated to step size 0, and the exact value."""

    case: Case
    found: Found
    exact: float
    exact_error: float

    @property
    def error(self) -> float:
        """Standard error of the difference."""
        return math.hypot(self.found.error, self.exact_error)

    @property
    def z(self) -> float:
        """Difference in standard errors."""
        return (self.found.llc - self.exact) / self.error


@dataclass(frozen=True)
class AtStep:
    """A problem whose value is exact at a finite step size."""

    name: str
    settings: SamplerSettings
    limit: float  # as ε -> 0
    exact: float
    found: float
    error: float

    @property
    def z(self) -> float:
        """Difference in standard errors."""
        return (self.found - self.exact) / self.error


def run(
    case: Case,
    *,
    copies: int,
    paths: int = 160,
    seed: int = 0,
    preconditioner: Preconditioner | None = None,
) -> Result:
    """Compare the estimator with the exact value."""
    scales = {"nbeta": case.nbeta, "gamma": case.gamma, "step_size": case.step_size}
    options = {"copies": copies, "seed": seed, "preconditioner": preconditioner}
    found = extrapolated(case.problem, **scales, **options)
    return Result(case, found, *case.exact(nbeta=case.nbeta, copies=copies, paths=paths))


def layers(
    widths: Sequence[int], rank: int, *, nbeta: float, gamma: float, step_size: float
) -> Case:
    """Linear layers: reduced-rank regression with two, else a deep linear network."""
    quadrature = None
    if rank == 0 and len(widths) == 3 and min(widths) <= 2:
        quadrature = partial(oracle_values.quadrature_two_layers, *widths, gamma=gamma)
    if rank == 0 and tuple(widths) == (1, 1, 1, 1):
        quadrature = partial(oracle_values.quadrature_three_numbers, gamma=gamma)
    name = "reduced-rank regression" if len(widths) == 3 else "deep linear network"
    return Case(
        f"{name} {'-'.join(map(str, widths))}, rank {rank}",
        deep_linear(widths, rank), nbeta, gamma, step_size,
        *oracle_values.deep_linear_network(widths, rank), quadrature,
    )  # fmt: skip


def crossing(a: int, b: int, nbeta: float, step_size: float) -> Case:
    """A normal crossing w1^2a w2^2b."""
    value = min(Fraction(1, 2 * a), Fraction(1, 2 * b))
    return Case(
        f"normal crossing w₁^{2 * a} w₂^{2 * b}",
        normal_crossing(a, b), nbeta, 3.0, step_size, value, 1 + (a == b),
        partial(oracle_values.quadrature_crossing, a, b, gamma=3.0),
    )  # fmt: skip


def cases() -> list[Case]:
    """All cases with an exact value as ε -> 0."""
    zero = [  # one or two for each case of Aoyagi & Watanabe's formula
        ((1, 2, 4), 2.5e-4), ((5, 3, 1), 1.5e-4), ((2, 5, 2), 1.5e-4), ((2, 2, 2), 2.5e-4),
        ((2, 2, 3), 2.5e-4), ((5, 3, 5), 1e-4),
    ]  # fmt: skip
    one = [(2, 2, 6), (6, 2, 2), (2, 5, 3), (4, 3, 4), (4, 4, 4)]
    rows = [layers(w, 0, nbeta=100.0, gamma=1.0, step_size=step) for w, step in zero]
    rows += [layers(w, 1, nbeta=1e4, gamma=10.0, step_size=1e-5) for w in one]
    rows += [
        layers((1, 1, 1, 1), 0, nbeta=100.0, gamma=1.0, step_size=1.5e-4),
        layers((2, 2, 2, 2), 0, nbeta=100.0, gamma=1.5, step_size=1e-4),
        layers((3, 2, 2, 3), 1, nbeta=1e4, gamma=10.0, step_size=8e-6),
        layers((4, 2, 3, 2, 4), 1, nbeta=1e4, gamma=20.0, step_size=8e-6),
        layers((6, 3, 3, 6), 2, nbeta=1e4, gamma=20.0, step_size=8e-6),
        layers((10, 5, 5, 5, 10), 2, nbeta=1e4, gamma=30.0, step_size=5e-6),
    ]
    for a, b in ((1, 1), (1, 2), (2, 2), (1, 3)):
        rows += [crossing(a, b, 100.0, 5e-4), crossing(a, b, 1000.0, 8e-5)]
    return rows


def run_exact_at_steps() -> list[AtStep]:
    """The quadratic, and linear regression with minibatch noise."""
    h = np.array([0.0, 0.1, 1.0, 5.0, 20.0, 80.0])
    settings = SamplerSettings(
        step_size=0.004, nbeta=5.0, gamma=3.0, num_chains=1, num_draws=600, num_burn_in=50,
        batch_size=1,
    )  # fmt: skip
    limit = float((settings.nbeta * h / (settings.nbeta * h + settings.gamma)).sum() / 2)
    known = settings, limit, oracle_values.quadratic_at_finite_steps(h, settings)
    found = sgld(quadratic(h), settings, copies=4000)
    rows = [AtStep("quadratic, 6 curvatures from 0 to 80", *known, *found)]
    name = "linear regression, 5 inputs, minibatches of 16"
    problem = minibatch_regression(copies=64, batch_size=16)
    h = np.linalg.eigvalsh(2 * (problem.xs.T @ problem.xs).numpy() / len(problem.xs))
    for step_size in (0.001, 0.002, 0.005, 0.01):
        settings = SamplerSettings(
            step_size=step_size, nbeta=50.0, gamma=1.0, num_chains=20, num_draws=500,
            num_burn_in=300, batch_size=16,
        )  # fmt: skip
        limit = float((settings.nbeta * h / (settings.nbeta * h + settings.gamma)).sum() / 2)
        known = settings, limit, problem.exact(settings)
        rows.append(AtStep(name, *known, *problem.estimate(settings)))
    return rows


INTRODUCTION = """# Known answers for the LLC estimator

Written by `make oracles`; the test that writes it fails if any |z| reaches 4 or the mean of z²
reaches 2.

Each problem is one whose local learning coefficient is known. λ is the limit for nβ → ∞, from a
closed form, and m its multiplicity. At the finite nβ and γ of a run the expectation
nβ E[L(w) - L(w*)] has another value, "exact" here: by quadrature, or, where an error is given, by
Hamiltonian Monte Carlo with a Metropolis test, which has no step-size bias and shares only the
loss with our sampler. "Found" is `transience.complexity.estimator.estimate_llc_with_gradient` at
step sizes ε and ε/2, started at w*, extrapolated to ε = 0; z is the difference in standard errors.

Layers are linear, L = ½ |W_L ⋯ W_1 - T|² with T = diag(I_r, 0), and w* is the most degenerate
point, each factor diag(I_r, 0); elsewhere on the same level set the local value can be larger.

- λ, two layers: Aoyagi & Watanabe 2005 (Neural Networks 18, 924), all four cases.
- λ and m, more layers: Aoyagi 2024 (Neural Networks 172, 106132), theorem 1. Checked against half
  the codimension of the set of solutions (Pepin Lehalleur & Rimányi 2024, arXiv 2411.19920), by
  another algorithm, on thousands of random shapes.
"""


def page(results: Sequence[Result], at_steps: Sequence[AtStep]) -> str:
    """Markdown page of the results."""
    lines = [INTRODUCTION, "## As ε tends to 0", ""]
    lines += _header(
        "problem", "nβ", "γ", "ε", "λ (m)", "exact", "found", "error", "z", "as it is at ε; at ε/2"
    )
    for r in results:
        c, f = r.case, r.found
        lines.append(
            f"| {c.name} | {c.nbeta:g} | {c.gamma:g} | {c.step_size:g} | {float(c.asymptotic):g} "
            f"({c.multiplicity}) | {_number(r.exact, r.exact_error)} | {f.llc:.3f} | {f.error:.3f} "
            f"| {r.z:+.2f} | {f.coarse:.3f}; {f.fine:.3f} |"
        )
    lines += ["", "## At a finite ε", ""]
    lines += [
        "Exact for the very ε, number of draws and batch size: nothing is extrapolated. With",
        "minibatches the recursion of the second moments counts the noise of the gradient and of",
        "the curvature.",
        "",
    ]
    limit = "limit ε → 0, full batches"
    lines += _header("problem", "nβ", "γ", "ε", limit, "exact", "found", "error", "z")
    for a in at_steps:
        s = a.settings
        lines.append(
            f"| {a.name} | {s.nbeta:g} | {s.gamma:g} | {s.step_size:g} | {a.limit:.3f} "
            f"| {a.exact:.3f} | {a.found:.3f} | {a.error:.3f} | {a.z:+.2f} |"
        )
    return "\n".join([*lines, "", *_biases(results, at_steps)]) + "\n"


def _number(value: float, error: float) -> str:
    return f"{value:.3f}" + (f" ± {error:.3f}" if error else "")


def _header(*columns: str) -> list[str]:
    return ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]


def _biases(results: Sequence[Result], at_steps: Sequence[AtStep]) -> list[str]:
    coarse = [r.found.coarse / r.exact - 1 for r in results]
    fine = [r.found.fine / r.exact - 1 for r in results]
    gaps = [(r.case.multiplicity == 1, 1 - r.exact / float(r.case.asymptotic)) for r in results]
    short = {single: [gap for key, gap in gaps if key == single] for single in (True, False)}
    largest = max(at_steps, key=lambda a: a.exact / a.limit)
    every = np.array([r.z for r in (*results, *at_steps)])
    further = [r.case.exact(nbeta=100 * r.case.nbeta, copies=60, paths=24) for r in results]
    lines = [
        "## Where the estimator is biased", "",
        f"- **As ε → 0**: mean z {every.mean():+.2f}, mean z² {np.mean(every**2):.2f} "
        f"(1 expected) over {len(every)} rows; largest |z| {abs(every).max():.2f}.",
        f"- **Finite ε** reads high: at the ε of a row by {np.median(coarse):.1%} "
        f"(median; up to {max(coarse):.1%}), at half of it by {np.median(fine):.1%} "
        f"(up to {max(fine):.1%}).",
        f"- **Minibatch noise** reads high: {largest.exact:.2f} instead of {largest.limit:.2f} at "
        f"ε = {largest.settings.step_size:g} above; proportional to ε nβ²/B when small.",
        f"- **Finite nβ** reads low against λ, whatever the sampler: with m = 1 by "
        f"{np.median(short[True]):.0%} (median; up to {max(short[True]):.0%}), with m > 1 by "
        f"{np.median(short[False]):.0%} (up to {max(short[False]):.0%}). The gap closes as a power "
        "of nβ with m = 1, else as (m - 1)/log nβ. At 100 times nβ, same γ:", "",
        *_header("problem", "λ (m)", "exact at nβ", "exact at 100 nβ"),
    ]  # fmt: skip
    return lines + [
        f"| {r.case.name}, nβ = {r.case.nbeta:g} | {float(r.case.asymptotic):g} "
        f"({r.case.multiplicity}) | {_number(r.exact, r.exact_error)} | {_number(*more)} |"
        for r, more in zip(results, further, strict=True)
    ]
