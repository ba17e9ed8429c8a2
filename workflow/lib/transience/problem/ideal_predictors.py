"""The ideal predictors dMMSE_M and ridge, for every prefix of many sequences at once.

Prediction k uses the examples before k and the input x_k (paper, eqs. 4-5). Both are posterior
means of the label: dMMSE_M under a uniform prior on the task set T_M, ridge under N(0, I_D).
Computed in float64, because log-weights grow with the number of examples seen.
"""

from collections.abc import Iterator

import torch

CHUNK_ELEMENTS = 2**20  # numbers held at once: B M for dMMSE, B K D² for ridge; 8 MiB


def dmmse(
    xs: torch.Tensor,
    ys: torch.Tensor,
    tasks: torch.Tensor | None,
    *,
    noise_variance: float,
    chunk_elements: int = CHUNK_ELEMENTS,
) -> torch.Tensor:
    """Predict every label with the posterior mean task under Uniform(T_M) (paper, eq. 4).

    Args:
        xs: inputs (B, K, D).
        ys: labels (B, K); the last one is never looked at.
        tasks: the task set T_M (M, D), or None for M = inf, whose dMMSE is ridge.
        noise_variance: σ², in squared units of y.
        chunk_elements: bound on memory; it does not change the result.

    Returns:
        Predictions (B, K). The first uses the mean task.
    """
    if tasks is None:
        return ridge(xs, ys, noise_variance=noise_variance)
    tasks = tasks.to(xs.device, torch.float64)
    size = max(1, chunk_elements // len(tasks))
    chunks = zip(xs.split(size), ys.split(size), strict=True)
    return torch.cat([_dmmse(x.double(), y.double(), tasks, noise_variance) for x, y in chunks]).to(
        xs.dtype
    )


def _dmmse(
    xs: torch.Tensor, ys: torch.Tensor, tasks: torch.Tensor, noise_variance: float
) -> torch.Tensor:
    predictions = torch.empty_like(ys)
    for k, log_weights, labels in weighed_tasks(xs, ys, tasks, noise_variance):
        predictions[:, k] = mean_label(log_weights, labels)
    return predictions


def weighed_tasks(
    xs: torch.Tensor, ys: torch.Tensor, tasks: torch.Tensor, noise_variance: float
) -> Iterator[tuple[int, torch.Tensor, torch.Tensor]]:
    """For every position k: k, log likelihoods (B, M) of the labels before k, labels t·x_k (B, M).

    A log likelihood is that of Gaussian noise but for its constant, -½ log 2πσ² a label. The tensor
    is used again for the next position. In float64: xs (B, K, D), ys (B, K), tasks (M, D).
    """
    log_weights = xs.new_zeros(len(xs), len(tasks))  # B M
    for k in range(xs.shape[1]):
        labels = xs[:, k] @ tasks.T  # B D @ D M -> B M
        yield k, log_weights, labels
        log_weights -= (ys[:, k, None] - labels).square_().div_(2 * noise_variance)


def mean_label(log_weights: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Mean over tasks of labels (B, M), weighed by the softmax of log weights (B, M): (B,)."""
    return torch.linalg.vecdot(log_weights.softmax(dim=1), labels)  # B M, B M -> B


def ridge(
    xs: torch.Tensor,
    ys: torch.Tensor,
    *,
    noise_variance: float,
    chunk_elements: int = CHUNK_ELEMENTS,
) -> torch.Tensor:
    """Predict every label by ridge regression, t̂ = (XᵀX + σ² I)⁻¹ Xᵀ Y (paper, eq. 5).

    Args:
        xs: inputs (B, K, D).
        ys: labels (B, K); the last one is never looked at.
        noise_variance: σ², the regularisation.
        chunk_elements: bound on memory; it does not change the result.

    Returns:
        Predictions (B, K). The first is 0.
    """
    size = max(1, chunk_elements // (xs.shape[1] * xs.shape[2] ** 2))
    chunks = zip(xs.split(size), ys.split(size), strict=True)
    return torch.cat([_ridge(x.double(), y.double(), noise_variance) for x, y in chunks]).to(
        xs.dtype
    )


def _ridge(xs: torch.Tensor, ys: torch.Tensor, noise_variance: float) -> torch.Tensor:
    return ridge_label(xs, ys, ridge_factor(xs, noise_variance))


def ridge_factor(xs: torch.Tensor, noise_variance: float) -> torch.Tensor:
    """Cholesky factor of XᵀX + σ² I of every prefix of inputs (B, K, D): (B, K, D, D), lower."""
    covariance = sum_before(xs[..., :, None] * xs[..., None, :])  # XᵀX of each prefix: B K D D
    regularisation = noise_variance * torch.eye(xs.shape[-1], dtype=xs.dtype, device=xs.device)
    return torch.linalg.cholesky(covariance + regularisation)


def ridge_label(xs: torch.Tensor, ys: torch.Tensor, factor: torch.Tensor) -> torch.Tensor:
    """Predictions (B, K) of ridge for inputs (B, K, D), labels (B, K) and their `ridge_factor`."""
    correlation = sum_before(xs * ys[..., None])  # XᵀY: B K D
    tasks = torch.cholesky_solve(correlation[..., None], factor)[..., 0]  # B K D
    return torch.linalg.vecdot(tasks, xs)  # B K D, B K D -> B K


def sum_before(values: torch.Tensor) -> torch.Tensor:
    """Sum over the positions before each: (B, K, …) -> (B, K, …), 0 at the first."""
    sums = torch.zeros_like(values)
    torch.cumsum(values[:, :-1], dim=1, out=sums[:, 1:])
    return sums
