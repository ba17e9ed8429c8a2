"""Known values of the LLC, and where they come from.

Asymptotic values λ (nβ → ∞) are closed forms. At finite nβ and γ the exact value is
nβ E[L] under p(w) ~ exp(-nβ L - γ/2 |w - w*|²): by quadrature where few dimensions remain, and
otherwise by Hamiltonian Monte Carlo with a Metropolis test, which has no step-size bias.
"""

import itertools
import math
from collections.abc import Sequence
from fractions import Fraction

import numpy as np
import torch
from oracles import Problem

from transience.complexity.settings import SamplerSettings

# Asymptotic values


def reduced_rank_regression(inputs: int, hidden: int, outputs: int, rank: int) -> Fraction:
    """λ of two linear layers of a true rank: Aoyagi & Watanabe 2005, main theorem, all cases.

    Read in the public function lam_rrr.m (chijan-nh/LearningCoefficient-RLCT-ofNMF) that cites it:
    Neural Networks 18, 924-933, doi 10.1016/j.neunet.2005.03.014.
    """
    m, h, n, r = inputs, hidden, outputs, rank
    if m + h < n + r:
        return Fraction(h * m - h * r + n * r, 2)
    if n + h < m + r:
        return Fraction(h * n - h * r + m * r, 2)
    if m + n < h + r:
        return Fraction(m * n, 2)
    odd = (m + h + n + r) % 2
    twice = 2 * (h + r) * (m + n) + 2 * m * n
    return Fraction(twice - (h + r) ** 2 - m**2 - n**2 + odd, 8)


def deep_linear_network(widths: Sequence[int], rank: int) -> tuple[Fraction, int]:
    """λ and multiplicity of linear layers of these widths: Aoyagi 2024, theorem 1.

    Neural Networks 172, doi 10.1016/j.neunet.2024.106132. The theorem was checked in a public
    implementation by others that names it, and its λ against `half_codimension` (another proof).
    """
    excess = sorted(width - rank for width in widths)
    for size in range(2, len(excess) + 1):
        chosen, rest = excess[:size], excess[size:]
        ell, total = size - 1, sum(chosen)
        low_enough = not rest or (chosen[-1] < rest[0] and total < ell * rest[0])
        if low_enough and total >= ell * chosen[-1]:
            break
    a = total - (math.ceil(total / ell) - 1) * ell
    pairs = sum(x * y for x, y in itertools.combinations(chosen, 2))
    regular = Fraction(rank * (widths[0] + widths[-1]) - rank**2, 2)
    singular = Fraction(a * (ell - a), 4 * ell) - Fraction((ell - 1) * total**2, 4 * ell)
    return regular + singular + Fraction(pairs, 2), a * (ell - a) + 1


def half_codimension(widths: Sequence[int], rank: int) -> Fraction:
    """Half the codimension of {W_L ... W_1 = T}, which is λ: Pepin Lehalleur & Rimányi 2024.

    arXiv 2411.19920 proves λ = C/2. Codimension by a program over the ranks s of the partial
    products (ours): W maps an s-dimensional image onto one of dimension t in codimension
    (s - t)(width - t). A true rank r adds r (inputs + outputs - r), of the matrices T themselves.
    """
    least = {widths[0]: 0}
    for width in widths[1:]:
        least = {
            t: min(cost + (s - t) * (width - t) for s, cost in least.items() if s >= t)
            for t in range(rank, min(max(least), width) + 1)
        }
    return Fraction(least[rank] + rank * (widths[0] + widths[-1] - rank), 2)


# Exact values at finite nβ and γ


def quadrature_crossing(a: int, b: int, nbeta: float, gamma: float) -> float:
    """Exact nβ E[w1^2a w2^2b], by a Riemann sum."""
    half = (np.arange(3000) + 0.5) * 6 / 3000 / math.sqrt(gamma)
    x, y = half[:, None], half[None, :]
    energy = nbeta * x ** (2 * a) * y ** (2 * b)
    density = np.exp(-energy - gamma / 2 * (x**2 + y**2))
    return float((energy * density).sum() / density.sum())


def quadrature_two_layers(
    inputs: int, hidden: int, outputs: int, nbeta: float, gamma: float
) -> float:
    """Exact nβ E[L] of two linear layers of true rank 0, where only t = nβ/γ² matters (ours).

    Given the first layer A the second is Gaussian: a factor (1 + t s)^(-outputs/2) and an energy
    ½ outputs t s/(1 + t s) for each eigenvalue s of A Aᵀ, which are those of a Wishart matrix
    with density Π s^((|inputs - hidden| - 1)/2) e^(-s/2) Π |s_i - s_j|. One or two of them: the
    least width, inputs and outputs being exchangeable.
    """
    t = nbeta / gamma**2
    inputs, outputs = sorted((inputs, outputs))
    number, degrees = sorted((inputs, hidden))
    log_s = np.linspace(-80, 6, 2000)
    axes = np.meshgrid(*[np.exp(log_s)] * number, indexing="ij", sparse=True)
    power = (degrees - number - 1) / 2 + 1  # + 1 for the logarithmic grid
    log_density, energy = np.zeros(()), np.zeros(())
    for s in axes:
        log_density = log_density + power * np.log(s) - s / 2 - outputs / 2 * np.log1p(t * s)
        energy = energy + outputs / 2 * t * s / (1 + t * s)
    density = np.exp(log_density - log_density.max())
    if number == 2:
        density = density * abs(axes[0] - axes[1])
    return float((density * energy).sum() / density.sum())


def quadrature_three_numbers(nbeta: float, gamma: float) -> float:
    """Exact nβ E[L] of L = ½ (w1 w2 w3)², where only t = nβ/γ³ matters (ours, as above)."""
    t = nbeta / gamma**3
    log_s = np.linspace(-80, 6, 2000)
    s, u = np.exp(log_s)[:, None], np.exp(log_s)[None, :]
    density = np.sqrt(s * u / (1 + t * s * u)) * np.exp(-(s + u) / 2)
    energy = 0.5 * t * s * u / (1 + t * s * u)
    return float((density * energy).sum() / density.sum())


def hamiltonian_monte_carlo(
    problem: Problem, *, nbeta: float, gamma: float, leap: float, copies: int, paths: int
) -> tuple[float, float]:
    """Exact nβ E[L] and its standard error; independent of SGLD and of the gradient's correctness.

    Paths of random length around π/2√γ in leaps around ``leap``, accepted by Metropolis' rule; the
    first quarter of the paths is left out.
    """
    stream = torch.Generator().manual_seed(0)
    anchor = problem.anchor

    def potential(w: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        losses, gradients = problem.losses_and_gradients(w)
        away = w - anchor
        energy = nbeta * losses + gamma / 2 * away.square().sum(dim=1)
        return energy, nbeta * gradients + gamma * away, nbeta * losses

    longest = math.ceil(2.5 / (math.sqrt(gamma) * leap))
    start = anchor.repeat(copies, 1)
    state, kept, accepted = (start, *potential(start)), [], []
    for path in range(paths):
        w, energy, force, _ = new = state
        momentum = torch.randn(w.shape, generator=stream, dtype=w.dtype)
        before = energy + momentum.square().sum(dim=1) / 2
        size = leap * (0.5 + torch.rand(copies, 1, generator=stream, dtype=w.dtype))
        for _ in range(int(torch.randint(1 + longest // 2, longest + 1, (), generator=stream))):
            momentum = momentum - size / 2 * force
            w = w + size * momentum
            new = (w, *potential(w))
            force = new[2]
            momentum = momentum - size / 2 * force
        after = new[1] + momentum.square().sum(dim=1) / 2
        uniform = torch.rand(copies, generator=stream, dtype=w.dtype)
        accept = uniform < torch.exp(before - after)
        accepted.append(accept.double().mean().item())
        state = tuple(
            torch.where(accept.view(-1, *[1] * (old.dim() - 1)), fresh, old)
            for fresh, old in zip(new, state, strict=True)
        )
        if path >= paths // 4:
            kept.append(state[3])
    assert np.mean(accepted) > 0.5  # exact at any rate, but slow below: the leap is too long
    means = torch.stack(kept).mean(dim=0)
    return means.mean().item(), means.std().item() / math.sqrt(copies)


def quadratic_at_finite_steps(curvatures: np.ndarray, settings: SamplerSettings) -> float:
    """Exact mean of nβ L over the draws on L = ½ Σ h w², started at w* (ours)."""
    a = settings.nbeta * curvatures + settings.gamma
    draws = settings.num_burn_in + np.arange(settings.num_draws)[:, None]
    left = (1 - settings.step_size * a / 2) ** (2 * draws)  # T modes
    variance = (1 - left) / (a * (1 - settings.step_size * a / 4))
    return float((settings.nbeta * curvatures / 2 * variance).sum(axis=1).mean())
