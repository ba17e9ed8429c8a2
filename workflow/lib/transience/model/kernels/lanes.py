"""Sixteen float32 numbers that Numba kernels compute with side by side (ours).

`Lanes` is an LLVM vector: one AVX-512 register, two of AVX2 or four of NEON. Numba's automatic
vectoriser loses most of the speed on the short loops of attention, and has no vectorised exp.

In compiled code: `load(address, i)`, `store(address, i, lanes)`, `splat(number)`, `+ - * /`,
`where_less(a, b, yes, no)`, `lane_sum(lanes)`, `square_root(lanes)`, `exp(lanes)`. Addresses are
integers, indices count float32 numbers, and nothing checks them. Comparisons with NaN are false.
"""

import operator

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, lower_builtin, models, register_model, type_callable

from transience.model.kernels.compilation import FLAGS, compiled

WIDTH = 16

_NUMBER = ir.FloatType()
_FLOATS = ir.VectorType(_NUMBER, WIDTH)
_INTEGERS = ir.VectorType(ir.IntType(32), WIDTH)


class LanesType(types.Type):
    """Numba's type of a vector of sixteen float32 numbers."""

    def __init__(self) -> None:
        super().__init__(name="Lanes")


LANES = LanesType()


@register_model(LanesType)
class _LanesModel(models.PrimitiveModel):
    def __init__(self, manager, numba_type):
        super().__init__(manager, numba_type, _FLOATS)


def _define_operator(function, instruction: str) -> None:
    @type_callable(function)
    def _(context):
        def typer(a, b):
            return LANES if a == LANES and b == LANES else None

        return typer

    @lower_builtin(function, LanesType, LanesType)
    def _(context, builder, signature, arguments):
        return getattr(builder, instruction)(*arguments, flags=sorted(FLAGS))


_define_operator(operator.add, "fadd")
_define_operator(operator.sub, "fsub")
_define_operator(operator.mul, "fmul")
_define_operator(operator.truediv, "fdiv")


def _pointer(builder, address, index, target):
    start = builder.inttoptr(address, _NUMBER.as_pointer())
    element = builder.gep(start, [index], source_etype=_NUMBER)
    return builder.bitcast(element, target.as_pointer())


def _call(builder, name, result, arguments, **options):
    """Call an LLVM intrinsic function for vectors of sixteen."""
    function_type = ir.FunctionType(result, [argument.type for argument in arguments])
    name = name.format(f"v{WIDTH}f32")
    function = cgutils.get_or_insert_function(builder.module, function_type, name)
    return builder.call(function, arguments, **options)


def _splat(builder, number, vector):
    first = builder.insert_element(ir.Constant(vector, ir.Undefined), number, ir.IntType(32)(0))
    everywhere = ir.Constant(_INTEGERS, [0] * WIDTH)
    return builder.shuffle_vector(first, ir.Constant(vector, ir.Undefined), everywhere)


@intrinsic
def load(typing_context, address, index):
    """Read sixteen consecutive numbers."""

    def generate(context, builder, signature, arguments):
        return builder.load(_pointer(builder, *arguments, _FLOATS), align=4, typ=_FLOATS)

    return LANES(types.int64, types.int64), generate


@intrinsic
def store(typing_context, address, index, lanes):
    """Write sixteen consecutive numbers."""

    def generate(context, builder, signature, arguments):
        builder.store(arguments[2], _pointer(builder, *arguments[:2], _FLOATS), align=4)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64, LANES), generate


def _first(builder, count):
    """Mask of the first ``count`` lanes."""
    lanes = ir.Constant(_INTEGERS, list(range(WIDTH)))
    counts = _splat(builder, builder.trunc(count, ir.IntType(32)), _INTEGERS)
    return builder.icmp_signed("<", lanes, counts)


@intrinsic
def load_first(typing_context, address, index, count):
    """Read at most ``count`` consecutive numbers, and zeros."""

    def generate(context, builder, signature, arguments):
        pointer = _pointer(builder, *arguments[:2], _FLOATS)
        parts = [pointer, ir.IntType(32)(4), _first(builder, arguments[2])]
        parts.append(ir.Constant(_FLOATS, [0.0] * WIDTH))
        return _call(builder, "llvm.masked.load.{}.p0", _FLOATS, parts)

    return LANES(types.int64, types.int64, types.int64), generate


@intrinsic
def store_first(typing_context, address, index, count, lanes):
    """Write at most ``count`` consecutive numbers."""

    def generate(context, builder, signature, arguments):
        pointer = _pointer(builder, *arguments[:2], _FLOATS)
        parts = [arguments[3], pointer, ir.IntType(32)(4), _first(builder, arguments[2])]
        _call(builder, "llvm.masked.store.{}.p0", ir.VoidType(), parts)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64, types.int64, LANES), generate


@intrinsic
def load_number(typing_context, address, index):
    """Read one number."""

    def generate(context, builder, signature, arguments):
        return builder.load(_pointer(builder, *arguments, _NUMBER), align=4, typ=_NUMBER)

    return types.float32(types.int64, types.int64), generate


@intrinsic
def add_to_number(typing_context, address, index, number):
    """Add to one number in memory."""

    def generate(context, builder, signature, arguments):
        pointer = _pointer(builder, *arguments[:2], _NUMBER)
        old = builder.load(pointer, align=4, typ=_NUMBER)
        builder.store(builder.fadd(old, arguments[2]), pointer, align=4)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64, types.float32), generate


@intrinsic
def splat(typing_context, number):
    """Sixteen copies of a number."""

    def generate(context, builder, signature, arguments):
        return _splat(builder, arguments[0], _FLOATS)

    return LANES(types.float32), generate


@intrinsic
def where_less(typing_context, a, b, yes, no):
    """In every lane: ``yes`` where a < b, else ``no``, also where either is NaN."""

    def generate(context, builder, signature, arguments):
        a, b, yes, no = arguments
        return builder.select(builder.fcmp_ordered("<", a, b), yes, no)

    return LANES(LANES, LANES, LANES, LANES), generate


@intrinsic
def lane_sum(typing_context, lanes):
    """Sum of the sixteen numbers, as a tree."""

    def generate(context, builder, signature, arguments):
        parts = [_NUMBER(0.0), *arguments]
        name = "llvm.vector.reduce.fadd.{}"
        return _call(builder, name, _NUMBER, parts, fastmath=("reassoc",))

    return types.float32(LANES), generate


def _unary(name: str):
    """Intrinsic for an LLVM function of every lane."""

    @intrinsic
    def function(typing_context, lanes):
        def generate(context, builder, signature, arguments):
            return _call(builder, f"llvm.{name}" + ".{}", _FLOATS, arguments)

        return LANES(LANES), generate

    return function


square_root = _unary("sqrt")
_floor = _unary("floor")


@intrinsic
def _power_of_two(typing_context, exponents):
    """2^n of whole numbers n in [-126, 127], by writing the exponent's bits."""

    def generate(context, builder, signature, arguments):
        whole = builder.fptosi(arguments[0], _INTEGERS)
        biased = builder.add(whole, ir.Constant(_INTEGERS, [127] * WIDTH))
        bits = builder.shl(biased, ir.Constant(_INTEGERS, [23] * WIDTH))
        return builder.bitcast(bits, _FLOATS)

    return LANES(LANES), generate


LOG2_E = np.float32(np.log2(np.e))
LN2_HIGH = np.float32(0.693359375)  # its product with a small whole number is exact
LN2_LOW = np.float32(np.log(2) - 0.693359375)
LEAST_EXPONENT = np.float32(-50)
_COEFFICIENTS = (  # Cephes' expf: (e^r - 1 - r) / r² on |r| <= ln(2)/2
    1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3,
    4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1,
)  # fmt: skip
C0, C1, C2, C3, C4, C5 = (np.float32(c) for c in _COEFFICIENTS)


@compiled
def exp(x):
    """e^x for x <= 88, within 2 units in the last place; 0 below e^-50.

    The cut keeps attention weights out of the denormal numbers, which are slow, and changes
    nothing: the largest of the weights that it's added to is at least 1/T.
    """
    one = splat(np.float32(1))
    n = _floor(x * splat(LOG2_E) + splat(np.float32(0.5)))
    r = x - n * splat(LN2_HIGH) - n * splat(LN2_LOW)
    series = splat(C0) * r + splat(C1)
    series = series * r + splat(C2)
    series = series * r + splat(C3)
    series = series * r + splat(C4)
    series = series * r + splat(C5)
    power = (series * r * r + r + one) * _power_of_two(n)
    return where_less(x, splat(LEAST_EXPONENT), splat(np.float32(0)), power)
