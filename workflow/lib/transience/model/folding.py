"""Parameters of the transformer as its fast computation wants them, and the way back (ours).

Exact identities make the activations cheaper at the price of small weight-sized products:

- The affine part of a LayerNorm folds into the linear map W behind it: with standardised x̂,
  W (g·x̂ + β) = (W·g) x̂ + Wβ. So does the factor 1/√(head width) of the attention scores.
- A bias of the keys adds the same to all scores of a query, which the softmax removes. A bias of
  the values adds itself to what attention returns, since the weights add up to one.
- The first block sees h = E·token + position, which has D+1 free coordinates and T offsets. With
  C = centring, x̂ = rstd (CE·token + C position), so its queries, keys and values are
  rstd (A·token + offset) + bias with A = W CE of shape (3C, D+1): no C×C product per token.

`fold` maps raw to folded parameters; `unfold` maps gradients of the folded to those of the raw
ones. Both are checked against autograd.
"""

import itertools
import math

import torch

from transience.model.operations import TorchOperations
from transience.model.transformer import Architecture, unflatten

Tensors = dict[str, torch.Tensor]


def fold(parameters: Tensors, architecture: Architecture, ops: type[TorchOperations]) -> Tensors:
    """Return the parameters, folded, by their raw names and a few more.

    `embedding` (V + T, 4C) holds a row for every coordinate of a token and every position, of what
    it adds to h, queries, keys and values of the first block; positions come in the order of
    activations, x-tokens first. `layers.*.qkv_bias` (3C,) has no use for its middle part. `head`
    (1, C) and `head_bias` (1,) are all that the predictions need.
    """
    folded = dict(parameters)
    for layer in range(architecture.num_layers):
        p = f"layers.{layer}."
        folded[p + "qkv"], folded[p + "qkv_bias"] = ops.fold_norm(
            *_norm_and_map(parameters, p + "attention_norm", p + "qkv"),
            None, *_scaled(architecture),
        )  # fmt: skip
        folded[p + "mlp_in.weight"], folded[p + "mlp_in.bias"] = ops.fold_norm(
            *_norm_and_map(parameters, p + "mlp_norm", p + "mlp_in.weight"),
            parameters[p + "mlp_in.bias"], 0, 1.0,
        )  # fmt: skip
    folded["head"], folded["head_bias"] = ops.fold_norm(
        *_final_norm_and_head(parameters), parameters["head.bias"], 0, 1.0
    )
    K = architecture.num_examples
    position = parameters["position_embedding"].view(K, 2, -1).transpose(0, 1).reshape(2 * K, -1)
    embedding = torch.cat([parameters["token_embedding"].T, position])  # (V + T) C
    folded["centred"] = embedding - embedding.mean(dim=1, keepdim=True)
    through = folded["centred"] @ folded["layers.0.qkv"].T  # (V + T) C @ C 3C
    folded["embedding"] = torch.cat([embedding, through], dim=1)
    return folded


def gradient_buffers(
    architecture: Architecture, like: torch.Tensor
) -> tuple[torch.Tensor, Tensors]:
    """One buffer, and views of it where gradients of folded parameters are added up.

    The first P numbers are a flat gradient of the raw parameters once `unfold` is through. What
    follows is aligned, as a GPU wants it: P is odd.
    """
    C, P = architecture.width, len(like)
    rows = architecture.token_width + architecture.num_tokens
    sizes = [rows * 4 * C] + [3 * C] * architecture.num_layers
    starts = list(itertools.accumulate(map(_aligned, sizes), initial=_aligned(P)))
    flat = like.new_zeros(starts[-1])
    parts = [flat[start : start + size] for start, size in zip(starts, sizes, strict=False)]
    sums = unflatten(flat[:P], architecture)
    sums["embedding"] = parts[0].view(rows, 4 * C)
    for layer, bias in enumerate(parts[1:]):
        sums[f"layers.{layer}.qkv_bias"] = bias
    return flat, sums | {"head": sums["head.weight"][:1], "head_bias": sums["head.bias"][:1]}


def _aligned(count: int) -> int:
    """This count of float32 numbers or the next that ends at a multiple of 16 bytes."""
    return -(-count // 4) * 4


def unfold(
    sums: Tensors,
    folded: Tensors,
    parameters: Tensors,
    architecture: Architecture,
    ops: type[TorchOperations],
) -> None:
    """Turn gradients of the folded parameters into those of the raw ones, in place."""
    _unfold_embedding(sums, folded, architecture)
    for layer in range(architecture.num_layers):
        p = f"layers.{layer}."
        for norm, name, bias, scaled in (
            ("attention_norm", "qkv", "qkv_bias", _scaled(architecture)),
            ("mlp_norm", "mlp_in.weight", "mlp_in.bias", (0, 1.0)),
        ):
            ops.unfold_norm(
                *_norm_and_map(sums, p + norm, p + name), sums[p + bias],
                *_norm_and_map(parameters, p + norm, p + name), *scaled,
            )  # fmt: skip
    ops.unfold_norm(
        *_final_norm_and_head(sums), sums["head_bias"], *_final_norm_and_head(parameters), 0, 1.0
    )


def _unfold_embedding(sums: Tensors, folded: Tensors, architecture: Architecture) -> None:
    """Write the gradients of the embeddings and of the first block's folded QKV map."""
    C, V, K = architecture.width, architecture.token_width, architecture.num_examples
    direct, through = sums["embedding"].split([C, 3 * C], dim=1)
    torch.mm(through.T, folded["centred"], out=sums["layers.0.qkv"])  # 3C (V + T) @ (V + T) C
    gradient = through @ folded["layers.0.qkv"]  # (V + T) 3C @ 3C C
    gradient += direct - gradient.mean(dim=1, keepdim=True)
    sums["token_embedding"].copy_(gradient[:V].T)
    position = gradient[V:].view(2, K, C).transpose(0, 1)
    sums["position_embedding"].view(K, 2, C).copy_(position)


def _norm_and_map(tensors: Tensors, norm: str, name: str) -> tuple[torch.Tensor, ...]:
    return tensors[name], tensors[norm + ".weight"], tensors[norm + ".bias"]


def _final_norm_and_head(tensors: Tensors) -> tuple[torch.Tensor, ...]:
    weight = tensors["head.weight"][:1]  # the prediction is coordinate 0
    return weight, tensors["final_norm.weight"], tensors["final_norm.bias"]


def _scaled(architecture: Architecture) -> tuple[int, float]:
    """The scale of attention scores goes to the rows of the queries."""
    return architecture.width, 1 / math.sqrt(architecture.width // architecture.num_heads)
