"""The minibatches of SGLD chains: of one fixed dataset, or fresh samples for each draw.

Both know the loss of w* on each minibatch (the paired baseline), and the samples on which w* is
compared with other weights (`reference`).
"""

from collections.abc import Callable, Iterator
from typing import TypeAlias

import numpy as np
import torch

from transience.complexity.settings import SamplerSettings
from transience.complexity.sgld import Batch, Losses
from transience.errors import InputError
from transience.problem.randomness import generator

# The samples on which the loss is defined, or a function that draws the minibatch (chain, draw)
Data: TypeAlias = Batch | Callable[[int, int], Batch]


class FixedData:
    """Minibatches of B of n samples, chosen uniformly with replacement.

    The losses of w* on all samples are computed once, so the paired baseline costs nothing.
    """

    def __init__(
        self,
        data: Batch,
        losses_of: Losses,
        vector: torch.Tensor,
        settings: SamplerSettings,
        step: int,
    ) -> None:
        """Check that data and batch fit together, and take the loss of w* (P,) everywhere."""
        if callable(data):
            raise InputError("data: expected tensors in data_mode fixed, found a function")
        lengths = {len(tensor) for tensor in data}
        if len(lengths) != 1:
            found = f"found lengths {sorted(lengths)}"
            raise InputError(f"data: expected tensors of one length, {found}")
        if settings.batch_size > min(lengths):
            found = f"found {settings.batch_size} of {min(lengths)}"
            raise InputError(f"batch_size: expected at most the samples of the dataset, {found}")
        self.reference, self.settings, self.step = data, settings, step
        self.initial = sample_losses(losses_of, vector, data, settings.batch_size)

    def batches(self, chain: int) -> Iterator[Batch]:
        """One minibatch for each draw of a chain."""
        return (tuple(tensor[row] for tensor in self.reference) for row in self._rows(chain))

    def baselines(self, chain: int) -> np.ndarray:
        """Loss of w* on each minibatch of a chain, float64 (T,)."""
        return self.initial[self._rows(chain)].mean(dim=1).cpu().numpy()

    def _rows(self, chain: int) -> torch.Tensor:
        s, device = self.settings, self.initial.device
        choice = generator(s.seed, "sgld batches", self.step, chain, device=device)
        size = (s.num_burn_in + s.num_draws, s.batch_size)
        return torch.randint(len(self.initial), size, generator=choice, device=device)


class FreshData:
    """New samples for each draw: the loss is that of the whole distribution.

    Costs one more evaluation of w* a draw. The reference samples are those of the first chain.
    """

    def __init__(
        self,
        draw_batch: Callable[[int, int], Batch],
        losses_of: Losses,
        vector: torch.Tensor,
        settings: SamplerSettings,
    ) -> None:
        """Take the loss of w* (P,) on the samples of the first chain."""
        if not callable(draw_batch):
            raise InputError("data: expected a function in data_mode fresh, found tensors")
        self.draw_batch, self.losses_of, self.vector = draw_batch, losses_of, vector
        self.num_batches = settings.num_burn_in + settings.num_draws
        self.reference = tuple(map(torch.cat, zip(*self.batches(0), strict=True)))
        self.initial = sample_losses(losses_of, vector, self.reference, settings.batch_size)

    def batches(self, chain: int) -> Iterator[Batch]:
        """One minibatch for each draw of a chain."""
        return (self.draw_batch(chain, draw) for draw in range(self.num_batches))

    def baselines(self, chain: int) -> np.ndarray:
        """Loss of w* on each minibatch of a chain, float64 (T,)."""
        return np.array([
            self.losses_of(self.vector, *batch).double().mean().item()
            for batch in self.batches(chain)
        ])  # fmt: skip


def sample_losses(
    losses_of: Losses, vector: torch.Tensor, data: Batch, batch_size: int
) -> torch.Tensor:
    """Loss of w (P,) on every sample, float64 (n,), a batch at a time; InputError if not finite."""
    batches = zip(*(tensor.split(batch_size) for tensor in data), strict=True)
    losses = [torch.atleast_1d(losses_of(vector, *batch)) for batch in batches]
    losses = torch.cat(losses).double()
    if losses.shape != (len(data[0]),):
        expected, found = f"{len(data[0])} samples", f"shape {tuple(losses.shape)}"
        raise InputError(f"loss: expected one value for each of {expected}, found {found}")
    bad = int((~torch.isfinite(losses)).sum())
    if bad:
        raise InputError(f"loss: expected finite values, found {bad} of {len(losses)} not")
    return losses
