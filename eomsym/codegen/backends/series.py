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
@intrinsic
def word(context, address, index):
    """An integer of an array that begins at an address."""

    def build(context, builder, signature, arguments):
        shift = builder.mul(arguments[1], ir.IntType(64)(8))
        return at(builder, builder.add(arguments[0], shift), ir.IntType(64))

    return types.int64(types.int64, types.int64), build


@intrinsic
def real(context, address, index):
    """A number of an array that begins at an address."""

    def build(context, builder, signature, arguments):
        shift = builder.mul(arguments[1], ir.IntType(64)(8))
        return at(builder, builder.add(arguments[0], shift), ir.DoubleType())

    return types.float64(types.int64, types.int64), build


@intrinsic
def put(context, address, number):
    """Write a number at an address."""

    def build(context, builder, signature, arguments):
        builder.store(arguments[1], builder.inttoptr(arguments[0], ir.DoubleType().as_pointer()), align=8)
        return context.get_dummy_value()

    return types.void(types.int64, types.float64), build


def at(builder, address, kind):
    """What stands at an address."""
    return builder.load(builder.inttoptr(address, kind.as_pointer()), align=8)


def total(builder, count, first, more):
    """A sum of vectors in machine code: `first` and ``more(k)`` for k below count; or several, in lists."""
    several = isinstance(first, list)
    before, firsts = builder.block, first if several else [first]
    head, inside, behind = (builder.append_basic_block(name) for name in ("head", "inside", "behind"))
    word = ir.IntType(64)
    builder.branch(head)
    builder.position_at_end(head)
    k, found = builder.phi(word), [builder.phi(vector.type) for vector in firsts]
    k.add_incoming(word(0), before)
    for vector, start in zip(found, firsts):
        vector.add_incoming(start, before)
    builder.cbranch(builder.icmp_signed("<", k, count), inside, behind)
    builder.position_at_end(inside)
    parts = more(k) if several else [more(k)]
    for vector, part in zip(found, parts):
        vector.add_incoming(builder.fadd(vector, part, flags=FUSED), builder.block)
    k.add_incoming(builder.add(k, word(1)), builder.block)
    builder.branch(head)
    builder.position_at_end(behind)
    return found if several else found[0]


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

            zero, one = ir.Constant(kind, [0.0] * width), ir.IntType(64)(1)
            if width > 4:
                found = total(builder, count, zero, product)
            else:  # two sums side by side: one waits for itself

                def two(k):
                    first = builder.shl(k, one)
                    return [product(first), product(builder.add(first, one))]

                pairs = total(builder, builder.ashr(count, one), [zero, zero], two)
                odd = builder.and_(count, one)
                rest = total(builder, odd, pairs[0], lambda k: product(builder.sub(count, one)))
                found = builder.fadd(rest, pairs[1], flags=FUSED)
            builder.store(found, builder.inttoptr(z, kind.as_pointer()), align=8)
            return context.get_dummy_value()

        return types.void(*[types.int64] * 5), build

    return intrinsic(typed)


convolve2, convolve4, convolve8, convolve16 = (convolution_of(width) for width in (2, 4, 8, 16))


def sum_of(terms):
    """Machine code for a scaled sum of places of a row times factors, so many at once; more than four in rounds of four."""

    def typed(context, z, row, columns, factors, rounds, scale):
        def build(context, builder, signature, arguments):
            z, row, columns, factors, rounds, scale = arguments
            kind, number, word = ir.VectorType(ir.DoubleType(), LANES), ir.DoubleType(), ir.IntType(64)

            def spread(value):
                one = builder.insert_element(ir.Constant(kind, ir.Undefined), value, ir.IntType(32)(0))
                mask = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)
                return builder.shuffle_vector(one, ir.Constant(kind, ir.Undefined), mask)

            def part(k):
                found = None
                for term in range(min(terms, 4)):
                    shift = builder.add(builder.mul(k, word(32)), word(8 * term))
                    place = at(builder, builder.add(columns, shift), word)
                    factor = spread(at(builder, builder.add(factors, shift), number))
                    more = builder.fmul(at(builder, builder.add(row, place), kind), factor, flags=FUSED)
                    found = more if found is None else builder.fadd(found, more, flags=FUSED)
                return found

            zero = ir.Constant(kind, [0.0] * LANES)
            found = part(word(0)) if terms <= 4 else total(builder, rounds, zero, part)
            builder.store(builder.fmul(found, spread(scale)), builder.inttoptr(z, kind.as_pointer()), align=8)
            return context.get_dummy_value()

        return types.void(*[types.int64] * 5, types.float64), build

    return intrinsic(typed)


sum1, sum2, sum3, sum4, sum5 = (sum_of(terms) for terms in (1, 2, 3, 4, 5))
'''.strip()

_TYPES = (
    "int64(int64[:, ::1], int64[::1], int64[::1], float64[::1], float64[::1], int64[::1], float64[::1], int64[::1], "
    "float64[:, ::1], float64[::1], float64[::1], float64[::1], int64[:, ::1], float64[:, ::1], float64[:, ::1], "
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
