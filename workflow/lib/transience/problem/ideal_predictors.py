"""The ideal predictors dMMSE_M and ridge, for every prefix of many sequences at once.

Prediction k uses the examples before k and the input x_k (paper, eqs. 4-5). Both are posterior
means of the label: dMMSE_M under a uniform prior on the task set T_M, ridge under N(0, I_D).
Computed in float64, because log-weights grow with the number of examples seen.
"""

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
    log_weights = xs.new_zeros(len(xs), len(tasks))  # B M, up to a constant
    for k in range(xs.shape[1]):
        labels = xs[:, k] @ tasks.T  # B D @ D M -> B M
        weights = log_weights.softmax(dim=1)
        predictions[:, k] = torch.linalg.vecdot(weights, labels)  # B M, B M -> B
        log_weights -= (ys[:, k, None] - labels).square_().div_(2 * noise_variance)
    return predictions


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
    covariance = _sum_before(xs[..., :, None] * xs[..., None, :])  # XᵀX of each prefix: B K D D
    correlation = _sum_before(xs * ys[..., None])  # XᵀY: B K D
    regularisation = noise_variance * torch.eye(xs.shape[-1], dtype=xs.dtype, device=xs.device)
    factor = torch.linalg.cholesky(covariance + regularisation)
    tasks = torch.cholesky_solve(correlation[..., None], factor)[..., 0]  # B K D
    return torch.linalg.vecdot(tasks, xs)  # B K D, B K D -> B K


def _sum_before(values: torch.Tensor) -> torch.Tensor:
    """Sum over the positions before each: (B, K, …) -> (B, K, …), 0 at the first."""
    sums = torch.zeros_like(values)
    torch.cumsum(values[:, :-1], dim=1, out=sums[:, 1:])
    return sums
