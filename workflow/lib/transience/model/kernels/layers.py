"""Numba kernels for what a step does between matrix products, on the CPU in float32 (ours).

A matrix holds one feature a row and one token of one sequence a column, features × (T B), with
the x-tokens of all sequences first, and the sequences side by side: sixteen of them go through a
kernel together, one a lane, so that no sum runs across lanes. Rows lie ``ld`` numbers apart.
Matrices are passed as addresses; B is a multiple of 16. `kernels.operations` calls these.
"""

import numpy as np

from transience.model.kernels.lanes import (
    WIDTH,
    add_to_number,
    compiled,
    lane_sum,
    load,
    load_first,
    load_number,
    splat,
    square_root,
    store,
    store_first,
    where_less,
)

BLOCK = 4 * WIDTH  # columns of a matrix that a kernel keeps in the cache at a time
ZERO = np.float32(0)
ONE = np.float32(1)
EPS = np.float32(1e-5)  # transformer.LAYER_NORM_EPS


# --- LayerNorm --------------------------------------------------------------------------------


@compiled
def _moments(h, mean, rstd, ld, width, start, stop):
    """Mean and 1/√(variance + ε) of columns whose sums lie in ``mean``."""
    share = splat(ONE / np.float32(width))
    for n in range(start, stop, WIDTH):
        store(mean, n, load(mean, n) * share)
        store(rstd, n, splat(ZERO))
    for c in range(width):
        for n in range(start, stop, WIDTH):
            centred = load(h, c * ld + n) - load(mean, n)
            store(rstd, n, load(rstd, n) + centred * centred)
    for n in range(start, stop, WIDTH):
        variance = load(rstd, n) * share
        store(rstd, n, splat(ONE) / square_root(variance + splat(EPS)))


@compiled
def add_standardise(total, out, mean, rstd, a, b, bias, ld, width, columns):
    """total = a + b + bias, out = total with mean 0 and variance 1 in every column."""
    for start in range(0, columns, BLOCK):
        stop = min(start + BLOCK, columns)
        for n in range(start, stop, WIDTH):
            store(mean, n, splat(ZERO))
        for c in range(width):
            shift = splat(load_number(bias, c))
            for n in range(start, stop, WIDTH):
                value = load(a, c * ld + n) + load(b, c * ld + n) + shift
                store(total, c * ld + n, value)
                store(mean, n, load(mean, n) + value)
        _moments(total, mean, rstd, ld, width, start, stop)
        for c in range(width):
            for n in range(start, stop, WIDTH):
                centred = load(total, c * ld + n) - load(mean, n)
                store(out, c * ld + n, centred * load(rstd, n))


@compiled
def norm_backward(dh, dout, out, rstd, first, second, dskip, ld, width, columns, skipping):
    """Gradient through the standardisation; dskip is added to the first ``skipping`` columns.

    dh may be dskip.
    """
    share = splat(ONE / np.float32(width))
    for start in range(0, columns, BLOCK):
        stop = min(start + BLOCK, columns)
        middle = min(max(start, skipping), stop)
        for n in range(start, stop, WIDTH):
            store(first, n, splat(ZERO))
            store(second, n, splat(ZERO))
        for c in range(width):
            for n in range(start, stop, WIDTH):
                gradient = load(dout, c * ld + n)
                store(first, n, load(first, n) + gradient)
                store(second, n, load(second, n) + gradient * load(out, c * ld + n))
        for n in range(start, stop, WIDTH):
            scale = load(rstd, n) * share
            store(first, n, load(first, n) * scale)
            store(second, n, load(second, n) * scale)
        for c in range(width):
            for n in range(start, middle, WIDTH):
                i = c * ld + n
                through = load(dout, i) * load(rstd, n) - load(first, n) + load(dskip, i)
                store(dh, i, through - load(out, i) * load(second, n))
            for n in range(middle, stop, WIDTH):
                i = c * ld + n
                through = load(dout, i) * load(rstd, n) - load(first, n)
                store(dh, i, through - load(out, i) * load(second, n))


# --- first block: embedding, LayerNorm, and queries, keys and values ---------------------------


@compiled
def embed(stack, offsets, mean, rstd, ld, width, tokens, sequences):
    """stack = [h; A·token] without position offsets -> [h; rstd (A·token + offset)], in place."""
    for t in range(tokens):
        for start in range(t * sequences, (t + 1) * sequences, BLOCK):
            stop = min(start + BLOCK, (t + 1) * sequences)
            for n in range(start, stop, WIDTH):
                store(mean, n, splat(ZERO))
            for c in range(width):
                offset = splat(load_number(offsets, t * 4 * width + c))
                for n in range(start, stop, WIDTH):
                    value = load(stack, c * ld + n) + offset
                    store(stack, c * ld + n, value)
                    store(mean, n, load(mean, n) + value)
            _moments(stack, mean, rstd, ld, width, start, stop)
            for c in range(width, 4 * width):
                offset = splat(load_number(offsets, t * 4 * width + c))
                for n in range(start, stop, WIDTH):
                    value = load(stack, c * ld + n) + offset
                    store(stack, c * ld + n, value * load(rstd, n))


@compiled
def embed_backward(
    dstack, stack, q_bias, mean, rstd, products, dskip, doffsets, ld, width, tokens, sequences,
    skipping,
):  # fmt: skip
    """Turn dstack = [·; ∂qkv] into the gradient before `embed`; add up that of the offsets.

    With s = rstd ∂rstd = Σ ∂qkv·qkv: ∂h = ∂skip - x̂ rstd s / C. The queries carry their bias.
    """
    share = splat(-ONE / np.float32(width))
    for t in range(tokens):
        for start in range(t * sequences, (t + 1) * sequences, BLOCK):
            stop = min(start + BLOCK, (t + 1) * sequences)
            for n in range(start, stop, WIDTH):
                store(products, n, splat(ZERO))
            for c in range(width, 4 * width):
                bias = splat(load_number(q_bias, c - width) if c < 2 * width else ZERO)
                total = splat(ZERO)
                for n in range(start, stop, WIDTH):
                    i = c * ld + n
                    product = load(dstack, i) * (load(stack, i) - bias)
                    store(products, n, load(products, n) + product)
                    gradient = load(dstack, i) * load(rstd, n)
                    store(dstack, i, gradient)
                    total = total + gradient
                add_to_number(doffsets, t * 4 * width + c, lane_sum(total))
            for n in range(start, stop, WIDTH):
                factor = load(rstd, n) * load(rstd, n) * share
                store(products, n, load(products, n) * factor)
            for c in range(width):
                total = splat(ZERO)
                for n in range(start, stop, WIDTH):
                    i = c * ld + n
                    gradient = (load(stack, i) - load(mean, n)) * load(products, n)
                    if n < skipping:
                        gradient = gradient + load(dskip, i)
                    store(dstack, i, gradient)
                    total = total + gradient
                add_to_number(doffsets, t * 4 * width + c, lane_sum(total))


# --- ReLU -------------------------------------------------------------------------------------


@compiled
def rectify(hidden, bias, ld, width, columns):
    """hidden = max(hidden + bias, 0) in place; NaN stays."""
    for c in range(width):
        shift = splat(load_number(bias, c))
        for n in range(c * ld, c * ld + columns, WIDTH):
            value = load(hidden, n) + shift
            store(hidden, n, where_less(value, splat(ZERO), splat(ZERO), value))


@compiled
def rectify_backward(dhidden, hidden, dbias, ld, width, columns):
    """Zero dhidden where hidden is zero, in place, and add its row sums to dbias."""
    for c in range(width):
        total = splat(ZERO)
        for n in range(c * ld, c * ld + columns, WIDTH):
            zero = splat(ZERO)
            value = where_less(zero, load(hidden, n), load(dhidden, n), zero)
            store(dhidden, n, value)
            total = total + value
        add_to_number(dbias, c, lane_sum(total))


@compiled
def add_row_sums(sums, matrix, ld, width, columns):
    """Add every row's sum to ``sums``."""
    for c in range(width):
        total = splat(ZERO)
        for n in range(c * ld, c * ld + columns, WIDTH):
            total = total + load(matrix, n)
        add_to_number(sums, c, lane_sum(total))


# --- weights: LayerNorm's affine part folded into the map W behind it ----------------------------


@compiled
def fold_norm(out, out_bias, weight, scale, shift, bias, rows, width, scaled_rows, factor):
    """out = W·scale, out_bias = W shift + bias; both times ``factor`` in the first rows."""
    for r in range(rows):
        f = np.float32(factor) if r < scaled_rows else ONE
        total = splat(ZERO)
        for c in range(0, width, WIDTH):
            w = load_first(weight, r * width + c, width - c)
            total = total + w * load_first(shift, c, width - c)
            scaled = w * load_first(scale, c, width - c) * splat(f)
            store_first(out, r * width + c, width - c, scaled)
        offset = load_number(bias, r) if bias != 0 else ZERO
        store_first(out_bias, r, 1, splat((lane_sum(total) + offset) * f))


@compiled
def unfold_norm(
    dweight, dscale, dshift, dbias, weight, scale, shift, rows, width, scaled_rows, factor
):
    """Gradients of W·scale and of W shift -> of W (in place), scale and shift."""
    for c in range(0, width, WIDTH):
        rest = width - c
        store_first(dscale, c, rest, splat(ZERO))
        store_first(dshift, c, rest, splat(ZERO))
    for r in range(rows):
        f = np.float32(factor) if r < scaled_rows else ONE
        s = splat(load_number(dbias, r) * f)
        for c in range(0, width, WIDTH):
            rest, i = width - c, r * width + c
            w = load_first(weight, i, rest)
            g = load_first(dweight, i, rest) * splat(f)
            through = g * load_first(scale, c, rest) + s * load_first(shift, c, rest)
            store_first(dweight, i, rest, through)
            store_first(dscale, c, rest, load_first(dscale, c, rest) + g * w)
            store_first(dshift, c, rest, load_first(dshift, c, rest) + s * w)
