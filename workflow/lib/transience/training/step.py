"""One optimiser step, in a form that a CPU runs as it is and a GPU can replay."""

import inspect
import math
import re
import warnings

import torch

from transience.errors import InputError
from transience.model.autograd import AutogradLossAndGradient
from transience.model.loss_and_gradient import LossAndGradient
from transience.model.operations import round_to_tf32
from transience.model.transformer import Architecture, initial_parameters, parameter_shapes
from transience.problem.tasks import SequenceSampler
from transience.training import self_check
from transience.training.arithmetic import products
from transience.training.settings import PhaseSettings, TrainingSettings
from transience.training.state import TrainingState

# Steps of many architectures in one process would meet a limit of recompilations, which PyTorch
# before 2.13 sets for all of them together.
ISOLATED = dict.fromkeys(
    {"isolate_recompiles"} & inspect.signature(torch.compile).parameters.keys(), True
)

# Kernels not by their time in a trial, else a resumed run might round as no other does. No
# reductions of mixed order: from PyTorch 2.10 on they can leave the gradients of norms unwritten
# (pytorch issue 193061; seen in float32 and tf32 on an H200, with losses that were right).
INDUCTOR = {"deterministic": True, "triton.mix_order_reduction": False}

# Names of the parameters that decay, where not all do.
DECAYING = {"mlp": r"\.mlp_(in|out)\.weight$", "attention": r"\.(qkv|output_projection)$"}


class Step:
    """Draw a batch, take the gradient, let Adam update the parameters, all on one device.

    What changes from call to call, learning rate and seeds, is set from outside and lies in tensors
    and generators, so that a GPU can replay the work.
    """

    def __init__(
        self,
        state: TrainingState,
        batches: SequenceSampler,
        evaluate: LossAndGradient | AutogradLossAndGradient,
        settings: TrainingSettings,
        decay: torch.Tensor | None = None,
    ) -> None:
        """Take up the parameters and Adam's moments where ``state`` has them, to change them.

        ``decay`` (P,) is the decoupled weight decay of each parameter; None is none.
        """
        self.vector, self.batches, self.evaluate = state.vector, batches, evaluate
        self.architecture, self.precision = evaluate.architecture, settings.precision
        self.decay = decay
        on_gpu = state.vector.is_cuda
        self.tf32 = uses_tf32(settings.precision, state.vector.device)
        dtype = torch.float32 if on_gpu else torch.float64  # as a GPU's Adam wants it
        self.rate = torch.zeros((), dtype=dtype, device=state.vector.device)
        self.optimiser = _adam(state, self.rate, settings)

    def __call__(self) -> None:
        """Do one step, and leave the losses of its batch (B,) in ``losses``."""
        with products(tf32=False):  # labels too are products
            batch = self.batches.draw()
        with products(tf32=self.tf32):
            self.losses, self.vector.grad = self.evaluate(self.vector, *batch)
        if self.decay is not None:
            self.vector.mul_(1 - self.rate.to(self.vector) * self.decay)
        self.optimiser.step()

    def compile(self, backend: str = "inductor") -> None:
        """Fuse what lies between matrix products, by torch.compile; see that it is right."""
        batch = self.batches.draw()
        start = initial_parameters(self.architecture, seed=0).to(self.vector)
        chosen = {"options": INDUCTOR} if backend == "inductor" else {}
        self.evaluate = torch.compile(
            self.evaluate.__call__, fullgraph=True, dynamic=False, backend=backend,
            **chosen, **ISOLATED,
        )  # fmt: skip
        try:
            with warnings.catch_warnings(), products(tf32=self.tf32):
                warnings.simplefilter("default")  # where all are errors, compilation would fail
                warnings.simplefilter("ignore", DeprecationWarning)
                warnings.filterwarnings("ignore", "TensorFloat32")  # `precision` says if it is on
                found = self.evaluate(start, *batch)
        except torch._dynamo.exc.TorchDynamoException as error:
            raise InputError(
                f"the training step could not be compiled ({type(error).__name__}: "
                f"{' '.join(str(error).split())[:200]}); expected Triton and a C compiler. With "
                "TORCHDYNAMO_DISABLE=1 in the environment it runs uncompiled"
            ) from error
        exact = self_check.in_float64(self.architecture, start, *batch)
        self_check.check(found, exact, self.precision, self.architecture)


def loss_and_gradient(
    architecture: Architecture, precision: str, device: torch.device
) -> LossAndGradient | AutogradLossAndGradient:
    """Choose how a step computes: (vector, xs, ys) -> (losses (B,), gradient (P,)).

    On a CPU, tf32 and bf16 round the factors of the blocks' matrix products, bf16 their results
    too; what lies between the products stays float32. On a GPU, bf16 is the dtype of activations
    too, to which weights and gradients are rounded, and in tf32 all products use such units
    (`arithmetic`). Weights, gradients and Adam's moments are kept in float32 in any case.
    """
    if device.type == "cuda":
        dtype = torch.bfloat16 if precision == "bf16" else None
        return AutogradLossAndGradient(architecture, dtype)
    rounding = {"bf16": torch.Tensor.bfloat16, "tf32": round_to_tf32}
    return LossAndGradient(architecture, rounding.get(precision))


def decay_of(phase: PhaseSettings, architecture: Architecture) -> torch.Tensor | None:
    """Weight decay of each parameter (P,) in a phase; None where there is none."""
    if not phase.weight_decay:
        return None
    part = DECAYING.get(phase.weight_decay_of, "")
    return torch.cat(
        [
            torch.full((math.prod(shape),), phase.weight_decay if re.search(part, name) else 0.0)
            for name, shape in parameter_shapes(architecture).items()
        ]
    )


def uses_tf32(precision: str, device: torch.device) -> bool:
    """Whether products that a step leaves in float32 use the units of a GPU for tf32."""
    return device.type == "cuda" and precision != "float32"


def _adam(state: TrainingState, rate: torch.Tensor, settings: TrainingSettings) -> torch.optim.Adam:
    """Adam over the one flat vector, in the state where it was left, at the rate in a tensor."""
    betas, on_gpu = (settings.beta1, settings.beta2), state.vector.is_cuda
    optimiser = torch.optim.Adam(
        [state.vector], lr=rate, betas=betas, fused=True, capturable=on_gpu
    )
    optimiser.state[state.vector] = {
        "step": torch.tensor(float(state.step), device=state.vector.device),
        "exp_avg": state.first_moment,
        "exp_avg_sq": state.second_moment,
    }
    return optimiser
