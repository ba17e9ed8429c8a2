"""The transformer's loss and its gradient, derived by hand for speed (ours).

Computes the function of `model.transformer.sequence_losses` and the gradient of its mean without
autograd. Cheaper than the same mathematics written with `torch.nn`, because

- the last block is evaluated at the x-tokens only, and the head for its one used coordinate;
- LayerNorms and the first block's QKV map are folded into smaller maps (`model.folding`);
- sequences go through in chunks whose activations stay in the cache;
- on the CPU in float32, fused kernels do what lies between the matrix products (`model.kernels`;
  elsewhere `model.operations`).

This module is the only door to the kernels: what a step costs with them and without is measured in
workflow/docs/speed.md.

Symbols: B sequences of T = 2K tokens, C width, V = D + 1. Activations are matrices with one row a
feature and one column a token; a column's number is token · B + sequence, x-tokens before
y-tokens. So the N = T B columns begin with the n = K B of the x-tokens.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch

from transience.model.folding import Tensors, fold, gradient_buffers, unfold
from transience.model.operations import Norm, Rounding, TorchOperations
from transience.model.transformer import Architecture, unflatten

# Masks by chunk of sequences and by block, see `LossAndGradient.gates`
Gates: TypeAlias = list[list[torch.Tensor]]

CHUNK_ELEMENTS = 2**16  # elements of one activation matrix in a chunk, see tests/benchmarks


class LossAndGradient:
    """Loss, gradient and predictions of one architecture at any flat parameter vector.

    Keeps its work space, so an instance serves one thread.
    """

    def __init__(self, architecture: Architecture, rounding: Rounding | None = None) -> None:
        """Fix the architecture; device and dtype are those of the tensors passed later.

        ``rounding`` is applied to the factors of the blocks' matrix products. With
        torch.Tensor.bfloat16 their results are rounded too; all the rest, sums over chunks
        included, stays in the dtype of the tensors.
        """
        self.architecture, self.rounding = architecture, rounding
        sequences = CHUNK_ELEMENTS // (architecture.num_tokens * architecture.width)
        self.chunk = max(16, sequences // 16 * 16)  # kernels take 16 sequences at a time
        self._operations: dict[tuple, Any] = {}
        self._sums: dict[tuple, tuple[torch.Tensor, Tensors]] = {}
        self._vector, self._parameters = torch.empty(0), {}

    @torch.no_grad()
    def __call__(
        self,
        vector: torch.Tensor,
        xs: torch.Tensor,
        ys: torch.Tensor,
        gates: Gates | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return each sequence's loss (B,) and the gradient (P,) of their mean.

        Args:
            vector: flat parameters (P,), see `transformer.parameter_shapes`.
            xs: inputs (B, K, D).
            ys: labels (B, K).
            gates: of `gates`, to hold every ReLU open or shut as it was found there.
        """
        architecture, ops = self.architecture, _operations_for(vector)
        parameters = self._named(vector)
        folded = fold(parameters, architecture, ops)
        flat, sums = self._zeros_like(vector)
        losses = []
        for number, (steps, x, y) in enumerate(self._chunks(folded, xs, ys)):
            steps.gates = gates[number] if gates else None
            predictions = steps.forward(x, y)  # K B, and columns that pad B
            padding = predictions.shape[1] - len(y)
            errors = torch.nn.functional.pad(predictions[:, : len(y)] - y.T, (0, padding))
            losses.append(errors[:, : len(y)].square().mean(dim=0))
            steps.backward(errors.mul_(2 / ys.numel()).view(-1), sums)
        unfold(sums, folded, parameters, architecture, ops)
        return torch.cat(losses), flat[: len(vector)].clone()

    @torch.no_grad()
    def predict(self, vector: torch.Tensor, xs: torch.Tensor, ys: torch.Tensor) -> torch.Tensor:
        """Predict every label from the examples before it: (B, K), as `transformer.predict`."""
        folded = fold(self._named(vector), self.architecture, _operations_for(vector))
        chunks = self._chunks(folded, xs, ys)
        return torch.cat([steps.forward(x, y)[:, : len(y)].T for steps, x, y in chunks])

    def losses(self, vector: torch.Tensor, xs: torch.Tensor, ys: torch.Tensor) -> torch.Tensor:
        """Return each sequence's loss (B,), for less than with the gradient."""
        return (self.predict(vector, xs, ys) - ys).square().mean(dim=1)

    @torch.no_grad()
    def gates(self, vector: torch.Tensor, xs: torch.Tensor, ys: torch.Tensor) -> Gates:
        """Which ReLUs are open: for every chunk of sequences and block a mask (H, N)."""
        folded = fold(self._named(vector), self.architecture, _operations_for(vector))
        found = []
        for steps, x, y in self._chunks(folded, xs, ys):
            steps.forward(x, y)
            found.append([_open(block.hidden) for block in steps.blocks])
        return found

    def _chunks(
        self, folded: Tensors, xs: torch.Tensor, ys: torch.Tensor
    ) -> Iterator[tuple["_Pass", torch.Tensor, torch.Tensor]]:
        size = len(xs) if xs.is_cuda else self.chunk  # a GPU has no use for small pieces
        weights = _round(folded, self.rounding) if self.rounding else folded
        for x, y in zip(xs.split(size), ys.split(size), strict=True):
            yield _Pass(self._operations_like(x), weights, self.architecture), x, y

    def _operations_like(self, xs: torch.Tensor) -> TorchOperations:
        operations = _operations_for(xs)
        key = (operations, len(xs))
        if key not in self._operations:
            self._operations[key] = operations(self.architecture, len(xs), self.rounding)
        return self._operations[key]

    def _named(self, vector: torch.Tensor) -> Tensors:
        """Named views, kept while calls pass the same tensor: a view costs a microsecond."""
        if vector is not self._vector:
            self._vector, self._parameters = vector, unflatten(vector, self.architecture)
        return self._parameters

    def _zeros_like(self, vector: torch.Tensor) -> tuple[torch.Tensor, Tensors]:
        """Where gradients are added up, see `folding.gradient_buffers`."""
        key = (vector.dtype, vector.device)
        if key not in self._sums:
            self._sums[key] = gradient_buffers(self.architecture, vector)
        self._sums[key][0].zero_()
        return self._sums[key]


def _open(hidden: torch.Tensor) -> torch.Tensor:
    """1 where a ReLU is open, else 0, laid out as its outputs, which the kernels go by."""
    gate = torch.empty_strided(
        hidden.shape, hidden.stride(), dtype=hidden.dtype, device=hidden.device
    )
    return gate.copy_(hidden > 0)


def _round(folded: Tensors, rounding: Rounding) -> Tensors:
    """Round the matrices of the blocks, once for all chunks."""
    large = {
        name: rounding(w) for name, w in folded.items() if name[:6] == "layers" and w.ndim == 2
    }
    return folded | large


def _operations_for(tensor: torch.Tensor) -> type[TorchOperations]:
    if tensor.device.type == "cpu" and tensor.dtype == torch.float32:
        from transience.model.kernels.operations import KernelOperations  # Numba: half a second

        return KernelOperations
    return TorchOperations


@dataclass
class _Block:
    """Activations of one block, kept for its backward pass."""

    q: torch.Tensor  # C N, or C n in the last block
    attention: Any
    mixed: torch.Tensor
    after: Norm  # the residual stream after attention, and the MLP's input
    hidden: torch.Tensor  # after the ReLU
    out: Norm  # the residual stream after the block, and what the next one reads


class _Pass:
    """Forward and backward pass of one chunk of sequences."""

    def __init__(self, ops: TorchOperations, folded: Tensors, architecture: Architecture) -> None:
        self.ops, self.w, self.architecture = ops, folded, architecture
        self.n = architecture.num_examples * ops.sequences
        self.blocks: list[_Block] = []
        self.gates: list[torch.Tensor] | None = None

    def forward(self, xs: torch.Tensor, ys: torch.Tensor) -> torch.Tensor:
        """Predictions, one row a position: K B, where B may have been rounded up."""
        self.tokens = self.ops.tokens(xs, ys)  # V N
        self.embedded = self.ops.embed(self.w["embedding"], self.tokens)
        for layer in range(self.architecture.num_layers):
            self.blocks.append(self._block(layer))
        predictions = torch.mv(self.blocks[-1].out.standardised.T, self.w["head"][0])
        return predictions.add_(self.w["head_bias"]).view(self.architecture.num_examples, -1)

    def _block(self, layer: int) -> _Block:
        ops, w, p = self.ops, self.w, f"layers.{layer}."
        h, q, kv = self._residual_queries_keys_values(layer)
        mixed, attention = ops.attention(layer, q, kv, w[p + "qkv_bias"])
        update = mixed
        if self.architecture.output_projection:
            update = ops.linear("update", w[p + "output_projection"], mixed)
        after = ops.add_standardise(p + "after", h, update, None)
        hidden = ops.linear(p + "hidden", w[p + "mlp_in.weight"], after.standardised)  # H C @ C N
        if self.gates:
            hidden = hidden.add_(w[p + "mlp_in.bias"][:, None]).mul_(self.gates[layer])
        else:
            hidden = ops.rectify(hidden, w[p + "mlp_in.bias"])
        update = ops.linear("update", w[p + "mlp_out.weight"], hidden)  # C H @ H N
        if self.architecture.doubled_residual:
            update += h
        out = ops.add_standardise(p + "out", after.total, update, w[p + "mlp_out.bias"])
        return _Block(q, attention, mixed, after, hidden, out)

    def _residual_queries_keys_values(
        self, layer: int
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Residual stream and queries of the tokens that query, and 2C N keys and values."""
        p, C, n = f"layers.{layer}.", self.architecture.width, self._num_queries(layer)
        if layer == 0:
            h, q, kv = self.embedded.stack.split([C, C, 2 * C])
            return h[:, :n], q[:, :n], kv
        norm, weight = self.blocks[-1].out, self.w[p + "qkv"]
        q = self.ops.linear(p + "q", weight[:C], norm.standardised[:, :n])  # C C @ C n
        kv = self.ops.linear(p + "kv", weight[C:], norm.standardised)  # 2C C @ C N
        return norm.total[:, :n], q, kv

    def _num_queries(self, layer: int) -> int:
        return self.n if layer == self.architecture.num_layers - 1 else 2 * self.n

    def backward(self, gradient: torch.Tensor, sums: Tensors) -> None:
        """Add gradients of the folded parameters to ``sums``; gradient is ∂/∂predictions, (n,)."""
        out = self.blocks[-1].out
        sums["head"][0].addmv_(out.standardised, gradient)
        sums["head_bias"].add_(gradient.sum())
        dstandardised = self.ops.linear("update", self.w["head"].T, gradient[None], exact=True)
        dout = self.ops.norm_backward("dresidual", dstandardised, out, None)
        for layer in reversed(range(self.architecture.num_layers)):
            dafter = self._mlp_backward(layer, dout, sums)
            dq, dkv = self._attention_backward(layer, dafter, sums)
            dskip = dafter.add_(dout) if self.architecture.doubled_residual else dafter
            if layer > 0:
                dout = self._projection_backward(layer, dq, dkv, dskip, sums)
        bias = self.w["layers.0.qkv_bias"]
        total, V = sums["embedding"], self.architecture.token_width  # (V + T) 4C
        dstack = self.ops.embed_backward(dq, dkv, dskip, self.embedded, bias, total[V:])
        total[:V].addmm_(self.tokens, dstack.T)  # V N @ N 4C, faster than its transpose

    def _mlp_backward(self, layer: int, dout: torch.Tensor, sums: Tensors) -> torch.Tensor:
        ops, w, block, p = self.ops, self.w, self.blocks[layer], f"layers.{layer}."
        ops.add_product(sums[p + "mlp_out.weight"], dout, block.hidden)  # C N @ N H
        ops.add_row_sums(sums[p + "mlp_out.bias"], dout)
        dhidden = ops.linear("dhidden", w[p + "mlp_out.weight"].T, dout)  # H C @ C N
        open_gates = self.gates[layer] if self.gates else block.hidden
        dhidden = ops.rectify_backward(dhidden, open_gates, sums[p + "mlp_in.bias"])
        ops.add_product(sums[p + "mlp_in.weight"], dhidden, block.after.standardised)  # H N @ N C
        dnorm = ops.linear("update", w[p + "mlp_in.weight"].T, dhidden)  # C H @ H N
        # may dout be overwritten, or is it needed again?
        name = "dafter" if self.architecture.doubled_residual else "dresidual"
        return ops.norm_backward(name, dnorm, block.after, dout)

    def _attention_backward(
        self, layer: int, dafter: torch.Tensor, sums: Tensors
    ) -> tuple[torch.Tensor, torch.Tensor]:
        block, p, dmixed = self.blocks[layer], f"layers.{layer}.", dafter
        if self.architecture.output_projection:
            self.ops.add_product(sums[p + "output_projection"], dafter, block.mixed)  # C N @ N C
            dmixed = self.ops.linear("update", self.w[p + "output_projection"].T, dafter)
        return self.ops.attention_backward(dmixed, block.attention, sums[p + "qkv_bias"])

    def _projection_backward(
        self, layer: int, dq: torch.Tensor, dkv: torch.Tensor, dskip: torch.Tensor, sums: Tensors
    ) -> torch.Tensor:
        """Add the gradient of the QKV map; return that of the block's input, C N."""
        weight, total = self.w[f"layers.{layer}.qkv"], sums[f"layers.{layer}.qkv"]
        norm, C, n = self.blocks[layer - 1].out, self.architecture.width, dq.shape[1]
        self.ops.add_product(total[:C], dq, norm.standardised[:, :n])  # C n @ n C
        self.ops.add_product(total[C:], dkv, norm.standardised)  # 2C N @ N C
        dnorm = self.ops.linear("update", weight[C:].T, dkv)  # C 2C @ 2C N
        self.ops.add_product(dnorm[:, :n], weight[:C].T, dq.T)  # C C @ C n
        return self.ops.norm_backward("dresidual", dnorm, norm, dskip)
