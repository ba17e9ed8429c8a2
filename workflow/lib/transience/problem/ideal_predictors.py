"""The ideal predictors, for every prefix of many sequences at once.

Both are posterior means of the label given the examples before k and the input x_k: dMMSE_M under a
uniform prior on the task set T_M, ridge under N(0, I_D). These are their names in linear regression
(paper, eqs. 4-5); in other families `dmmse` is the memorising predictor, `ridge` the general one.
Computed in float64, because log-weights grow with the number of examples seen.
"""

from collections.abc import Callable

import torch

from transience.problem.families.family import family_of

CHUNK_ELEMENTS = 2**20  # numbers held at once: B M for dMMSE, B K D² for ridge; 8 MiB


def dmmse(
    xs: torch.Tensor,
    ys: torch.Tensor,
    tasks: torch.Tensor | None,
    *,
    noise_variance: float,
    family: str = "linear",
    chunk_elements: int = CHUNK_ELEMENTS,
) -> torch.Tensor:
    """Predict every label with its posterior mean under Uniform(T_M) (paper, eq. 4).

    Args:
        xs: inputs (B, K, D).
        ys: labels (B, K); the last one is never looked at.
        tasks: the task set T_M (M, D), or None for M = inf, whose dMMSE is ridge.
        noise_variance: σ², in squared units of y (of x, for `gaussian_means`).
        family: the kind of problem.
        chunk_elements: bound on memory; it does not change the result.

    Returns:
        Predictions (B, K), in the dtype of xs.
    """
    if tasks is None:
        return ridge(xs, ys, noise_variance=noise_variance, family=family)
    tasks, problem = tasks.to(xs.device, torch.float64), family_of(family)
    return of_chunks(
        lambda x, y: problem.memorised(x, y, tasks, noise_variance),
        xs, ys, chunk_elements // len(tasks),
    ).to(xs.dtype)  # fmt: skip


def ridge(
    xs: torch.Tensor,
    ys: torch.Tensor,
    *,
    noise_variance: float,
    family: str = "linear",
    chunk_elements: int = CHUNK_ELEMENTS,
) -> torch.Tensor:
    """Predict every label with its posterior mean under N(0, I_D) (paper, eq. 5).

    Args:
        xs: inputs (B, K, D).
        ys: labels (B, K); the last one is never looked at.
        noise_variance: σ², as for `dmmse`; in linear regression the regularisation.
        family: the kind of problem.
        chunk_elements: bound on memory; it does not change the result.

    Returns:
        Predictions (B, K), in the dtype of xs. The first is 0.
    """
    problem = family_of(family)
    return of_chunks(
        lambda x, y: problem.generalised(x, y, noise_variance),
        xs, ys, chunk_elements // (xs.shape[1] * xs.shape[2] ** 2),
    ).to(xs.dtype)  # fmt: skip


def of_chunks(
    predict: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
    xs: torch.Tensor,
    ys: torch.Tensor,
    size: int,
) -> torch.Tensor:
    """What a function of xs (b, K, D) and ys (b, K) in float64 gives for all, (…, B, K)."""
    chunks = zip(xs.split(max(1, size)), ys.split(max(1, size)), strict=True)
    return torch.cat([predict(x.double(), y.double()) for x, y in chunks], dim=-2)
