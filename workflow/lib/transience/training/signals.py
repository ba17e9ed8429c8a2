"""What a batch tells while a model trains, without a test set (ours).

The model before the update stands beside both ideal predictors on the batch that it is about to be
trained on, which it hasn't seen. Ridge knows no tasks, so a model whose loss stays below that of
ridge there knows some; dMMSE_M knows the tasks that the batch is from.
"""

import math
from dataclasses import astuple, dataclass

import torch

from transience.model.loss_and_gradient import LossAndGradient
from transience.problem.ideal_predictors import CHUNK_ELEMENTS, dmmse, ridge
from transience.problem.tasks import SequenceSampler
from transience.run import Run
from transience.training.arithmetic import products
from transience.training.settings import TrainingSettings
from transience.training.state import TrainingState


@dataclass(frozen=True)
class Beside:
    """A model on a batch beside ridge and dMMSE_M."""

    ridge_loss: float  # mean squared error on the batch, in label²
    dmmse_loss: float
    projection: float  # of f - ridge on dMMSE_M - ridge: 0 at ridge, 1 at dMMSE_M
    residual: float  # mean square of what lies off that line, in label²


class Signals:
    """Takes the signals of a run's steps, on its device; a step is the same with and without."""

    def __init__(self, batches: SequenceSampler, run: Run, settings: TrainingSettings) -> None:
        """Follow the batches of a sampler, whose tasks may wander."""
        self.batches, self.run, self.settings = batches.twin(), run, settings
        self.predict = LossAndGradient(run.architecture).predict

    def before(self, state: TrainingState) -> tuple[float, ...]:
        """What the next batch tells of a state: the values of `Beside`."""
        self.batches.seed(self.run.seed, "training", state.step)
        task = self.run.task
        with products(tf32=False):
            xs, ys = self.batches.draw()
            predictions = self.predict(state.vector, xs, ys)
        return astuple(
            beside(predictions, xs, ys, self.batches.tasks, task.noise_variance, task.family)
        )

    def after(self, state: TrainingState) -> float:
        """The variance of the gradient over batches; see `gradient_variance`."""
        moments = state.first_moment, state.second_moment
        betas = self.settings.beta1, self.settings.beta2
        return gradient_variance(*moments, state.step, *betas)


def beside(
    predictions: torch.Tensor,
    xs: torch.Tensor,
    ys: torch.Tensor,
    tasks: torch.Tensor | None,
    noise_variance: float,
    family: str = "linear",
) -> Beside:
    """Compare predictions with those of ridge and dMMSE_M.

    dMMSE_M takes time that grows with M, so of a large M only the first sequences of the batch
    stand beside it (2^20 / M of them).

    Args:
        predictions: of the model (B, K).
        xs: inputs (B, K, D).
        ys: labels (B, K).
        tasks: the task set T_M (M, D), or None for M = inf: dMMSE_M is ridge, and there is no line.
        noise_variance: σ², as for `dmmse`.
        family: the kind of problem.
    """
    general = ridge(xs, ys, noise_variance=noise_variance, family=family)
    ridge_loss = _mean_square(general - ys)
    if tasks is None:
        return Beside(ridge_loss, ridge_loss, math.nan, math.nan)
    first = slice(max(1, CHUNK_ELEMENTS // len(tasks)))
    memorised = dmmse(xs[first], ys[first], tasks, noise_variance=noise_variance, family=family)
    line = (memorised - general[first]).double()
    off = (predictions[first] - general[first]).double()
    length = line.square().sum().item()
    projection = (off * line).sum().item() / length if length else math.nan
    return Beside(
        ridge_loss=ridge_loss,
        dmmse_loss=_mean_square(memorised - ys[first]),
        projection=projection,
        residual=_mean_square(off - projection * line),
    )


def gradient_variance(
    first_moment: torch.Tensor, second_moment: torch.Tensor, step: int, beta1: float, beta2: float
) -> float:
    """Variance of a batch's gradient, summed over parameters, from Adam's moments (P,) (ours).

    The mean squared gradient less the square of the mean is the variance, but for what the mean
    itself scatters: a weighted mean of independent gradients has their variance times the sum of
    the squared weights, S = (1 - β₁)(1 + β₁^t) / ((1 + β₁)(1 - β₁^t)). It averages over about
    1 / (1 - β₂) steps. Missing at the first step, and for β₁ = 0, where the mean is one gradient.
    """
    mean = first_moment.double() / (1 - beta1**step)
    mean_square = second_moment.double().sum() / (1 - beta2**step)
    scatter = (1 - beta1) * (1 + beta1**step) / ((1 + beta1) * (1 - beta1**step))
    if scatter >= 1:
        return math.nan
    return ((mean_square - mean.square().sum()) / (1 - scatter)).item()


def _mean_square(errors: torch.Tensor) -> float:
    return errors.double().square().mean().item()
