"""Two classes in context, x = y μ + noise with y = ±1: a task is the mean μ of one of them (ours).

Noise is σ ξ, ξ ~ N(0, I_D); the label is asked for. Given μ, P(y | x) is a logistic function, and
the mean of y is tanh(x·μ / σ²). Losses are mean squared errors as elsewhere.
"""

import math

import torch

from transience.problem.families.family import Family, sum_before


class GaussianMeans(Family):
    """Inputs tell their class by their mean; σ² is the variance of their noise."""

    memorising, general = "Bayes of M means", "Bayes of new means"

    def sequences(
        self, tasks: torch.Tensor, inputs: torch.Tensor, noise: torch.Tensor, noise_deviation: float
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Labels are signs of the noise; inputs y μ + σ ξ."""
        ys = torch.where(noise < 0, -1.0, 1.0).to(inputs)
        return ys[..., None] * tasks[:, None, :] + noise_deviation * inputs, ys

    def weighed_memorising(
        self, xs: torch.Tensor, ys: torch.Tensor, tasks: torch.Tensor, noise_variance: float
    ) -> torch.Tensor:
        """The mean of tanh(x·μ / σ²) over T_M, weighed by what was seen, and log evidence.

        Evidence is of the examples before and of the input itself, which tells of μ but for its
        sign; but for -½ log 2πσ² a coordinate, and log ½ a label.
        """
        found = ys.new_empty(2, *ys.shape)
        log_weights = xs.new_zeros(len(xs), len(tasks))  # of the examples before: B M
        for k in range(xs.shape[1]):
            by_label = [_log_density(sign * xs[:, k, None], tasks, noise_variance)
                        for sign in (1, -1)]  # fmt: skip
            own = log_weights + torch.logaddexp(*by_label)  # and of the input: B M
            means = torch.tanh((by_label[0] - by_label[1]) / 2)
            found[0, :, k] = torch.linalg.vecdot(own.softmax(dim=1), means)  # B M, B M -> B
            found[1, :, k] = own.logsumexp(dim=1) - math.log(len(tasks))
            signed = ys[:, k, None, None] * xs[:, k, None]  # y x ~ N(μ, σ² I): B 1 D
            log_weights = log_weights + _log_density(signed, tasks, noise_variance)
        return found

    def weighed_general(
        self, xs: torch.Tensor, ys: torch.Tensor, noise_variance: float
    ) -> torch.Tensor:
        """tanh(x·m / (σ² + v)) for the posterior N(m, v I) of μ, and log evidence in those units.

        After n examples m = Σ y x / (n + σ²) and v = σ² / (n + σ²).
        """
        signed = ys[..., None] * xs  # B K D
        seen = torch.arange(xs.shape[1], dtype=xs.dtype, device=xs.device)  # K
        m = sum_before(signed) / (seen + noise_variance)[:, None]  # B K D
        variance = noise_variance + noise_variance / (seen + noise_variance)  # σ² + v: K
        predictions = torch.tanh(torch.linalg.vecdot(xs, m) / variance)  # B K D, B K D -> B K
        scale = -xs.shape[-1] / 2 * (variance / noise_variance).log()  # K
        before, plus, minus = (
            scale + _log_density(point, m, variance) for point in (signed, xs, -xs)
        )
        return torch.stack([predictions, sum_before(before) + torch.logaddexp(plus, minus)])


FAMILY = GaussianMeans()


def _log_density(
    points: torch.Tensor, means: torch.Tensor, variance: float | torch.Tensor
) -> torch.Tensor:
    """-|x - μ|² / 2v over the last axis, for a variance v; others are broadcast."""
    return (points - means).square().sum(dim=-1) / (-2 * variance)
