"""The in-context transformer as a pure function of one flat parameter vector.

Architecture (lineage: Hoogland et al. 2024, arXiv 2402.02364; the paper's size is its section 3):
2K tokens of width D+1, alternating an x-token [0, x_k] and a y-token [y_k, 0, …, 0]; a bias-free
linear embedding plus learned positions; pre-LayerNorm blocks of causal attention (one bias-free
QKV map, scale 1/√(head width), optionally an output projection W_O) and a ReLU MLP; a final
LayerNorm and a linear head with bias. The prediction of y_k is coordinate 0 of the output at the
k-th x-token, which has seen k-1 complete examples and x_k.

`predict` is the readable definition. `loss_and_gradient` computes the same function faster.
"""

import math
from dataclasses import dataclass

import torch
from torch.nn import functional

from transience.model.settings import ModelSettings
from transience.problem.randomness import generator
from transience.problem.settings import TaskSettings

LAYER_NORM_EPS = 1e-5  # PyTorch's default


@dataclass(frozen=True)
class Architecture:
    """Sizes and switches that fix the function computed by the transformer."""

    task_dimension: int  # D
    num_examples: int  # K
    width: int  # C, embedding width
    num_layers: int
    num_heads: int
    mlp_width: int
    output_projection: bool  # W_O after the attention heads
    doubled_residual: bool  # the earlier code's h + block(h), where block(h) already returns h + …

    @classmethod
    def of(cls, task: TaskSettings, model: ModelSettings) -> "Architecture":
        """Take the sizes of a problem and the switches of a model."""
        sizes = task.model_dump(include={"task_dimension", "num_examples"})
        return cls(**sizes, **model.model_dump())

    @property
    def num_tokens(self) -> int:
        """Tokens in a sequence, T = 2K."""
        return 2 * self.num_examples

    @property
    def token_width(self) -> int:
        """Width of a token, D + 1."""
        return self.task_dimension + 1


def parameter_shapes(architecture: Architecture) -> dict[str, tuple[int, ...]]:
    """Name and shape of every parameter, in the order in which they lie in the flat vector."""
    C, H, V = architecture.width, architecture.mlp_width, architecture.token_width
    shapes: dict[str, tuple[int, ...]] = {
        "token_embedding": (C, V),
        "position_embedding": (architecture.num_tokens, C),
    }
    for layer in range(architecture.num_layers):
        block: dict[str, tuple[int, ...]] = {
            "attention_norm.weight": (C,),
            "attention_norm.bias": (C,),
            "qkv": (3 * C, C),
        }
        if architecture.output_projection:
            block["output_projection"] = (C, C)
        block |= {
            "mlp_norm.weight": (C,),
            "mlp_norm.bias": (C,),
            "mlp_in.weight": (H, C),
            "mlp_in.bias": (H,),
            "mlp_out.weight": (C, H),
            "mlp_out.bias": (C,),
        }
        shapes |= {f"layers.{layer}.{name}": shape for name, shape in block.items()}
    return shapes | {
        "final_norm.weight": (C,),
        "final_norm.bias": (C,),
        "head.weight": (V, C),
        "head.bias": (V,),
    }


def num_parameters(architecture: Architecture) -> int:
    """Length P of the flat parameter vector."""
    return sum(math.prod(shape) for shape in parameter_shapes(architecture).values())


def unflatten(vector: torch.Tensor, architecture: Architecture) -> dict[str, torch.Tensor]:
    """View a flat vector (…, P) as named parameters; writing to a view writes to the vector."""
    views, start = {}, 0
    for name, shape in parameter_shapes(architecture).items():
        end = start + math.prod(shape)
        views[name] = vector[..., start:end].view(*vector.shape[:-1], *shape)
        start = end
    return views


def initial_parameters(architecture: Architecture, seed: int) -> torch.Tensor:
    """Draw the flat parameter vector (P,) as PyTorch's default `nn.Linear` and `nn.LayerNorm` do.

    Weights and biases of a linear map are uniform in ±1/√(inputs); LayerNorms start at 1 and 0.
    The position embedding counts as a linear map with one input per position (lineage). The
    draws depend on the seed alone, so all task diversities start from the same point.
    """
    vector = torch.empty(num_parameters(architecture))
    named = unflatten(vector, architecture)
    stream = generator(seed, "initial parameters")
    for name, view in named.items():
        if "norm" in name:
            view.fill_(1.0 if name.endswith("weight") else 0.0)
            continue
        if name == "position_embedding":
            fan_in = architecture.num_tokens
        else:  # a bias has the fan-in of its weight
            fan_in = named[name.replace("bias", "weight")].shape[-1]
        bound = 1 / math.sqrt(fan_in)
        view.uniform_(-bound, bound, generator=stream)
    return vector


def tokens(xs: torch.Tensor, ys: torch.Tensor) -> torch.Tensor:
    """Interleave x-tokens [0, x_k] and y-tokens [y_k, 0, …]: (B, K, D), (B, K) -> (B, 2K, D+1)."""
    B, K, D = xs.shape
    interleaved = xs.new_zeros(B, K, 2, D + 1)
    interleaved[:, :, 0, 1:] = xs
    interleaved[:, :, 1, 0] = ys
    return interleaved.view(B, 2 * K, D + 1)


def predict(
    parameters: dict[str, torch.Tensor],
    xs: torch.Tensor,
    ys: torch.Tensor,
    architecture: Architecture,
) -> torch.Tensor:
    """Predict every y_k from the examples before it and x_k.

    Args:
        parameters: named tensors, see `parameter_shapes`.
        xs: inputs (B, K, D).
        ys: labels (B, K); the last one is never looked at.

    Returns:
        Predictions (B, K), in the units of y.
    """
    h = tokens(xs, ys) @ parameters["token_embedding"].T  # B T V @ V C -> B T C
    h = h + parameters["position_embedding"]
    for layer in range(architecture.num_layers):
        block = of_block(parameters, layer)
        after = h + _attention(norm(h, block, "attention_norm"), block, architecture)
        after = after + _mlp(norm(after, block, "mlp_norm"), block)
        h = h + after if architecture.doubled_residual else after
    h = norm(h, parameters, "final_norm")
    outputs = h @ parameters["head.weight"].T + parameters["head.bias"]  # B T C @ C V -> B T V
    return outputs[:, 0::2, 0]  # coordinate 0 at the x-tokens: B K


def sequence_losses(
    parameters: dict[str, torch.Tensor],
    xs: torch.Tensor,
    ys: torch.Tensor,
    architecture: Architecture,
) -> torch.Tensor:
    """Squared error of each sequence, averaged over the K positions: (B,). Paper, section 3."""
    return (predict(parameters, xs, ys, architecture) - ys).square().mean(dim=-1)


def of_block(parameters: dict[str, torch.Tensor], layer: int) -> dict[str, torch.Tensor]:
    """Parameters of one block, by their names within it."""
    prefix = f"layers.{layer}."
    return {k.removeprefix(prefix): v for k, v in parameters.items() if k.startswith(prefix)}


def norm(h: torch.Tensor, parameters: dict[str, torch.Tensor], name: str) -> torch.Tensor:
    """LayerNorm of h (…, C) with the weight and bias of that name."""
    weight, bias = parameters[f"{name}.weight"], parameters[f"{name}.bias"]
    return functional.layer_norm(h, h.shape[-1:], weight, bias, LAYER_NORM_EPS)


def _attention(
    h: torch.Tensor, block: dict[str, torch.Tensor], architecture: Architecture
) -> torch.Tensor:
    B, T, C = h.shape
    heads = architecture.num_heads
    q, k, v = (h @ block["qkv"].T).view(B, T, 3, heads, C // heads).permute(2, 0, 3, 1, 4)
    scores = q @ k.transpose(-1, -2) / math.sqrt(C // heads)  # B H T d @ B H d T -> B H T T
    future = torch.ones(T, T, dtype=torch.bool, device=h.device).triu(1)
    weights = scores.masked_fill(future, -math.inf).softmax(dim=-1)
    mixed = (weights @ v).transpose(1, 2).reshape(B, T, C)  # B H T T @ B H T d -> B T C
    return mixed @ block["output_projection"].T if architecture.output_projection else mixed


def _mlp(h: torch.Tensor, block: dict[str, torch.Tensor]) -> torch.Tensor:
    hidden = functional.relu(h @ block["mlp_in.weight"].T + block["mlp_in.bias"])
    return hidden @ block["mlp_out.weight"].T + block["mlp_out.bias"]
