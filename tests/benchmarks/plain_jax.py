"""The transformer's loss and gradient as everybody writes it in JAX, compiled by XLA for one core.

Import it in a process that may use one core only, or XLA uses them all.
"""

import os

os.environ["JAX_PLATFORMS"] = "cpu"  # read by JAX as it starts

from collections.abc import Callable

import jax
import jax.numpy as jnp
import torch
from jax import nn

from transience.model.transformer import LAYER_NORM_EPS, Architecture, tokens, unflatten

Arrays = dict[str, jax.Array]


def loss(p: Arrays, tokens: jax.Array, ys: jax.Array, heads: int) -> jax.Array:
    """Mean squared error of tokens (B, 2K, D+1) and labels (B, K); see `model.transformer`."""
    h = tokens @ p["token_embedding"].T + p["position_embedding"]
    for layer in range(sum(name.endswith("qkv") for name in p)):
        q = f"layers.{layer}."
        h = h + attention(norm(p, q + "attention_norm", h) @ p[q + "qkv"].T, heads)
        hidden = norm(p, q + "mlp_norm", h) @ p[q + "mlp_in.weight"].T + p[q + "mlp_in.bias"]
        h = h + nn.relu(hidden) @ p[q + "mlp_out.weight"].T + p[q + "mlp_out.bias"]
    outputs = norm(p, "final_norm", h) @ p["head.weight"].T + p["head.bias"]
    return ((outputs[:, 0::2, 0] - ys) ** 2).mean()


def norm(p: Arrays, name: str, h: jax.Array) -> jax.Array:
    """LayerNorm."""
    standardised = nn.standardize(h, epsilon=LAYER_NORM_EPS)
    return standardised * p[name + ".weight"] + p[name + ".bias"]


def attention(qkv: jax.Array, heads: int) -> jax.Array:
    """Causal attention: (B, T, 3C) -> (B, T, C)."""
    B, T, _ = qkv.shape
    q, k, v = qkv.reshape(B, T, 3, heads, -1).transpose(2, 0, 3, 1, 4)
    scores = q @ k.swapaxes(-1, -2) / q.shape[-1] ** 0.5
    scores = jnp.where(jnp.tril(jnp.ones((T, T), dtype=bool)), scores, -jnp.inf)
    return (nn.softmax(scores) @ v).swapaxes(1, 2).reshape(B, T, -1)


def loss_and_gradient(
    a: Architecture, vector: torch.Tensor, xs: torch.Tensor, ys: torch.Tensor
) -> Callable[[], tuple[jax.Array, Arrays]]:
    """Return a call that computes the loss and the gradient of every parameter."""
    parameters = {name: jnp.asarray(w.numpy()) for name, w in unflatten(vector, a).items()}
    data = jnp.asarray(tokens(xs, ys).numpy()), jnp.asarray(ys.numpy())
    compiled = jax.jit(jax.value_and_grad(loss), static_argnames="heads")
    return lambda: jax.block_until_ready(compiled(parameters, *data, heads=a.num_heads))
