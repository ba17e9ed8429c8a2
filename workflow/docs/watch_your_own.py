"""Watch a training that has nothing to do with this workflow: addition modulo 37.

A small network learns half of all sums by heart first and understands later (grokking, Power et
al., arXiv 2201.02177): the loss on sums that were held out falls long after that of training has.
Without weight decay it doesn't. It takes about a minute of a core. The second line, some seconds
after the first, when there is something to watch:

    PYTHONPATH=workflow/lib .venv/bin/python workflow/docs/watch_your_own.py watched &
    PYTHONPATH=workflow/lib .venv/bin/python -m transience.watch watched

The three lines that make it seen are marked. They need no more than `pip install .`; the page needs
this checkout and `make`'s environment.
"""

import sys

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from transience.watch.monitor import Monitor  # 1

P, WIDTH, STEPS = 37, 128, 6000


class Adder(nn.Module):
    """Embeds two numbers, adds the embeddings, and reads the sum off a hidden layer."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(P, WIDTH)
        self.hidden, self.read = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, P)

    def forward(self, pairs: torch.Tensor) -> torch.Tensor:
        """Logits (B, P) of the sums of pairs (B, 2)."""
        embedded = self.embed(pairs).sum(1)  # B 2 C -> B C
        return self.read(torch.relu(self.hidden(embedded)))


def train(path: str, weight_decay: float) -> None:
    """Train on half of all pairs; the other half is held out."""
    torch.manual_seed(0)
    pairs = torch.cartesian_prod(torch.arange(P), torch.arange(P))
    pairs = pairs[torch.randperm(len(pairs))]
    trained, held_out = pairs.chunk(2)
    model = Adder()
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=weight_decay)
    monitor = Monitor(path, last_step=STEPS, every=20, held_out="held out")  # 2
    for step in range(1, STEPS + 1):
        loss = cross_entropy(model(trained), trained.sum(1) % P)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        monitor(  # 3
            step,
            {"training": loss, "held out": lambda: loss_on(model, held_out)},
            {"norm of the weights": lambda: norm(model)},
        )


@torch.no_grad()
def loss_on(model: nn.Module, pairs: torch.Tensor) -> torch.Tensor:
    """Mean cross-entropy on pairs that it isn't trained on."""
    return cross_entropy(model(pairs), pairs.sum(1) % P)


@torch.no_grad()
def norm(model: nn.Module) -> torch.Tensor:
    """Euclidean norm of all parameters."""
    return nn.utils.get_total_norm(list(model.parameters()))


if __name__ == "__main__":
    torch.set_num_threads(1)
    for decay in (1.0, 0.0):
        train(f"{sys.argv[1]}/weight_decay_{decay:g}.jsonl", decay)
