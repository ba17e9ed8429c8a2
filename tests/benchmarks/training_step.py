"""Time of a training step: ours against the plain one. `python tests/benchmarks/training_step.py`

Both run in this process on one thread, taking turns; the table gives the median of each. Ours
is `LossAndGradient` and one fused Adam step on the flat vector; plain is `torch.nn`, autograd and
`torch.optim.Adam`, with attention as two matrix products or as PyTorch's fused kernel.
"""

import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parents[1] / "workflow" / "lib")]

from plain import PlainTransformer, plain_step  # noqa: E402

from transience.gradients import LossAndGradient  # noqa: E402
from transience.transformer import Architecture, initial_parameters  # noqa: E402

ROUNDS = 9
SECONDS = 0.2  # of every contestant in a round, or one step
SIZES = (  # task dimension, examples, width, batch
    (4, 8, 32, 64),
    (4, 8, 64, 64),
    (8, 16, 512, 32),
    (8, 16, 512, 256),
)


def architecture(task_dimension: int, num_examples: int, width: int) -> Architecture:
    """Two layers and four heads, as in the configurations that ship."""
    return Architecture(
        task_dimension=task_dimension,
        num_examples=num_examples,
        width=width,
        num_layers=2,
        num_heads=4,
        mlp_width=width,
        output_projection=False,
        doubled_residual=False,
    )


def contestants(a: Architecture, batch: int) -> dict[str, Callable[[], object]]:
    """Functions that each do one step, from the same point on the same data."""
    stream = torch.Generator().manual_seed(0)
    xs = torch.randn(batch, a.num_examples, a.task_dimension, generator=stream)
    ys = torch.randn(batch, a.num_examples, generator=stream)
    start = initial_parameters(a, 0)

    def plain(fused_attention: bool) -> Callable[[], object]:
        model = PlainTransformer(a, fused_attention=fused_attention).load(start, a)
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-6)
        return lambda: plain_step(model, optimizer, xs, ys)

    def ours() -> Callable[[], object]:
        loss_and_gradient, vector = LossAndGradient(a), torch.nn.Parameter(start.clone())
        optimizer = torch.optim.Adam([vector], lr=1e-6, fused=True)

        def step() -> float:
            losses, vector.grad = loss_and_gradient(vector, xs, ys)
            optimizer.step()
            return losses.mean().item()

        return step

    return {"products": plain(False), "fused": plain(True), "ours": ours()}


def milliseconds(step: Callable[[], object], repeats: int) -> float:
    start = time.perf_counter()
    for _ in range(repeats):
        step()
    return (time.perf_counter() - start) / repeats * 1e3


def medians(steps: dict[str, Callable[[], object]]) -> dict[str, float]:
    """Median milliseconds of every contestant over rounds in which all take their turn."""
    repeats = {}
    for name, step in steps.items():
        step()
        repeats[name] = max(1, round(SECONDS * 1e3 / milliseconds(step, 1)))
    times: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(ROUNDS):
        for name, step in steps.items():
            times[name].append(milliseconds(step, repeats[name]))
    return {name: statistics.median(values) for name, values in times.items()}


def matrix_product_rate(size: int = 1024) -> float:
    """Rate of a large float32 matrix product, in GFLOP/s."""
    a, b = torch.randn(size, size), torch.randn(size, size)
    out = torch.empty(size, size)
    return 2e-6 * size**3 / medians({"product": lambda: torch.mm(a, b, out=out)})["product"]


def main() -> None:
    torch.set_num_threads(1)
    print(f"float32 matrix product: {matrix_product_rate():.0f} GFLOP/s on one thread\n")
    print("   D   K  width  batch   plain, products   plain, fused      ours   ratio")
    print("                                    ms / step                 (better plain / ours)")
    for D, K, width, batch in SIZES:
        a = architecture(D, K, width)
        times = medians(contestants(a, batch))
        ratio = min(times["products"], times["fused"]) / times["ours"]
        print(
            f"{D:4}{K:4}{width:7}{batch:7}{times['products']:18.2f}{times['fused']:15.2f}"
            f"{times['ours']:10.2f}{ratio:8.2f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
