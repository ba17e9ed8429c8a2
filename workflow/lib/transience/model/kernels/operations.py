"""`model.operations` for the CPU in float32: Numba kernels and matrix products (ours).

Buffers are allocated once for a chunk of B sequences and found by name, so every result is
overwritten by the next call with the same name.
"""

import torch

from transience.model.kernels import attention as attention_kernels
from transience.model.kernels import layers
from transience.model.kernels.lanes import WIDTH
from transience.model.operations import Embedded, Norm, Rounding, TorchOperations, product
from transience.model.transformer import Architecture


class KernelOperations(TorchOperations):
    """The same operations, with buffers and kernels."""

    def __init__(
        self, architecture: Architecture, sequences: int, rounding: Rounding | None = None
    ) -> None:
        """Fix the architecture and B, which is rounded up to whole groups of lanes."""
        super().__init__(architecture, -(-sequences // WIDTH) * WIDTH, rounding)
        self.columns = architecture.num_tokens * self.sequences
        # rows a power of two apart would compete for the same places in the cache
        self.ld = self.columns + WIDTH
        self.buffers: dict[str, torch.Tensor] = {}
        self.views: dict[tuple[str, int], torch.Tensor] = {}
        self.no_bias = torch.zeros(architecture.width)
        row = attention_kernels.slots(architecture.num_tokens)
        self.num_weights = architecture.num_heads * self.sequences * row
        self.num_scores = architecture.num_tokens * row * WIDTH

    @staticmethod
    def fold_norm(
        weight: torch.Tensor, scale: torch.Tensor, shift: torch.Tensor,
        bias: torch.Tensor | None, scaled_rows: int, factor: float,
    ) -> tuple[torch.Tensor, torch.Tensor]:  # fmt: skip
        folded, folded_bias = torch.empty(weight.shape), torch.empty(len(weight))
        layers.fold_norm(
            folded.data_ptr(), folded_bias.data_ptr(), weight.data_ptr(), scale.data_ptr(),
            shift.data_ptr(), 0 if bias is None else bias.data_ptr(), *weight.shape,
            scaled_rows, factor,
        )  # fmt: skip
        return folded, folded_bias

    @staticmethod
    def unfold_norm(*tensors_and_scaling: torch.Tensor | float) -> None:
        *tensors, scaled_rows, factor = tensors_and_scaling
        addresses = [tensor.data_ptr() for tensor in tensors]
        layers.unfold_norm(*addresses, *tensors[0].shape, scaled_rows, factor)

    def linear(
        self, name: str, weight: torch.Tensor, x: torch.Tensor, *, exact: bool = False
    ) -> torch.Tensor:
        out = self._matrix(name, len(weight), x.shape[1])
        if exact or self.rounding is None:
            return torch.mm(weight, x, out=out)
        return out.copy_(product(weight, self.rounding(x)))

    def tokens(self, xs: torch.Tensor, ys: torch.Tensor) -> torch.Tensor:
        B, K, D = xs.shape
        columns = self._matrix("tokens", D + 1, self.columns)  # starts at zero
        grid = columns.unflatten(1, (2, K, self.sequences))
        grid[1:, 0, :, :B] = xs.permute(2, 1, 0)
        grid[0, 1, :, :B] = ys.T
        return columns

    def embed(self, embedding: torch.Tensor, tokens: torch.Tensor) -> Embedded:
        C, V, T = self._sizes()
        coordinates, offsets = embedding.split([V, T])
        stack = self.linear("stack", coordinates.T, tokens, exact=True)  # 4C V @ V N
        mean, rstd = self._vector("first mean"), self._vector("first rstd")
        layers.embed(
            stack.data_ptr(), offsets.data_ptr(), mean.data_ptr(), rstd.data_ptr(), self.ld,
            C, T, self.sequences,
        )  # fmt: skip
        return Embedded(stack, mean, rstd)

    def embed_backward(
        self, dq: torch.Tensor, dkv: torch.Tensor, dskip: torch.Tensor, saved: Embedded,
        bias: torch.Tensor, doffsets: torch.Tensor,
    ) -> torch.Tensor:  # fmt: skip
        C, _, T = self._sizes()
        dstack = self._matrix("dqkv", 4 * C, self.columns)
        dstack[C : 2 * C, dq.shape[1] :] = 0  # dq and dkv lie in dstack
        layers.embed_backward(
            dstack.data_ptr(), saved.stack.data_ptr(), bias.data_ptr(), saved.mean.data_ptr(),
            saved.rstd.data_ptr(), self._vector("first sums").data_ptr(), dskip.data_ptr(),
            doffsets.data_ptr(), self.ld, C, T, self.sequences, dskip.shape[1],
        )  # fmt: skip
        return dstack

    def add_standardise(
        self, name: str, a: torch.Tensor, b: torch.Tensor, bias: torch.Tensor | None
    ) -> Norm:
        C, n = a.shape
        # the residual stream is overwritten, unless it's needed again
        keep = self.architecture.doubled_residual and name.endswith("after")
        total = self._matrix("after" if keep else "residual", C, n)
        out = self._matrix(name, C, n)
        mean, rstd = self._vector("mean"), self._vector(name + " rstd")
        bias = self.no_bias if bias is None else bias
        layers.add_standardise(
            total.data_ptr(), out.data_ptr(), mean.data_ptr(), rstd.data_ptr(), a.data_ptr(),
            b.data_ptr(), bias.data_ptr(), self.ld, C, n,
        )  # fmt: skip
        return Norm(total, out, mean, rstd)

    def norm_backward(
        self, name: str, gradient: torch.Tensor, norm: Norm, dskip: torch.Tensor | None
    ) -> torch.Tensor:
        C, n = gradient.shape
        out = self._matrix(name, C, n)
        skip, skipping = (0, 0) if dskip is None else (dskip.data_ptr(), dskip.shape[1])
        layers.norm_backward(
            out.data_ptr(), gradient.data_ptr(), norm.standardised.data_ptr(),
            norm.rstd.data_ptr(), self._vector("first sums").data_ptr(),
            self._vector("second sums").data_ptr(), skip, self.ld, C, n, skipping,
        )  # fmt: skip
        return out

    def rectify(self, hidden: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
        layers.rectify(hidden.data_ptr(), bias.data_ptr(), self.ld, *hidden.shape)
        return hidden

    def rectify_backward(
        self, gradient: torch.Tensor, hidden: torch.Tensor, dbias: torch.Tensor
    ) -> torch.Tensor:
        layers.rectify_backward(
            gradient.data_ptr(), hidden.data_ptr(), dbias.data_ptr(), self.ld, *hidden.shape
        )
        return gradient

    def add_row_sums(self, sums: torch.Tensor, matrix: torch.Tensor) -> None:
        layers.add_row_sums(sums.data_ptr(), matrix.data_ptr(), self.ld, *matrix.shape)

    def attention(
        self, layer: int, q: torch.Tensor, kv: torch.Tensor, bias: torch.Tensor
    ) -> tuple[torch.Tensor, tuple]:
        C, n = q.shape
        name = f"layers.{layer}.mixed" if self.architecture.output_projection else "update"
        mixed, S = self._matrix(name, C, n), n // self.sequences
        weights = self._vector(f"layers.{layer}.weights", self.num_weights * S)
        attention_kernels.attention(
            mixed.data_ptr(), weights.data_ptr(), q.data_ptr(), kv.data_ptr(), bias.data_ptr(),
            self.ld, C, self.architecture.num_heads, self.architecture.num_examples,
            self.sequences, S,
        )  # fmt: skip
        return mixed, (q, kv, weights)

    def attention_backward(
        self, dmixed: torch.Tensor, saved: tuple, dbias: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        q, kv, weights = saved
        C, n = q.shape
        dstack = self._matrix("dqkv", 4 * C, self.columns)
        dq, dkv = dstack[C : 2 * C, :n], dstack[2 * C :]
        scratch = self._vector("dscores", self.num_scores)
        attention_kernels.attention_backward(
            dq.data_ptr(), dkv.data_ptr(), dbias.data_ptr(), dmixed.data_ptr(), q.data_ptr(),
            kv.data_ptr(), weights.data_ptr(), scratch.data_ptr(), self.ld, C,
            self.architecture.num_heads, self.architecture.num_examples, self.sequences,
            n // self.sequences,
        )  # fmt: skip
        return dq, dkv

    def _matrix(self, name: str, rows: int, columns: int) -> torch.Tensor:
        """The first columns of a buffer of rows × N, rows ``ld`` apart."""
        key = (name, columns)
        if key not in self.views:
            if name not in self.buffers:
                # a load waits for a store 4096 bytes apart: start every matrix somewhere else
                start = len(self.buffers) * 13 % 64 * WIDTH
                flat = torch.zeros(start + rows * self.ld)
                self.buffers[name] = flat[start:].view(rows, self.ld)
            self.views[key] = self.buffers[name][:, :columns]
        return self.views[key]

    def _vector(self, name: str, length: int | None = None) -> torch.Tensor:
        if name not in self.buffers:
            self.buffers[name] = torch.empty(length or self.columns)
        return self.buffers[name]
