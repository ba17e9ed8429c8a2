"""Numba kernels for causal attention over a few dozen tokens (ours).

Layout as in `kernels.layers`. A query at token i sees ``visible`` keys: the x-tokens up to its
own, then the y-tokens before it (its own too, if it is a y-token). ``weights`` holds one slot a
visible key: [heads][B/16][queries][T rounded up to 4][16].

Loops run over four keys or four features at once, to load a query once for all; where four go
beyond the end, the last one is computed again.
"""

import numpy as np

from transience.model.kernels.lanes import (
    WIDTH,
    compiled,
    exp,
    load,
    load_number,
    splat,
    store,
    where_less,
)
from transience.model.kernels.layers import add_row_sums

BYTES = 4  # in a number
ZERO = np.float32(0)
ONE = np.float32(1)
LEAST = np.float32(-np.inf)


@compiled
def slots(tokens):
    """Attention weights kept for a query."""
    return (tokens + 3) // 4 * 4


@compiled
def _visible(i, examples):
    """Number of keys that query i sees."""
    return 2 * i + 1 if i < examples else 2 * (i - examples) + 2


@compiled
def _key(slot, i, examples):
    """Token of a visible key of query i."""
    own = i if i < examples else i - examples
    return slot if slot <= own else slot - own - 1 + examples


@compiled
def _softmax(weights, w, visible):
    """Softmax over ``visible`` slots, in place."""
    top = splat(LEAST)
    for slot in range(visible):
        score = load(weights, w + slot * WIDTH)
        top = where_less(top, score, score, top)
    total = splat(ZERO)
    for slot in range(visible):
        weight = exp(load(weights, w + slot * WIDTH) - top)
        store(weights, w + slot * WIDTH, weight)
        total = total + weight
    share = splat(ONE) / total
    for slot in range(visible):
        store(weights, w + slot * WIDTH, load(weights, w + slot * WIDTH) * share)


@compiled
def _products(out, o, left, a, right, b, ld, B, depth, i, visible, examples):
    """out[slot] = Σ_c left[c]·right[c, key of slot] for every visible slot of query i."""
    for slot in range(0, visible, 4):
        last = visible - 1
        b0 = b + _key(slot, i, examples) * B
        b1 = b + _key(min(slot + 1, last), i, examples) * B
        b2 = b + _key(min(slot + 2, last), i, examples) * B
        b3 = b + _key(min(slot + 3, last), i, examples) * B
        s0 = s1 = s2 = s3 = splat(ZERO)
        for row in range(0, depth * ld, ld):
            x = load(left, a + row)
            s0 = s0 + x * load(right, b0 + row)
            s1 = s1 + x * load(right, b1 + row)
            s2 = s2 + x * load(right, b2 + row)
            s3 = s3 + x * load(right, b3 + row)
        store(out, o + slot * WIDTH, s0)
        store(out, o + (slot + 1) * WIDTH, s1)
        store(out, o + (slot + 2) * WIDTH, s2)
        store(out, o + (slot + 3) * WIDTH, s3)


@compiled
def _mix(out, o, weights, w, right, b, ld, B, depth, i, visible, examples, bias, first):
    """out[c] = Σ_slot weights[slot]·right[c, key of slot] + bias[c] for query i."""
    for c in range(0, depth, 4):
        r0, r1 = c * ld, min(c + 1, depth - 1) * ld
        r2, r3 = min(c + 2, depth - 1) * ld, min(c + 3, depth - 1) * ld
        s0 = s1 = s2 = s3 = splat(ZERO)
        for slot in range(visible):
            x = load(weights, w + slot * WIDTH)
            k = b + _key(slot, i, examples) * B
            s0 = s0 + x * load(right, k + r0)
            s1 = s1 + x * load(right, k + r1)
            s2 = s2 + x * load(right, k + r2)
            s3 = s3 + x * load(right, k + r3)
        if bias != 0:
            s0 = s0 + splat(load_number(bias, first + c))
            s1 = s1 + splat(load_number(bias, first + min(c + 1, depth - 1)))
            s2 = s2 + splat(load_number(bias, first + min(c + 2, depth - 1)))
            s3 = s3 + splat(load_number(bias, first + min(c + 3, depth - 1)))
        store(out, o + r0, s0)
        store(out, o + r1, s1)
        store(out, o + r2, s2)
        store(out, o + r3, s3)


@compiled
def attention(mixed, weights, q, kv, bias, ld, width, heads, examples, B, queries):
    """Write attention weights and mixed values; add the bias to the queries, in place."""
    depth, row = width // heads, slots(2 * examples) * WIDTH
    values, v_bias = width * ld, bias + 2 * width * BYTES
    w = 0
    for head in range(heads):
        first = head * depth
        for lane in range(first * ld, first * ld + B, WIDTH):
            for i in range(queries):
                visible, here = _visible(i, examples), lane + i * B
                for c in range(depth):
                    at = here + c * ld
                    store(q, at, load(q, at) + splat(load_number(bias, first + c)))
                _products(weights, w, q, here, kv, lane, ld, B, depth, i, visible, examples)
                _softmax(weights, w, visible)
                _mix(
                    mixed, here, weights, w, kv, values + lane, ld, B, depth, i, visible,
                    examples, v_bias, first,
                )  # fmt: skip
                w += row


@compiled
def _key_gradients(
    dkv, dmixed, q, weights, w, dscores, lane, j, ld, width, depth, examples, B, queries
):
    """Gradients of key and value j, summed over the queries that see it."""
    row = slots(2 * examples) * WIDTH
    own = j if j < examples else j - examples
    dk, dv = lane + j * B, width * ld + lane + j * B
    for c in range(0, depth, 4):
        r0, r1 = c * ld, min(c + 1, depth - 1) * ld
        r2, r3 = min(c + 2, depth - 1) * ld, min(c + 3, depth - 1) * ld
        k0 = k1 = k2 = k3 = splat(ZERO)
        v0 = v1 = v2 = v3 = splat(ZERO)
        for kind in range(queries // examples):  # x-tokens, then y-tokens
            begin = own if kind == 1 or j < examples else own + 1
            for position in range(begin, examples):
                i = position + kind * examples
                slot = (j if j < examples else position + 1 + own) * WIDTH + i * row
                ds, x = load(dscores, slot), load(weights, w + slot)
                at = lane + i * B
                k0 = k0 + ds * load(q, at + r0)
                k1 = k1 + ds * load(q, at + r1)
                k2 = k2 + ds * load(q, at + r2)
                k3 = k3 + ds * load(q, at + r3)
                v0 = v0 + x * load(dmixed, at + r0)
                v1 = v1 + x * load(dmixed, at + r1)
                v2 = v2 + x * load(dmixed, at + r2)
                v3 = v3 + x * load(dmixed, at + r3)
        store(dkv, dk + r0, k0)
        store(dkv, dk + r1, k1)
        store(dkv, dk + r2, k2)
        store(dkv, dk + r3, k3)
        store(dkv, dv + r0, v0)
        store(dkv, dv + r1, v1)
        store(dkv, dv + r2, v2)
        store(dkv, dv + r3, v3)


@compiled
def _score_gradients(dscores, s, weights, w, visible):
    """Softmax backward: weight gradients -> score gradients, in place."""
    total = splat(ZERO)
    for slot in range(0, visible * WIDTH, WIDTH):
        total = total + load(dscores, s + slot) * load(weights, w + slot)
    for slot in range(0, visible * WIDTH, WIDTH):
        ds = (load(dscores, s + slot) - total) * load(weights, w + slot)
        store(dscores, s + slot, ds)


@compiled
def attention_backward(
    dq, dkv, dbias, dmixed, q, kv, weights, dscores, ld, width, heads, examples, B, queries
):
    """Gradients of queries, keys and values; dscores is scratch for one head and 16 sequences."""
    depth, row = width // heads, slots(2 * examples) * WIDTH
    values = width * ld
    w = 0
    for head in range(heads):
        start = head * depth * ld
        for lane in range(start, start + B, WIDTH):
            for i in range(queries):
                visible, here = _visible(i, examples), lane + i * B
                s, at = i * row, w + i * row
                _products(
                    dscores, s, dmixed, here, kv, values + lane, ld, B, depth, i, visible,
                    examples,
                )  # fmt: skip
                _score_gradients(dscores, s, weights, at, visible)
                _mix(
                    dq, here, dscores, s, kv, lane, ld, B, depth, i, visible,
                    examples, 0, 0,
                )  # fmt: skip
            for j in range(2 * examples):
                _key_gradients(
                    dkv, dmixed, q, weights, w, dscores, lane, j, ld, width, depth, examples,
                    B, queries,
                )  # fmt: skip
            w += queries * row
    add_row_sums(dbias, dq, ld, width, queries * B)
    add_row_sums(dbias + 2 * width * BYTES, dmixed, ld, width, queries * B)
