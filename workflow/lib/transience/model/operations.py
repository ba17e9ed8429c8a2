"""What a step does between matrix products, in PyTorch operations, for any device and dtype (ours).

`model.loss_and_gradient` writes every activation as features × tokens. In memory one row holds one
token here, which `native_layer_norm` and attention on a GPU want: results are transposed views.
`model.kernels` does the same for the CPU in float32, several times faster where models are small.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeAlias

import torch

from transience.model.transformer import LAYER_NORM_EPS, Architecture

# Rounds a factor of a matrix product, perhaps to another dtype
Rounding: TypeAlias = Callable[[torch.Tensor], torch.Tensor]


def round_to_tf32(x: torch.Tensor) -> torch.Tensor:
    """Round float32 numbers to the ten explicit bits of TensorFloat-32, ties to even."""
    bits = x.contiguous().view(torch.int32)
    return (bits + 0xFFF + (bits >> 13 & 1) & ~0x1FFF).view(torch.float32)


def product(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """Product of two matrices; in bfloat16, where PyTorch has none for this CPU, by float32's.

    Its own takes ten times as long there. Products of such numbers are exact in float32, so only
    the order differs in which they are added up: a result may differ in its last place.
    """
    if left.dtype == torch.bfloat16 and left.device.type == "cpu" and not _multiplies_bf16():
        return (left.float() @ right.float()).bfloat16()
    return left @ right


@cache
def _multiplies_bf16() -> bool:
    """Whether PyTorch's products in bfloat16 are those of a library that knows this processor."""
    known = torch.backends.mkldnn.is_available()
    return known and torch.ops.mkldnn._is_mkldnn_bf16_supported()


@dataclass
class Norm:
    """A LayerNorm's input and output, and what its backward pass needs."""

    total: torch.Tensor  # C N
    standardised: torch.Tensor  # C N: mean 0 and variance 1 in every column
    mean: torch.Tensor
    rstd: torch.Tensor  # 1 / standard deviation


@dataclass
class Embedded:
    """First block: residual stream, and queries, keys and values."""

    stack: torch.Tensor  # 4C N: h, then rstd (A·token + offset)
    mean: torch.Tensor
    rstd: torch.Tensor


class TorchOperations:
    """Operations on chunks of B sequences. Names, for buffers, are ignored: PyTorch allocates."""

    def __init__(
        self, architecture: Architecture, sequences: int, rounding: Rounding | None = None
    ) -> None:
        """Fix the architecture, B, and how factors of the blocks' matrix products are rounded."""
        self.architecture, self.sequences, self.rounding = architecture, sequences, rounding

    @staticmethod
    def fold_norm(
        weight: torch.Tensor, scale: torch.Tensor, shift: torch.Tensor,
        bias: torch.Tensor | None, scaled_rows: int, factor: float,
    ) -> tuple[torch.Tensor, torch.Tensor]:  # fmt: skip
        """Return W·g and Wβ + bias; both times ``factor`` in the first rows."""
        folded, folded_bias = weight * scale, torch.mv(weight, shift)
        if bias is not None:
            folded_bias += bias[: len(weight)]
        folded[:scaled_rows] *= factor
        folded_bias[:scaled_rows] *= factor
        return folded, folded_bias

    @staticmethod
    def unfold_norm(
        dweight: torch.Tensor, dscale: torch.Tensor, dshift: torch.Tensor, dbias: torch.Tensor,
        weight: torch.Tensor, scale: torch.Tensor, shift: torch.Tensor,
        scaled_rows: int, factor: float,
    ) -> None:  # fmt: skip
        """Turn the gradients G of W·g and s of Wβ into those of W (in place of G), g and β.

        ∂W = G·g + s βᵀ, ∂g = Σ_out G·W, ∂β = Wᵀ s.
        """
        factors = dbias.new_ones(len(dbias))
        factors[:scaled_rows] = factor
        dweight *= factors[:, None]
        torch.sum(dweight * weight, dim=0, out=dscale)
        torch.mv(weight.T, dbias * factors, out=dshift)
        torch.addcmul((dbias * factors)[:, None] * shift, dweight, scale, out=dweight)

    def linear(
        self, name: str, weight: torch.Tensor, x: torch.Tensor, *, exact: bool = False
    ) -> torch.Tensor:
        """Out I @ I N -> Out N; unless ``exact``, x is rounded as the weight has been before."""
        if exact or self.rounding is None:
            return (x.T @ weight.T).T
        return product(self.rounding(x.T), weight.T).T.to(x.dtype)

    def add_product(self, total: torch.Tensor, left: torch.Tensor, right: torch.Tensor) -> None:
        """Out I += Out N @ N I, right given as I N."""
        if self.rounding is None:
            total.addmm_(left, right.T)
        else:
            total += product(self.rounding(left), self.rounding(right).T)

    def tokens(self, xs: torch.Tensor, ys: torch.Tensor) -> torch.Tensor:
        """Columns of all x-tokens, then of all y-tokens, by position: V (2 K B)."""
        B, K, D = xs.shape
        columns = xs.new_zeros(D + 1, 2, K, B)
        columns[1:, 0] = xs.permute(2, 1, 0)
        columns[0, 1] = ys.T
        return columns.view(D + 1, -1)

    def embed(self, embedding: torch.Tensor, tokens: torch.Tensor) -> Embedded:
        """First block's h and scaled queries, keys and values; embedding is (V + T) 4C."""
        C, V, T = self._sizes()
        rows = tokens.T @ embedding[:V]  # N V @ V 4C
        rows.view(T, -1, 4 * C).add_(embedding[V:, None])
        _, mean, rstd = torch.native_layer_norm(rows[:, :C], (C,), None, None, LAYER_NORM_EPS)
        rows[:, C:] *= rstd
        return Embedded(rows.T, mean, rstd)

    def embed_backward(
        self, dq: torch.Tensor, dkv: torch.Tensor, dskip: torch.Tensor, saved: Embedded,
        bias: torch.Tensor, doffsets: torch.Tensor,
    ) -> torch.Tensor:  # fmt: skip
        """Gradient before `embed`, 4C N; add that of the offsets to ``doffsets``, T 4C.

        With s = rstd ∂rstd = Σ ∂qkv·qkv: ∂h = ∂skip - x̂ rstd s / C.
        """
        (C, _, T), n = self._sizes(), dq.shape[1]
        h, qkv = saved.stack.T.split([C, 3 * C], dim=1)
        drows = torch.cat([torch.zeros_like(h[:, : 2 * C]).repeat(1, 2), dkv.T], dim=1)
        drows[:n, C : 2 * C] = dq.T
        products = (drows[:, C:] * qkv).sum(dim=1, keepdim=True)
        drows *= saved.rstd
        drows[:, :C] = (h - saved.mean) * (saved.rstd.square() * products / -C)
        drows[:n, :C] += dskip.T
        doffsets += drows.view(T, -1, 4 * C).sum(dim=1)
        return drows.T

    def add_standardise(
        self, name: str, a: torch.Tensor, b: torch.Tensor, bias: torch.Tensor | None
    ) -> Norm:
        """Sum of a, b and bias, and the sum with mean 0 and variance 1 in every column."""
        rows = a.T + b.T
        if bias is not None:
            rows += bias
        out, mean, rstd = torch.native_layer_norm(rows, rows.shape[1:], None, None, LAYER_NORM_EPS)
        return Norm(rows.T, out.T, mean, rstd)

    def norm_backward(
        self, name: str, gradient: torch.Tensor, norm: Norm, dskip: torch.Tensor | None
    ) -> torch.Tensor:
        """Gradient of a norm's input; dskip is added to as many columns as it has."""
        out = torch.ops.aten.native_layer_norm_backward(
            gradient.T.contiguous(), norm.total.T, gradient.shape[:1], norm.mean, norm.rstd,
            None, None, (True, False, False),
        )[0]  # fmt: skip
        if dskip is not None:
            out[: dskip.shape[1]] += dskip.T
        return out.T

    def rectify(self, hidden: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
        """ReLU of hidden + bias, in place."""
        return hidden.add_(bias[:, None]).relu_()

    def rectify_backward(
        self, gradient: torch.Tensor, hidden: torch.Tensor, dbias: torch.Tensor
    ) -> torch.Tensor:
        """Gradient before the ReLU; add that of the bias to ``dbias``."""
        gradient = torch.ops.aten.threshold_backward(gradient, hidden, 0)
        dbias += gradient.sum(dim=1)
        return gradient

    def add_row_sums(self, sums: torch.Tensor, matrix: torch.Tensor) -> None:
        """Add every row's sum to ``sums``."""
        sums += matrix.sum(dim=1)

    def attention(
        self, layer: int, q: torch.Tensor, kv: torch.Tensor, bias: torch.Tensor
    ) -> tuple[torch.Tensor, Any]:
        """Mixed values C (S B) of queries C (S B) and keys and values 2C (T B)."""
        C = self.architecture.width
        q = self._heads(q + bias[:C, None])  # B H S d
        k, v = (self._heads(part) for part in kv.split(C))
        mask = _causal_mask(self.architecture.num_examples, q)[: q.shape[2]]
        weights = (q @ k.mT + mask).softmax(dim=-1)  # B H S d @ B H d T -> B H S T
        mixed = self._features(weights @ v) + bias[2 * C :, None]
        return mixed, (q, k, v, weights)

    def attention_backward(
        self, dmixed: torch.Tensor, saved: Any, dbias: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Gradients of queries and of keys and values; add those of the biases to ``dbias``."""
        q, k, v, weights = saved
        dbias[2 * self.architecture.width :] += dmixed.sum(dim=1)
        dmixed = self._heads(dmixed)
        dweights = dmixed @ v.mT  # B H S d @ B H d T -> B H S T
        dscores = torch._softmax_backward_data(dweights, weights, -1, weights.dtype)
        dkv = [self._features(dscores.mT @ q), self._features(weights.mT @ dmixed)]
        dq = self._features(dscores @ k)
        dbias[: self.architecture.width] += dq.sum(dim=1)
        return dq, torch.cat(dkv)

    def _sizes(self) -> tuple[int, int, int]:
        """Width C, token width V and tokens T of the architecture."""
        return self.architecture.width, self.architecture.token_width, self.architecture.num_tokens

    def _heads(self, x: torch.Tensor) -> torch.Tensor:
        """C (S B) -> B H S d."""
        d, S = self.architecture.width // self.architecture.num_heads, x.shape[1] // self.sequences
        return x.T.reshape(S, self.sequences, -1, d).permute(1, 2, 0, 3)

    def _features(self, heads: torch.Tensor) -> torch.Tensor:
        """B H S d -> C (S B)."""
        return heads.permute(2, 0, 1, 3).reshape(-1, self.architecture.width).T


def _causal_mask(K: int, like: torch.Tensor) -> torch.Tensor:
    """0 where a query may look and -∞ in its future, x-tokens first: T T."""
    time = torch.arange(2 * K, device=like.device).view(K, 2).T.reshape(-1)
    return like.new_zeros(2 * K, 2 * K).masked_fill(time > time[:, None], -math.inf)
