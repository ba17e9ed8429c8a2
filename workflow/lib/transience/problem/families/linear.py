"""Linear regression in context, y = t·x + noise with x ~ N(0, I_D): the paper's problem.

The memorising predictor is dMMSE_M, the general one is ridge (paper, eqs. 4-5).
"""

import math
from collections.abc import Iterator

import torch

from transience.problem.families.family import Family, sum_before


class Linear(Family):
    """Labels are linear in the input; σ² is the variance of their noise."""

    memorising, general = "dMMSE", "ridge"

    def sequences(
        self, tasks: torch.Tensor, inputs: torch.Tensor, noise: torch.Tensor, noise_deviation: float
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Inputs as drawn; labels t·x with noise."""
        return inputs, labels_of(tasks, inputs, noise, noise_deviation)

    def memorised(
        self, xs: torch.Tensor, ys: torch.Tensor, tasks: torch.Tensor, noise_variance: float
    ) -> torch.Tensor:
        """Predictions (B, K) of dMMSE_M (paper, eq. 4). The first uses the mean task."""
        predictions = torch.empty_like(ys)
        for k, log_weights, labels in weighed_tasks(xs, ys, tasks, noise_variance):
            predictions[:, k] = mean_label(log_weights, labels)
        return predictions

    def generalised(
        self, xs: torch.Tensor, ys: torch.Tensor, noise_variance: float
    ) -> torch.Tensor:
        """Predictions (B, K) of ridge, t̂ = (XᵀX + σ² I)⁻¹ Xᵀ Y (paper, eq. 5). The first is 0."""
        return ridge_label(xs, ys, ridge_factor(xs, noise_variance))

    def weighed_memorising(
        self, xs: torch.Tensor, ys: torch.Tensor, tasks: torch.Tensor, noise_variance: float
    ) -> torch.Tensor:
        """dMMSE_M, and the log evidence of the labels before, but for -½ log 2πσ² each."""
        found = ys.new_empty(2, *ys.shape)
        for k, log_weights, labels in weighed_tasks(xs, ys, tasks, noise_variance):
            found[0, :, k] = mean_label(log_weights, labels)
            found[1, :, k] = log_weights.logsumexp(dim=1) - math.log(len(tasks))
        return found

    def weighed_general(
        self, xs: torch.Tensor, ys: torch.Tensor, noise_variance: float
    ) -> torch.Tensor:
        """Ridge, and the log evidence of the labels before, but for -½ log 2πσ² each.

        A label given those before is normal, about the prediction of ridge and with a variance of
        σ² (1 + xᵀ (XᵀX + σ² I)⁻¹ x): the product of these densities is N(y; 0, X Xᵀ + σ² I).
        """
        factor = ridge_factor(xs, noise_variance)  # L with L Lᵀ = XᵀX + σ² I: B K D D
        predictions = ridge_label(xs, ys, factor)
        whitened = torch.linalg.solve_triangular(factor, xs[..., None], upper=False)[..., 0]
        excess = whitened.square().sum(dim=-1)  # xᵀ (XᵀX + σ² I)⁻¹ x: B K
        squares = (ys - predictions).square() / (noise_variance * (1 + excess))
        return torch.stack([predictions, sum_before(-(excess.log1p() + squares) / 2)])


FAMILY = Linear()


def labels_of(
    tasks: torch.Tensor, xs: torch.Tensor, noise: torch.Tensor, noise_deviation: float
) -> torch.Tensor:
    """Labels (B, K) of tasks (B, D) at inputs (B, K, D)."""
    ys = torch.bmm(xs, tasks[:, :, None])[..., 0]  # B K D @ B D 1 -> B K
    ys += noise_deviation * noise
    return ys


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
