"""The transformer and its training step written plainly with `torch.nn`: the speed baseline."""

import torch
from torch import nn

from transience.model.transformer import Architecture, parameter_shapes, tokens, unflatten


class Block(nn.Module):
    def __init__(self, a: Architecture, *, fused_attention: bool) -> None:
        super().__init__()
        self.heads, self.fused_attention = a.num_heads, fused_attention
        self.attention_norm = nn.LayerNorm(a.width)
        self.qkv = nn.Linear(a.width, 3 * a.width, bias=False)
        self.mlp_norm = nn.LayerNorm(a.width)
        self.mlp_in = nn.Linear(a.width, a.mlp_width)
        self.mlp_out = nn.Linear(a.mlp_width, a.width)
        future = torch.ones(a.num_tokens, a.num_tokens, dtype=torch.bool).triu(1)
        self.register_buffer("future", future, persistent=False)

    def attention(self, h: torch.Tensor) -> torch.Tensor:
        B, T, C = h.shape
        q, k, v = self.qkv(h).view(B, T, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        if self.fused_attention:
            mixed = nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        else:
            scores = q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5
            mixed = scores.masked_fill(self.future, -torch.inf).softmax(dim=-1) @ v
        return mixed.transpose(1, 2).reshape(B, T, C)

    def forward(self, h: torch.Tensor) -> torch.Tensor:
        h = h + self.attention(self.attention_norm(h))
        return h + self.mlp_out(nn.functional.relu(self.mlp_in(self.mlp_norm(h))))


class PlainTransformer(nn.Module):
    """Same function and parameter names as `transience.model.transformer`, without its switches."""

    def __init__(self, a: Architecture, *, fused_attention: bool = False) -> None:
        super().__init__()
        self.token_embedding = nn.Linear(a.token_width, a.width, bias=False)
        self.position_embedding = nn.Parameter(torch.zeros(a.num_tokens, a.width))
        self.layers = nn.ModuleList(
            Block(a, fused_attention=fused_attention) for _ in range(a.num_layers)
        )
        self.final_norm = nn.LayerNorm(a.width)
        self.head = nn.Linear(a.width, a.token_width)

    def forward(self, xs: torch.Tensor, ys: torch.Tensor) -> torch.Tensor:
        h = self.token_embedding(tokens(xs, ys)) + self.position_embedding
        for layer in self.layers:
            h = layer(h)
        return self.head(self.final_norm(h))[:, 0::2, 0]

    @torch.no_grad()
    def load(self, vector: torch.Tensor, a: Architecture) -> "PlainTransformer":
        """Copy a flat parameter vector into the modules."""
        mine = dict(self.named_parameters())
        for name, value in unflatten(vector, a).items():
            bare = name in ("token_embedding",) or name.endswith("qkv")
            mine[f"{name}.weight" if bare else name].copy_(value)
        assert len(mine) == len(parameter_shapes(a))
        return self


def plain_step(
    model: PlainTransformer, optimizer: torch.optim.Optimizer, xs: torch.Tensor, ys: torch.Tensor
) -> float:
    """One training step as everybody writes it."""
    optimizer.zero_grad()
    loss = (model(xs, ys) - ys).square().mean()
    loss.backward()
    optimizer.step()
    return loss.item()
