"""The predictors between dMMSE_M and ridge: posterior means under a mixture of both priors (ours).

If a task is from N(0, I_D) with probability ε and from the task set T_M otherwise, the posterior
mean of a label is w dMMSE_M + (1 - w) ridge, where w is the probability, given the examples
before, that the task is from T_M (standard Bayes). Its log odds are log (1 - ε)/ε and the log
evidence of those labels under Uniform(T_M) less that under N(0, I_D).
"""

import math
from collections.abc import Callable, Sequence

import torch

from transience.errors import InputError
from transience.problem.ideal_predictors import (
    CHUNK_ELEMENTS,
    mean_label,
    ridge,
    ridge_factor,
    ridge_label,
    sum_before,
    weighed_tasks,
)


def mixture(
    xs: torch.Tensor,
    ys: torch.Tensor,
    tasks: torch.Tensor | None,
    *,
    noise_variance: float,
    fresh_fractions: Sequence[float],
    chunk_elements: int = CHUNK_ELEMENTS,
) -> torch.Tensor:
    """Predict every label with the posterior mean under (1-ε) Uniform(T_M) + ε N(0, I_D) (ours).

    Of all predictors it has the least (1-ε) · loss on q_M + ε · loss on q_∞: that sum is the mean
    squared error on sequences of the mixture, which the posterior mean minimises. So over ε these
    predictors are the Pareto front of both losses.

    Args:
        xs: inputs (B, K, D).
        ys: labels (B, K); the last one is never looked at.
        tasks: the task set T_M (M, D), or None for M = inf, where all ε give ridge.
        noise_variance: σ², in squared units of y.
        fresh_fractions: the ε (E,); 0 is dMMSE_M, 1 is ridge.
        chunk_elements: bound on memory; it does not change the result.

    Returns:
        Predictions (E, B, K), computed in float64.

    Raises:
        InputError: if an ε is not between 0 and 1.
    """
    for fraction in fresh_fractions:
        if not 0 <= fraction <= 1:
            raise InputError(f"fresh_fractions: expected numbers from 0 to 1, found {fraction}")
    found = xs.new_empty(len(fresh_fractions), *ys.shape)
    if tasks is None:
        return found.copy_(ridge(xs, ys, noise_variance=noise_variance))
    from_set, gaussian = _both(xs, ys, tasks, noise_variance, chunk_elements)
    for one, fraction in zip(found, fresh_fractions, strict=True):
        odds = from_set[1] - gaussian[1] - _logit(fraction)  # log w/(1-w): B K
        one.copy_(odds.sigmoid() * from_set[0] + (-odds).sigmoid() * gaussian[0])
    return found


def _logit(fraction: float) -> float:
    if fraction in (0, 1):
        return math.inf if fraction else -math.inf
    return math.log(fraction) - math.log1p(-fraction)


def _both(
    xs: torch.Tensor, ys: torch.Tensor, tasks: torch.Tensor, noise_variance: float, elements: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """`_uniform` and `_gaussian`, in the chunks of `dmmse` and `ridge`: each (2, B, K)."""
    (_, K, D), tasks = xs.shape, tasks.to(xs.device, torch.float64)

    def from_set(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return _uniform(x, y, tasks, noise_variance)

    def gaussian(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return _gaussian(x, y, noise_variance)

    sizes = elements // len(tasks), elements // (K * D**2)
    return _of_chunks(xs, ys, sizes[0], from_set), _of_chunks(xs, ys, sizes[1], gaussian)


def _of_chunks(
    xs: torch.Tensor, ys: torch.Tensor, size: int, predict: Callable[..., torch.Tensor]
) -> torch.Tensor:
    """What a function of some sequences gives for all, joined along the second axis."""
    chunks = zip(xs.split(max(1, size)), ys.split(max(1, size)), strict=True)
    return torch.cat([predict(x.double(), y.double()) for x, y in chunks], dim=1)


def _uniform(
    xs: torch.Tensor, ys: torch.Tensor, tasks: torch.Tensor, noise_variance: float
) -> torch.Tensor:
    """dMMSE_M, and the log evidence of the labels before, but for -½ log 2πσ² each: (2, B, K)."""
    found = ys.new_empty(2, *ys.shape)
    for k, log_weights, labels in weighed_tasks(xs, ys, tasks, noise_variance):
        found[0, :, k] = mean_label(log_weights, labels)
        found[1, :, k] = log_weights.logsumexp(dim=1) - math.log(len(tasks))
    return found


def _gaussian(xs: torch.Tensor, ys: torch.Tensor, noise_variance: float) -> torch.Tensor:
    """Ridge, and the log evidence of the labels before, but for -½ log 2πσ² each: (2, B, K).

    A label given those before is normal, about the prediction of ridge and with a variance of
    σ² (1 + xᵀ (XᵀX + σ² I)⁻¹ x): the product of these densities is N(y; 0, X Xᵀ + σ² I).
    """
    factor = ridge_factor(xs, noise_variance)  # L with L Lᵀ = XᵀX + σ² I: B K D D
    predictions = ridge_label(xs, ys, factor)
    whitened = torch.linalg.solve_triangular(factor, xs[..., None], upper=False)[..., 0]
    excess = whitened.square().sum(dim=-1)  # xᵀ (XᵀX + σ² I)⁻¹ x: B K
    squares = (ys - predictions).square() / (noise_variance * (1 + excess))
    return torch.stack([predictions, sum_before(-(excess.log1p() + squares) / 2)])
