"""The predictors between dMMSE_M and ridge: posterior means under a mixture of both priors (ours).

If a task is from N(0, I_D) with probability ε and from the task set T_M otherwise, the posterior
mean of a label is w dMMSE_M + (1 - w) ridge, where w is the probability, given the examples
before, that the task is from T_M (standard Bayes). Its log odds are log (1 - ε)/ε and the log
evidence of those examples under Uniform(T_M) less that under N(0, I_D).

Of all predictors it has the least (1-ε) · loss on q_M + ε · loss on q_∞: that sum is the mean
squared error on sequences of the mixture, which the posterior mean minimises. So over ε these
predictors are the Pareto front of both losses.
"""

import math
from collections.abc import Sequence

import torch

from transience.errors import InputError
from transience.problem.families.family import family_of
from transience.problem.ideal_predictors import CHUNK_ELEMENTS, of_chunks, ridge


def mixture(
    xs: torch.Tensor,
    ys: torch.Tensor,
    tasks: torch.Tensor | None,
    *,
    noise_variance: float,
    fresh_fractions: Sequence[float],
    family: str = "linear",
    chunk_elements: int = CHUNK_ELEMENTS,
) -> torch.Tensor:
    """Predict every label with the posterior mean under (1-ε) Uniform(T_M) + ε N(0, I_D) (ours).

    Args:
        xs: inputs (B, K, D).
        ys: labels (B, K); the last one is never looked at.
        tasks: the task set T_M (M, D), or None for M = inf, where all ε give ridge.
        noise_variance: σ², as for `dmmse`.
        fresh_fractions: the ε (E,); 0 is dMMSE_M, 1 is ridge.
        family: the kind of problem.
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
        return found.copy_(ridge(xs, ys, noise_variance=noise_variance, family=family))
    from_set, gaussian = _both(xs, ys, tasks, noise_variance, family, chunk_elements)
    for one, fraction in zip(found, fresh_fractions, strict=True):
        odds = from_set[1] - gaussian[1] - _logit(fraction)  # log w/(1-w): B K
        one.copy_(odds.sigmoid() * from_set[0] + (-odds).sigmoid() * gaussian[0])
    return found


def _logit(fraction: float) -> float:
    if fraction in (0, 1):
        return math.inf if fraction else -math.inf
    return math.log(fraction) - math.log1p(-fraction)


def _both(
    xs: torch.Tensor,
    ys: torch.Tensor,
    tasks: torch.Tensor,
    noise_variance: float,
    family: str,
    elements: int,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Both ideal predictors with their log evidence, in the chunks of `dmmse` and `ridge`."""
    tasks, problem = tasks.to(xs.device, torch.float64), family_of(family)

    def memorising(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return problem.weighed_memorising(x, y, tasks, noise_variance)

    def general(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return problem.weighed_general(x, y, noise_variance)

    sizes = elements // len(tasks), elements // (xs.shape[1] * xs.shape[2] ** 2)
    return of_chunks(memorising, xs, ys, sizes[0]), of_chunks(general, xs, ys, sizes[1])  # 2 B K
