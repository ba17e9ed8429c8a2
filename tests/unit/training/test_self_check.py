"""What a compiled step must not do, and what it says if it does."""

import pytest
import torch
from small import small_run

from transience.errors import InputError
from transience.model.loss_and_gradient import LossAndGradient
from transience.model.transformer import initial_parameters, parameter_shapes, unflatten
from transience.training.self_check import LIMITS, OF_A_BLOCK, PIECE, check, in_float64

ARCHITECTURE = small_run().architecture


def point(sequences):
    stream = torch.Generator().manual_seed(0)
    vector = initial_parameters(ARCHITECTURE, 0)
    xs = torch.randn(sequences, ARCHITECTURE.num_examples, 2, generator=stream)
    return vector, xs, torch.randn(xs.shape[:2], generator=stream)


@pytest.mark.parametrize("sequences", [1, PIECE, PIECE + 5])
def test_the_reference_is_the_gradient(sequences):
    given = [tensor.double() for tensor in point(sequences)]
    for found, exact in zip(
        in_float64(ARCHITECTURE, *given), LossAndGradient(ARCHITECTURE)(*given), strict=True
    ):
        torch.testing.assert_close(found, exact, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("precision", LIMITS)
@pytest.mark.parametrize("part", [0, 1])
@pytest.mark.parametrize("wrong", [2.0, float("nan")])
def test_what_is_wrong_is_told_from_what_is_rounded(precision, part, wrong):
    given = point(16)
    exact = in_float64(ARCHITECTURE, *given)
    found = [tensor * (1 + 0.5 * LIMITS[precision]) for tensor in exact]
    check(found, exact, precision, ARCHITECTURE)
    found[part] = exact[part] * (1 + wrong * LIMITS[precision])
    name = ("losses", "gradient")[part]
    with pytest.raises(InputError, match=rf"wrong {name}: in {precision} expected .* found"):
        check(found, exact, precision, ARCHITECTURE)


@pytest.mark.parametrize("precision", OF_A_BLOCK)
@pytest.mark.parametrize("name", parameter_shapes(ARCHITECTURE))
def test_a_block_that_was_not_written_is_told(precision, name):
    """However little it adds to the whole, as for the weights of a norm."""
    losses, exact = in_float64(ARCHITECTURE, *point(16))
    found = exact * (1 + 0.5 * LIMITS[precision])
    check((losses, found), (losses, exact), precision, ARCHITECTURE)
    unflatten(found, ARCHITECTURE)[name].zero_()
    with pytest.raises(InputError, match=rf"wrong gradient( of {name})?: in {precision} "):
        check((losses, found), (losses, exact), precision, ARCHITECTURE)


def test_a_block_without_gradient_is_no_error():
    """Such as that of units that are dead on a whole batch."""
    losses, exact = in_float64(ARCHITECTURE, *point(16))
    unflatten(exact, ARCHITECTURE)["layers.0.mlp_in.bias"].zero_()
    check((losses, exact.float()), (losses, exact), "float32", ARCHITECTURE)
