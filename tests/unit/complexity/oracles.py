"""Problems whose LLC is known, for the estimator: many independent copies in one vector.

The known values are in `oracle_values`.
"""

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from regression import ONE_SAMPLE

from transience.complexity.curvature import Spectrum
from transience.complexity.estimator import estimate_llc_with_gradient
from transience.complexity.preconditioner import Curvature, Preconditioner
from transience.complexity.settings import SamplerSettings, Scales

# Problems: independent copies in one vector


@dataclass(frozen=True)
class Problem:
    """A loss at w* (P,), evaluated for many copies w (C, P) -> losses (C,), gradients (C, P)."""

    anchor: torch.Tensor
    losses_and_gradients: Callable[[torch.Tensor], tuple[torch.Tensor, torch.Tensor]]


def deep_linear(widths: Sequence[int], rank: int) -> Problem:
    """L = ½ |W_L ... W_1 - T|² with T = diag(I_r, 0), at W_i = diag(I_r, 0), where λ is least.

    The expected squared error, less the noise, of inputs with unit covariance.
    """
    shapes = list(zip(widths[1:], widths[:-1], strict=True))
    sizes = [rows * columns for rows, columns in shapes]

    def diagonal(rows: int, columns: int) -> torch.Tensor:
        ones = torch.arange(max(rows, columns)) < rank
        return torch.diag(ones.double())[:rows, :columns]

    target = diagonal(widths[-1], widths[0])

    def losses_and_gradients(w: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        parts = zip(w.split(sizes, dim=1), shapes, strict=True)
        factors = [part.view(len(w), *shape) for part, shape in parts]
        products = list(itertools.accumulate(factors, lambda right, factor: factor @ right))
        back = products[-1] - target  # C d_L d_0
        losses, gradients = back.square().sum(dim=(1, 2)) / 2, []
        for factor, right in zip(factors[:0:-1], products[-2::-1], strict=True):
            gradients.append((back @ right.mT).flatten(1))
            back = factor.mT @ back
        return losses, torch.cat([back.flatten(1), *gradients[::-1]], dim=1)

    return Problem(torch.cat([diagonal(*s).reshape(-1) for s in shapes]), losses_and_gradients)


def normal_crossing(a: int, b: int) -> Problem:
    """L = w1^2a w2^2b at 0: λ = min(1/2a, 1/2b)."""

    def losses_and_gradients(w: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        x, y = w.unbind(dim=1)
        p, q = x ** (2 * a), y ** (2 * b)
        slopes = (2 * a * x ** (2 * a - 1) * q, 2 * b * y ** (2 * b - 1) * p)
        return p * q, torch.stack(slopes, dim=1)

    return Problem(torch.zeros(2, dtype=torch.float64), losses_and_gradients)


def quadratic(curvatures: np.ndarray) -> Problem:
    """L = ½ Σ h w² at 0."""
    h = torch.from_numpy(curvatures)
    return Problem(
        torch.zeros_like(h), lambda w: ((h * w.square()).sum(dim=1) / 2, h * w)
    )  # fmt: skip


# Preconditioners


@dataclass(frozen=True)
class Copied:
    """A preconditioner of one copy, for all copies in one vector (…, C P)."""

    of_one: Preconditioner
    copies: int

    def _each(self, x: torch.Tensor) -> torch.Tensor:
        return x.unflatten(-1, (self.copies, -1))

    def power(self, x: torch.Tensor, exponent: float) -> torch.Tensor:
        return self.of_one.power(self._each(x), exponent).flatten(-2)

    def move(self, drift: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        return self.of_one.move(self._each(drift), self._each(noise)).flatten(-2)

    def start(self, anchor: torch.Tensor, normal: torch.Tensor, scales: Scales) -> torch.Tensor:
        return self.of_one.start(self._each(anchor), self._each(normal), scales).flatten(-2)


def preconditioner_for(hessian: torch.Tensor, h_star: float) -> Preconditioner:
    """From all eigenvalues of a Hessian (P, P), of which Lanczos would see each but once."""
    values, vectors = torch.linalg.eigh(hessian)
    return Preconditioner.of(Spectrum(values, torch.full_like(values, math.nan), vectors.T), h_star)


def hessian_of(problem: Problem) -> torch.Tensor:
    """The Hessian of a problem at w* (P, P)."""
    return torch.autograd.functional.jacobian(
        lambda w: problem.losses_and_gradients(w[None])[1][0], problem.anchor
    )


def _curvature(preconditioner: Preconditioner | None, copies: int) -> Curvature | None:
    if preconditioner is None:
        return None
    return Curvature(math.nan, math.nan, Copied(preconditioner, copies))


# The estimator on them


def sgld(
    problem: Problem,
    settings: SamplerSettings,
    copies: int,
    preconditioner: Preconditioner | None = None,
) -> tuple[float, float]:
    """LLC of a problem and its standard error, from one chain that moves many copies at once.

    The loss is the sum over copies, which are independent, so their spread gives the error.
    """
    seen, total = [], torch.zeros(copies, dtype=torch.float64)
    draws = itertools.count()

    def value_and_gradient(w: torch.Tensor, _: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        losses, gradients = problem.losses_and_gradients(w.view(copies, -1))
        seen.append(losses)
        return losses.sum()[None], gradients.reshape(-1)

    def on_draw() -> None:
        if next(draws) >= settings.num_burn_in:
            total.add_(seen[0])  # the draw itself; after it, at most a probe of the acceptance
        seen.clear()

    anchor = problem.anchor.repeat(copies)
    estimate = estimate_llc_with_gradient(
        value_and_gradient, anchor, ONE_SAMPLE, settings, on_draw=on_draw,
        curvature=_curvature(preconditioner, copies),
    )  # fmt: skip
    each = settings.nbeta * total / settings.num_draws
    assert math.isclose(estimate.llc, each.sum().item(), rel_tol=1e-9)
    return estimate.llc / copies, each.std().item() / math.sqrt(copies)


@dataclass(frozen=True)
class Found:
    """LLC of one copy, extrapolated to step size 0, and as it is at ε and ε/2."""

    llc: float
    error: float
    coarse: float
    fine: float


def extrapolated(
    problem: Problem,
    *,
    nbeta: float,
    gamma: float,
    step_size: float,
    copies: int,
    seed: int = 0,
    burn_in: float = 2.0,
    kept: float = 0.5,
    preconditioner: Preconditioner | None = None,
) -> Found:
    """Estimate at ε and ε/2 and extrapolate to 0, as the bias is ~ε (Richardson).

    ``burn_in`` and the draws ``kept`` are in units of 1/εγ, in which a direction held by the prior
    alone forgets its start.
    """
    at_steps = []
    for half, step in enumerate((step_size, step_size / 2)):
        num_draws, num_burn_in = (math.ceil(n / (step * gamma)) for n in (kept, burn_in))
        settings = SamplerSettings(
            step_size=step, nbeta=nbeta, gamma=gamma, num_chains=1, num_draws=num_draws,
            num_burn_in=num_burn_in, batch_size=1, seed=2 * seed + half,
        )  # fmt: skip
        at_steps.append(sgld(problem, settings, copies, preconditioner))
    (coarse, coarse_error), (fine, fine_error) = at_steps
    error = math.hypot(2 * fine_error, coarse_error)
    return Found(2 * fine - coarse, error, coarse, fine)


# Minibatch noise


@dataclass(frozen=True)
class MinibatchRegression:
    """Linear regression on a fixed dataset, whose LLC is exact for every ε, nβ, γ and batch."""

    copies: int
    batch_size: int  # of each copy
    xs: torch.Tensor  # n D
    residuals: torch.Tensor  # n, at the least-squares solution, which is taken as the origin

    def value_and_gradient(
        self, w: torch.Tensor, xs: torch.Tensor, residuals: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Sum of the copies' mean squared errors, each on its own part of the minibatch."""
        x = xs.view(self.copies, -1, xs.shape[1])  # C B D
        errors = (x @ w.view(self.copies, -1, 1))[..., 0] - residuals.view(self.copies, -1)
        gradients = 2 * torch.einsum("cbd,cb->cd", x, errors) / x.shape[1]
        return self.copies * errors.square().flatten(), gradients.reshape(-1)

    @property
    def hessian(self) -> torch.Tensor:
        """H of one copy (D, D)."""
        return 2 * self.xs.T @ self.xs / len(self.xs)

    def estimate(
        self, settings: SamplerSettings, preconditioner: Preconditioner | None = None
    ) -> tuple[float, float]:
        """LLC of one copy and its standard error."""
        settings = settings.model_copy(update={"batch_size": self.copies * self.batch_size})
        start = torch.zeros(self.copies * self.xs.shape[1], dtype=torch.float64)
        data = (self.xs, self.residuals)
        estimate = estimate_llc_with_gradient(
            self.value_and_gradient, start, data, settings,
            curvature=_curvature(preconditioner, self.copies),
        )  # fmt: skip
        return estimate.llc / self.copies, estimate.standard_error / self.copies

    def exact(
        self,
        settings: SamplerSettings,
        *,
        additive: bool = False,
        preconditioner: Preconditioner | None = None,
    ) -> float:
        """nβ ½ tr(H S_t), averaged over the draws, from the recursion of S = E[w wᵀ] (ours).

        The curvature of a minibatch is random too: with h = 2 x xᵀ and c = 2 x residual,
        S' = F S Fᵀ + (ε nβ/2)² A (E[h S h] - H S H + E[c cᵀ]) A/B + ε A, with
        F = I - ε/2 A (nβ H + γ I). A and the first S are I and 0 without a preconditioner.
        ``additive`` leaves out the noise of the curvature.
        """
        x, e = self.xs.numpy(), self.residuals.numpy()
        size, identity = len(x), np.eye(x.shape[1])
        H, A, S = self.hessian.numpy(), identity, np.zeros_like(identity)
        if preconditioner:
            basis = torch.from_numpy(identity)
            A = preconditioner.power(basis, 1.0).numpy()
            root = preconditioner.start(torch.zeros_like(basis[0]), basis, settings).numpy()
            S = root.T @ root
        F = identity - settings.step_size / 2 * A @ (settings.nbeta * H + settings.gamma * identity)
        noise = 4 * (x * e[:, None] ** 2).T @ x / size
        scale = (settings.step_size * settings.nbeta / 2) ** 2 / self.batch_size
        kept = []
        for draw in range(settings.num_burn_in + settings.num_draws):
            if draw >= settings.num_burn_in:
                kept.append(settings.nbeta / 2 * np.trace(H @ S))
            squared = 4 * (x * np.einsum("nd,de,ne->n", x, S, x)[:, None]).T @ x / size
            moving = 0 if additive else squared - H @ S @ H
            S = F @ S @ F.T + scale * A @ (moving + noise) @ A + settings.step_size * A
        return float(np.mean(kept))


def minibatch_regression(copies: int, batch_size: int) -> MinibatchRegression:
    """Five inputs of unequal scale, 4096 samples, noise of variance 1."""
    stream = torch.Generator().manual_seed(0)
    scales = torch.tensor([0.5, 0.75, 1.0, 1.25, 1.5], dtype=torch.float64)
    xs = scales * torch.randn(4096, 5, generator=stream, dtype=torch.float64)
    noise = torch.randn(4096, 1, generator=stream, dtype=torch.float64)
    residuals = noise - xs @ torch.linalg.lstsq(xs, noise).solution
    return MinibatchRegression(copies, batch_size, xs, residuals[:, 0])
