"""The Taylor stepper of a kernel: the instructions of its truncated equation, and the compiled module that runs them."""

from __future__ import annotations

from functools import cache

import numpy as np

from eomsym.codegen import source
from eomsym.codegen import stepper as written
from eomsym.codegen.backends.explicit import Explicit
from eomsym.codegen.backends.levels import Levels
from eomsym.codegen.store import load
from eomsym.losses.functions import FUNCTIONS

_VECTORS = '''
def loop(builder, count, body):
    """A loop in machine code: ``body(k)`` for k below count."""
    before = builder.block
    head, inside, behind = (builder.append_basic_block(name) for name in ("head", "inside", "behind"))
    word = ir.IntType(64)
    builder.branch(head)
    builder.position_at_end(head)
    k = builder.phi(word)
    k.add_incoming(word(0), before)
    builder.cbranch(builder.icmp_signed("<", k, count), inside, behind)
    builder.position_at_end(inside)
    body(k)
    k.add_incoming(builder.add(k, word(1)), builder.block)
    builder.branch(head)
    builder.position_at_end(behind)


def at(builder, address, kind):
    """What stands at an address."""
    return builder.load(builder.inttoptr(address, kind.as_pointer()), align=8)


def total(builder, count, kind, first, more):
    """A sum of vectors: `first` and ``more(k)`` for k below count."""
    place = builder.alloca(kind)
    builder.store(first, place)
    loop(builder, count, lambda k: builder.store(builder.fadd(builder.load(place), more(k), flags=FUSED), place))
    return builder.load(place)


def convolution_of(width):
    """Machine code for the sum over k of a_k b_(-k) of so many numbers."""

    def typed(context, z, a, b, stride, count):
        def build(context, builder, signature, arguments):
            z, a, b, stride, count = arguments
            kind = ir.VectorType(ir.DoubleType(), width)

            def product(k):
                shift = builder.mul(k, stride)
                x, y = at(builder, builder.add(a, shift), kind), at(builder, builder.sub(b, shift), kind)
                return builder.fmul(x, y, flags=FUSED)

            found = total(builder, count, kind, ir.Constant(kind, [0.0] * width), product)
            builder.store(found, builder.inttoptr(z, kind.as_pointer()), align=8)
            return context.get_dummy_value()

        return types.void(*[types.int64] * 5), build

    return intrinsic(typed)


convolve2, convolve4, convolve8, convolve16 = (convolution_of(width) for width in (2, 4, 8, 16))


@intrinsic
def linear(context, z, row, columns, factors, count, constant, scale):
    """A scaled sum of places of a row, times factors, and a constant, for `LANES` trajectories."""

    def build(context, builder, signature, arguments):
        z, row, columns, factors, count, constant, scale = arguments
        kind, number = ir.VectorType(ir.DoubleType(), LANES), ir.DoubleType()

        def spread(value):
            return builder.shuffle_vector(
                builder.insert_element(ir.Constant(kind, ir.Undefined), value, ir.IntType(32)(0)),
                ir.Constant(kind, ir.Undefined),
                ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES),
            )

        def product(k):
            shift = builder.mul(k, ir.IntType(64)(8))
            place = at(builder, builder.add(columns, shift), ir.IntType(64))
            factor = spread(at(builder, builder.add(factors, shift), number))
            return builder.fmul(at(builder, builder.add(row, place), kind), factor, flags=FUSED)

        found = builder.fmul(total(builder, count, kind, spread(constant), product), spread(scale))
        builder.store(found, builder.inttoptr(z, kind.as_pointer()), align=8)
        return context.get_dummy_value()

    return types.void(*[types.int64] * 5, types.float64, types.float64), build
'''.strip()

_TYPES = (
    "int64(int64[:, ::1], int64[::1], int64[::1], float64[::1], float64[::1], float64[::1], int64, float64[:, ::1], "
    "float64[::1], float64[::1], float64[::1], int64[:, ::1], float64[:, ::1], int64[::1], int64[:, ::1], float64[::1], "
    "float64[:, :, ::1], float64[:, ::1], float64[:, :, ::1])"
)


@cache
def module_source(lanes: int, names: tuple[str, ...]) -> str:
    """Source of the stepper for so many trajectories side by side; `names` are the functions that there are."""
    functions = source.functions_of(written)
    parts = [
        '"""The Taylor stepper of the equation of motion."""',
        f"{source.IMPORTS}, types\nfrom numba.extending import intrinsic\nfrom llvmlite import ir",
        f'LANES = {lanes}\nFUSED = ("contract",)',
        _VECTORS,
        source.vector_functions(),
        source.values(names, vector=True),
        *(source.decorated(function) for function in functions[:-1]),
        source.decorated(functions[-1], entry=True, types=_TYPES),
    ]
    return "\n\n\n".join(parts) + "\n"
