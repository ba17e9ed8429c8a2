"""The transformer is the function of the paper, section 3: causal, counted, residuals once."""

import dataclasses
import math

import pytest
import torch

from transience.model.transformer import (
    Architecture,
    initial_parameters,
    num_parameters,
    parameter_shapes,
    predict,
    sequence_losses,
    tokens,
    unflatten,
)

SMALL = Architecture(3, 4, 8, 2, 2, 12, output_projection=False, doubled_residual=False)
PAPER = Architecture(8, 16, 512, 2, 4, 512, output_projection=False, doubled_residual=False)


def model(a, seed=0):
    return unflatten(initial_parameters(a, seed).double(), a)


def data(a, batch=5):
    torch.manual_seed(0)
    shape = (batch, a.num_examples)
    return torch.randn(*shape, a.task_dimension).double(), torch.randn(*shape).double()


def test_parameter_counts_of_the_literature():
    assert num_parameters(PAPER) == 2_654_217
    assert num_parameters(dataclasses.replace(PAPER, output_projection=True)) == 3_178_505
    hoogland = Architecture(4, 8, 64, 2, 4, 64, output_projection=True, doubled_residual=False)
    assert num_parameters(hoogland) == 51_717


def test_unflatten_views_cover_the_vector_once():
    vector = torch.zeros(num_parameters(SMALL))
    for view in unflatten(vector, SMALL).values():
        view += 1
    assert torch.equal(vector, torch.ones_like(vector))


@pytest.mark.parametrize("position", range(4))
def test_predictions_see_only_the_past(position):
    """Prediction k depends on x_1, y_1, …, x_k and on nothing later."""
    xs, ys = data(SMALL)
    before = predict(model(SMALL), xs, ys, SMALL)
    ys[:, position] += 1.0
    after = predict(model(SMALL), xs, ys, SMALL)
    assert torch.equal(before[:, : position + 1], after[:, : position + 1])
    if position + 1 < SMALL.num_examples:
        assert not torch.allclose(before[:, position + 1 :], after[:, position + 1 :])
    xs[:, position] += 1.0
    last = predict(model(SMALL), xs, ys, SMALL)
    assert torch.equal(after[:, :position], last[:, :position])
    assert not torch.allclose(after[:, position:], last[:, position:])


def test_tokens_alternate():
    xs, ys = data(SMALL)
    t = tokens(xs, ys)
    assert t.shape == (5, 8, 4)
    assert torch.equal(t[:, 0::2, 1:], xs) and not t[:, 0::2, 0].any()
    assert torch.equal(t[:, 1::2, 0], ys) and not t[:, 1::2, 1:].any()


@pytest.mark.parametrize("doubled", [False, True])
@pytest.mark.parametrize("projected", [False, True])
def test_against_one_token_at_a_time(projected, doubled):
    """A slow transcription with Python loops over sequences, tokens and heads."""
    a = dataclasses.replace(SMALL, output_projection=projected, doubled_residual=doubled)
    p, (xs, ys) = model(a), data(a, batch=2)
    expected = torch.stack([_slow(p, x, y, a) for x, y in zip(xs, ys, strict=True)])
    assert torch.allclose(predict(p, xs, ys, a), expected, atol=1e-12)


def _slow(p, x, y, a):
    def norm(row, name):
        centred = row - row.mean()
        return (
            centred / (centred.square().mean() + 1e-5).sqrt() * p[name + ".weight"]
            + p[name + ".bias"]
        )

    width = a.width // a.num_heads
    stream = []
    for t in range(a.num_tokens):
        token = torch.zeros(a.token_width).double()
        if t % 2 == 0:
            token[1:] = x[t // 2]
        else:
            token[0] = y[t // 2]
        stream.append(p["token_embedding"] @ token + p["position_embedding"][t])
    for layer in range(a.num_layers):
        q = f"layers.{layer}."
        qkv = [p[q + "qkv"] @ norm(row, q + "attention_norm") for row in stream]
        after = []
        for t, row in enumerate(stream):
            heads = []
            for head in range(a.num_heads):
                part = [
                    slice(i * a.width + head * width, i * a.width + (head + 1) * width)
                    for i in range(3)
                ]
                scores = torch.stack(
                    [qkv[t][part[0]] @ qkv[s][part[1]] / math.sqrt(width) for s in range(t + 1)]
                )
                weights = scores.exp() / scores.exp().sum()
                heads.append(sum(w * qkv[s][part[2]] for s, w in enumerate(weights)))
            mixed = torch.cat(heads)
            middle = row + (p[q + "output_projection"] @ mixed if a.output_projection else mixed)
            hidden = p[q + "mlp_in.weight"] @ norm(middle, q + "mlp_norm") + p[q + "mlp_in.bias"]
            out = middle + p[q + "mlp_out.weight"] @ hidden.clamp(min=0) + p[q + "mlp_out.bias"]
            after.append(row + out if a.doubled_residual else out)
        stream = after
    outputs = [p["head.weight"] @ norm(row, "final_norm") + p["head.bias"] for row in stream]
    return torch.stack([outputs[t][0] for t in range(0, a.num_tokens, 2)])


def test_loss_is_the_mean_square_over_positions():
    p, (xs, ys) = model(SMALL), data(SMALL)
    errors = predict(p, xs, ys, SMALL) - ys
    expected = torch.tensor([sum(e**2 for e in row) / 4 for row in errors.tolist()]).double()
    assert torch.allclose(sequence_losses(p, xs, ys, SMALL), expected)


def test_initialisation_is_pytorchs_default():
    p = unflatten(initial_parameters(PAPER, 0), PAPER)
    for name, value in p.items():
        if "norm" in name:
            assert torch.equal(value, torch.full_like(value, float(name.endswith("weight"))))
            continue
        fan_in = 32 if name == "position_embedding" else p[name.replace("bias", "weight")].shape[-1]
        bound = 1 / math.sqrt(fan_in)
        assert value.abs().max() <= bound
        if value.numel() > 100:
            assert value.std() == pytest.approx(bound / math.sqrt(3), rel=0.1)
    assert set(p) == set(parameter_shapes(PAPER))


def test_initialisation_depends_on_the_seed_alone():
    assert torch.equal(initial_parameters(SMALL, 1), initial_parameters(SMALL, 1))
    assert not torch.equal(initial_parameters(SMALL, 1), initial_parameters(SMALL, 2))
