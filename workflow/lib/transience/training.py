"""Training of one model: Adam on fresh sequences from q_M, with checkpoints, resumable.

The batch of a step is a function of (seed, step) alone, so the state after step s determines all
that follows: a run that was killed and resumed gives the checkpoints of one that was not.
Where each hyperparameter comes from is said in `config/paper.yaml`.
"""

import contextlib
import math
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from transience import command
from transience.checkpoints import CheckpointWriter, schedule
from transience.cuda_graph import Replayed
from transience.errors import InputError
from transience.gradients import LossAndGradient
from transience.operations import round_to_tf32
from transience.resume import state_folder
from transience.tables import replacing, write_table
from transience.tasks import SequenceSampler, format_num_tasks, task_set
from transience.transformer import Architecture, initial_parameters, num_parameters

LOG_COLUMNS = ("step", "batch_loss", "learning_rate", "gradient_norm", "seconds")


@dataclass
class TrainingState:
    """All that the rest of a run depends on, and its log so far."""

    step: int  # optimiser steps taken
    vector: torch.Tensor  # flat parameters (P,)
    first_moment: torch.Tensor  # Adam's (P,)
    second_moment: torch.Tensor
    seconds: float = 0.0  # spent training, over all resumptions
    log: list[tuple[float, ...]] = field(default_factory=list)  # rows of LOG_COLUMNS

    @classmethod
    def initial(cls, vector: torch.Tensor) -> "TrainingState":
        """Start from initial parameters (P,)."""
        return cls(0, vector, torch.zeros_like(vector), torch.zeros_like(vector))

    def save(self, path: Path) -> None:
        """Write the state atomically: a crash leaves the one before it."""
        tensors = {
            "vector": self.vector,
            "first_moment": self.first_moment,
            "second_moment": self.second_moment,
            "log": torch.tensor(self.log, dtype=torch.float64).view(-1, len(LOG_COLUMNS)),
            "progress": torch.tensor([self.step, self.seconds], dtype=torch.float64),
        }
        with replacing(path) as temporary:
            save_file(tensors, temporary)

    @classmethod
    def load(cls, path: Path, device: torch.device) -> "TrainingState":
        """Read a saved state; SafetensorError if the file is damaged."""
        tensors = load_file(path, device=str(device))
        step, seconds = tensors.pop("progress").tolist()
        log = [tuple(row) for row in tensors.pop("log").tolist()]
        return cls(step=int(step), seconds=seconds, log=log, **tensors)


def learning_rate(step: int, *, learning_rate: float, warmup_steps: int) -> float:
    """Rate of the optimiser step after ``step`` steps: linear warm-up, then constant."""
    return learning_rate * min(1.0, (step + 1) / max(warmup_steps, 1))


def train(
    state: TrainingState,
    architecture: Architecture,
    *,
    tasks: torch.Tensor | None,
    seed: int,
    noise_variance: float,
    settings: dict[str, Any],
) -> Iterator[TrainingState]:
    """Train on from ``state`` and yield it (the same object, changed) after every step.

    Args:
        state: where to start; its device is where the work is done.
        architecture: the transformer.
        tasks: support T_M of the training distribution (M, D), or None for q_∞.
        seed: of the run; batches come from its stream "training".
        noise_variance: σ².
        settings: section `training` of the configuration.

    Raises:
        InputError: if the loss is not finite or above `divergence_loss`, checked whenever a row
            is logged.
    """
    device = state.vector.device
    batches = SequenceSampler(
        tasks=tasks, num_sequences=settings["batch_size"], noise_variance=noise_variance,
        num_examples=architecture.num_examples, task_dimension=architecture.task_dimension,
        device=device,
    )  # fmt: skip
    model = loss_and_gradient(architecture, settings["precision"], device)
    step = launch = Step(state, batches, model, settings)
    if device.type == "cuda":
        step.compile()
        launch = Replayed(step, batches.generators.values())
    rates = {key: settings[key] for key in ("learning_rate", "warmup_steps")}
    started = time.perf_counter() - state.seconds
    while state.step < settings["num_steps"]:
        batches.seed(seed, "training", state.step)
        rate = learning_rate(state.step, **rates)
        step.rate.fill_(rate)
        launch()
        state.step += 1
        if state.step % settings["log_every"] == 0 or state.step in (1, settings["num_steps"]):
            _log(state, step.losses, rate, started, settings["divergence_loss"])
        yield state


class Step:
    """Draw a batch, take the gradient, let Adam update the parameters, all on one device.

    What changes from call to call, learning rate and seeds, is set from outside and lies in tensors
    and generators, so that a GPU can replay the work.
    """

    def __init__(
        self,
        state: TrainingState,
        batches: SequenceSampler,
        evaluate: LossAndGradient,
        settings: dict[str, Any],
    ) -> None:
        """Take up the parameters and Adam's moments where ``state`` has them, to change them."""
        self.vector, self.batches, self.evaluate = state.vector, batches, evaluate
        on_gpu = state.vector.is_cuda  # whose Adam wants the rate in float32
        dtype = torch.float32 if on_gpu else torch.float64
        self.rate = torch.zeros((), dtype=dtype, device=state.vector.device)
        self.optimiser = _adam(state, self.rate, settings)

    def __call__(self) -> None:
        """Do one step, and leave the losses of its batch (B,) in ``losses``."""
        self.losses, self.vector.grad = self.evaluate(self.vector, *self.batches.draw())
        self.optimiser.step()

    def compile(self, backend: str = "inductor") -> None:
        """Fuse what lies between matrix products, by torch.compile."""
        batch = self.batches.draw()
        self.evaluate(self.vector, *batch)  # makes its work space, which is then compiled in
        self.evaluate = torch.compile(
            self.evaluate.__call__, fullgraph=True, dynamic=False, backend=backend
        )
        try:
            self.evaluate(self.vector, *batch)
        except torch._dynamo.exc.TorchDynamoException as error:
            raise InputError(
                f"the training step could not be compiled ({type(error).__name__}: "
                f"{' '.join(str(error).split())[:200]}); expected Triton and a C compiler. With "
                "TORCHDYNAMO_DISABLE=1 in the environment it runs uncompiled"
            ) from error


def loss_and_gradient(
    architecture: Architecture, precision: str, device: torch.device
) -> LossAndGradient:
    """Choose how a step computes: (vector, xs, ys) -> (losses (B,), gradient (P,)).

    tf32 and bf16 round the factors of the blocks' matrix products, bf16 their results too. Weights,
    gradients and what lies between the products stay float32. On a GPU either lets all other
    products use its tf32 units; a CPU has none and imitates their rounding.
    """
    on_gpu = device.type == "cuda"
    fast = on_gpu and precision != "float32"
    torch.set_float32_matmul_precision("high" if fast else "highest")
    rounding = {"bf16": torch.Tensor.bfloat16, "tf32": None if on_gpu else round_to_tf32}
    return LossAndGradient(architecture, rounding.get(precision))


def _adam(state: TrainingState, rate: torch.Tensor, settings: dict[str, Any]) -> torch.optim.Adam:
    """Adam over the one flat vector, in the state where it was left, at the rate in a tensor."""
    betas, on_gpu = (settings["beta1"], settings["beta2"]), state.vector.is_cuda
    optimiser = torch.optim.Adam(
        [state.vector], lr=rate, betas=betas, fused=True, capturable=on_gpu
    )
    optimiser.state[state.vector] = {
        "step": torch.tensor(float(state.step), device=state.vector.device),
        "exp_avg": state.first_moment,
        "exp_avg_sq": state.second_moment,
    }
    return optimiser


def _log(
    state: TrainingState,
    losses: torch.Tensor,
    rate: float,
    started: float,
    divergence_loss: float,
) -> None:
    """Add a row to the log, or raise if training diverged; waits for the device."""
    loss = losses.mean().item()
    norm = torch.linalg.vector_norm(state.vector.grad).item()
    state.seconds = time.perf_counter() - started
    if not (math.isfinite(norm) and loss <= divergence_loss):
        raise InputError(
            f"training diverged at step {state.step}: batch loss {loss:.4g}, gradient norm "
            f"{norm:.4g}; expected a loss below divergence_loss = {divergence_loss:g}. "
            "Lower training.learning_rate or lengthen training.warmup_steps"
        )
    state.log.append((state.step, loss, rate, norm, state.seconds))


# --- command ----------------------------------------------------------------------------------


def main() -> None:
    """Train one run: `python -m transience.training --help`."""
    parser = command.parser("Train one model and keep its checkpoints.")
    command.add_run_flags(parser)
    parser.add_argument("--state-dir", type=Path, required=True, help="where to keep its state")
    parser.add_argument("--save-state-every", type=float, default=60.0, metavar="SECONDS")
    parser.add_argument("--checkpoints", type=Path, required=True)
    parser.add_argument("--training", type=Path, required=True)
    args = parser.parse_args()
    device = command.use_resources(args)
    with _stop_signals() as stop:
        _run(args, device, stop)


def _run(args: Any, device: torch.device, stop: list[int]) -> None:
    task, settings = args.settings["task"], args.settings["training"]
    architecture = Architecture.from_settings(args.settings)
    steps = schedule(settings["num_steps"], **args.settings["checkpoints"])
    folder, state = _resume(args, architecture, device)
    metadata = command.provenance(args)
    size = num_parameters(architecture)
    writer = CheckpointWriter(folder / "checkpoints.partial", steps, size, metadata)
    if state.step == 0:
        writer.write(0, state.vector)
    name = f"train {args.variant} M={format_num_tasks(args.num_tasks)} seed={args.seed}"
    progress = command.Progress(settings["num_steps"], name, "step", done=state.step)
    tasks = task_set(args.seed, args.num_tasks, architecture.task_dimension)
    saved = time.monotonic()
    states = train(
        state, architecture, tasks=tasks, seed=args.seed,
        noise_variance=task["noise_variance"], settings=settings,
    )  # fmt: skip
    for _ in states:  # always `state`, one step further
        if state.step in writer.index:
            writer.write(state.step, state.vector)
        progress.update(state.step, f"loss {state.log[-1][1]:.3f}")
        if stop or time.monotonic() - saved > args.save_state_every:
            _save(folder, writer, state)
            saved = time.monotonic()
        if stop:
            print(f"stopped at step {state.step}; run again to go on from there", file=sys.stderr)
            sys.exit(128 + stop[0])
    _finish(args, writer, state, metadata)


def _resume(
    args: Any, architecture: Architecture, device: torch.device
) -> tuple[Path, TrainingState]:
    """Folder of the state of this very run, and where to start."""
    folder = state_folder(args, device)
    path = folder / "state.safetensors"
    if path.exists() and (folder / "checkpoints.partial").exists():
        try:
            state = TrainingState.load(path, device)
            print(f"resuming at step {state.step}", file=sys.stderr)
            return folder, state
        except (SafetensorError, KeyError, TypeError, ValueError):
            print(f"{path}: damaged; starting again at step 0", file=sys.stderr)
    (folder / "checkpoints.partial").unlink(missing_ok=True)
    return folder, TrainingState.initial(initial_parameters(architecture, args.seed).to(device))


def _save(folder: Path, writer: CheckpointWriter, state: TrainingState) -> None:
    writer.flush()  # first, so that a state never promises checkpoints that are not there
    state.save(folder / "state.safetensors")


def _finish(args: Any, writer: CheckpointWriter, state: TrainingState, metadata: dict) -> None:
    """Write the outputs, and only then give up the state."""
    import pandas as pd

    run = {"variant": args.variant, "num_tasks": args.num_tasks, "seed": args.seed}
    frame = pd.DataFrame(state.log, columns=list(LOG_COLUMNS)).astype({"step": "int64"})
    write_table(args.training, "training", frame.assign(**run), metadata)
    args.checkpoints.parent.mkdir(parents=True, exist_ok=True)
    writer.finish(args.checkpoints)
    shutil.rmtree(args.state_dir)


@contextlib.contextmanager
def _stop_signals() -> Iterator[list[int]]:
    """Note SIGTERM and SIGINT in the list instead of dying, so that the state can be saved."""
    received: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda received_number, _: received.append(received_number))
    yield received


if __name__ == "__main__":
    command.run(main)
