"""The transformer's loss and its gradient for a GPU: by autograd, to be compiled (ours).

Computes the function of `model.transformer.sequence_losses` and the gradient of its mean. At the
paper's width a GPU waits for its memory, so what counts is how many bytes move
(workflow/docs/speed.md has the measurements behind each choice):

- activations have the dtype of the products, and `torch.compile` fuses what lies between them;
- attention is PyTorch's fused one. It works on tiles of 128 tokens, so short sequences share one,
  kept apart by a mask;
- the last block is evaluated at the x-tokens only, and the head for its one used coordinate.

Symbols: B sequences of T = 2K tokens, C width, V = D + 1, H heads of width d.
"""

import math

import torch
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel

from transience.model.transformer import (
    Architecture,
    norm,
    of_block,
    parameter_shapes,
    tokens,
    unflatten,
)

Tensors = dict[str, torch.Tensor]

TILE = 128  # tokens that share a tile of attention
# Of those that take a mask, the fastest first: on a GPU cuDNN's in bfloat16, products and softmax
# in float32. PyTorch's memory-efficient one was slower in bfloat16 (torch 2.11, H200).
BACKENDS = [SDPBackend.CUDNN_ATTENTION, SDPBackend.FLASH_ATTENTION, SDPBackend.MATH]


class AutogradLossAndGradient:
    """Loss and gradient of one architecture at any flat parameter vector, on any device."""

    def __init__(self, architecture: Architecture, dtype: torch.dtype | None = None) -> None:
        """Fix the architecture, and the dtype of products and activations.

        None is that of the parameters. These are rounded to it, and so is their gradient, which is
        returned in their own; labels, the product with the head and the loss keep theirs.
        """
        self.architecture, self.dtype = architecture, dtype

    def __call__(
        self, vector: torch.Tensor, xs: torch.Tensor, ys: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return each sequence's loss (B,) and the gradient (P,) of their mean.

        Args:
            vector: flat parameters (P,), see `transformer.parameter_shapes`.
            xs: inputs (B, K, D).
            ys: labels (B, K).
        """
        rounded = vector.detach().to(self.dtype or vector.dtype)
        parameters = unflatten(rounded, self.architecture)
        gradients, losses = torch.func.grad(self._mean_loss, has_aux=True)(parameters, xs, ys)
        flat = [gradients[name].flatten() for name in parameter_shapes(self.architecture)]
        return losses, torch.cat(flat).to(vector.dtype)

    def _mean_loss(
        self, parameters: Tensors, xs: torch.Tensor, ys: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        losses = (self._predict(parameters, xs, ys) - ys).square().mean(dim=1)
        return losses.mean(), losses

    def _predict(self, w: Tensors, xs: torch.Tensor, ys: torch.Tensor) -> torch.Tensor:
        """Predict every label from the examples before it: (B, K), as `transformer.predict`."""
        embedding = w["token_embedding"]
        h = tokens(xs, ys).to(embedding.dtype) @ embedding.T  # B T V @ V C -> B T C
        h = h + w["position_embedding"]
        last = self.architecture.num_layers - 1
        for layer in range(self.architecture.num_layers):
            h = self._block(of_block(w, layer), h, step=2 if layer == last else 1)
        head, bias = w["head.weight"][0].to(ys.dtype), w["head.bias"][0]
        return (norm(h, w, "final_norm") * head).sum(dim=-1) + bias  # B K C, C -> B K

    def _block(self, w: Tensors, h: torch.Tensor, step: int) -> torch.Tensor:
        """Residual stream after a block at every ``step``-th token: B T/step C."""
        update = self._attention(w, norm(h, w, "attention_norm"), step)
        if self.architecture.output_projection:
            update = update @ w["output_projection"].T
        h = h[:, ::step]
        after = h + update
        hidden = norm(after, w, "mlp_norm") @ w["mlp_in.weight"].T + w["mlp_in.bias"]
        after = after + functional.relu(hidden) @ w["mlp_out.weight"].T + w["mlp_out.bias"]
        return h + after if self.architecture.doubled_residual else after

    def _attention(self, w: Tensors, h: torch.Tensor, step: int) -> torch.Tensor:
        """Mixed values of every ``step``-th token, B T/step C."""
        (B, T, C), heads = h.shape, self.architecture.num_heads
        shared = math.gcd(B, max(1, TILE // T))  # sequences in a tile
        n, tile = B // shared, shared * T
        if step == 1:
            parts = (h @ w["qkv"].T).view(n, tile, 3, heads, C // heads).unbind(2)
        else:
            q = (h[:, ::step] @ w["qkv"][:C].T).view(n, tile // step, heads, C // heads)
            parts = q, *(h @ w["qkv"][C:].T).view(n, tile, 2, heads, C // heads).unbind(2)
        q, k, v = (part.transpose(1, 2) for part in parts)  # n H tile d
        with sdpa_kernel(BACKENDS, set_priority=True):
            mixed = functional.scaled_dot_product_attention(q, k, v, _mask(tile, T, step, q))
        return mixed.transpose(1, 2).reshape(B, -1, C)


def _mask(tile: int, T: int, step: int, like: torch.Tensor) -> torch.Tensor:
    """0 where a query may look, -∞ in its future and in other sequences: tile/step × tile."""
    key = torch.arange(tile, device=like.device)
    query = key[::step, None]
    seen = (query // T == key // T) & (query >= key)
    return like.new_zeros(seen.shape).masked_fill(~seen, -math.inf)
