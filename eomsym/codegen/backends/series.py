"""The Taylor stepper of a kernel: the instructions of its truncated equation, and the compiled module that runs them."""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass
from functools import cache

import numpy as np

from eomsym.codegen import source
from eomsym.codegen import stepper as written
from eomsym.codegen.backends.explicit import Explicit
from eomsym.codegen.backends.levels import Levels
from eomsym.codegen.store import load
from eomsym.losses.functions import FUNCTIONS
from eomsym.taylor.plan import Plan

__all__ = ["Integration", "Stepper"]

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


@dataclass(frozen=True)
class Integration:
    """What the stepper returns for some trajectories.

    Attributes
    ----------
    states : ndarray, shape (jobs, times, n)
        What a trajectory did not reach is not set.
    status : ndarray of int, shape (jobs,)
        1 done; 2 not finite at the start, 3 later; 4 no step is short enough; 5 too many steps.
    steps, reached : ndarray of int, shape (jobs,)
        Steps taken, and times reached.
    stopped : ndarray, shape (jobs,)
        Time at which the last step began.
    pieces, coefficients : ndarray, shape (steps, 2), (steps, degree + 1, n)
        Where they were asked for: time and length of each step of the first trajectory, and its Taylor coefficients.
    """

    states: np.ndarray
    status: np.ndarray
    steps: np.ndarray
    reached: np.ndarray
    stopped: np.ndarray
    pieces: np.ndarray
    coefficients: np.ndarray


class Stepper:
    """The Taylor stepper of one truncated equation.

    Parameters
    ----------
    plan : Plan
        Of the terms of a circuit, to `order`.
    order : int
        Of the equation.
    lanes : {2, 8}
        Trajectories side by side.
    limit : int
        Most operations of the tape.

    Raises
    ------
    SizeError
        The tape is longer.
    """

    def __init__(self, plan: Plan, order: int, lanes: int, limit: int) -> None:
        form = Explicit(plan, order, limit)
        self.size, self.lanes = plan.size, lanes
        self.levels = Levels(form.tape, form.terms, plan.size, lanes)
        self._propagate = load(module_source(lanes, tuple(FUNCTIONS))).propagate
        self._numbers: tuple[float, tuple[np.ndarray, np.ndarray]] = (np.nan, (np.zeros(0), np.zeros(0)))
        self._local = threading.local()

    def degree_for(self, rtol: float) -> int:
        """Degree in time with which a tolerance costs least (Jorba and Zou 2005, section 3.2).

        With few instructions a degree costs the calls more than the products, and longer series pay.
        """
        degree = 1.0 - np.log(rtol) / 2
        return max(4, math.ceil(1.35 * degree if len(self.levels.code) < 30 else degree))

    def run(
        self,
        starts: np.ndarray,
        looser: np.ndarray,
        eta: float,
        times: np.ndarray,
        tolerances: tuple[float, float],
        most: int,
        *,
        keep: bool = False,
    ) -> Integration:
        """Integrate from many starts.

        Parameters
        ----------
        starts : ndarray, shape (jobs, n)
        looser : ndarray, shape (jobs,)
            Multiplies the tolerances.
        eta : float
        times : ndarray, shape (m,)
            Monotone.
        tolerances : (float, float)
            Relative and absolute, of one step.
        most : int
            Most steps of a trajectory.
        keep : bool
            Whether the steps of the first trajectory are kept.
        """
        n, levels, jobs = self.size, self.levels, len(starts)
        if self._numbers[0] != eta:
            self._numbers = eta, levels.numbers(eta)
        factors, constants = self._numbers[1]
        degree = self.degree_for(tolerances[0])
        memory = self._memory((degree + 1) * levels.words)
        tops = np.zeros(len(levels.corrections) + 1, dtype=np.int64)
        lanes, clock = np.full((self.lanes + 1, 2), -1), np.zeros((self.lanes, 2))
        lanes[-1] = 0
        limits = np.array([*tolerances, most, degree])
        out, result = np.empty((jobs, len(times), n)), np.zeros((jobs, 4))
        rows = 64 if keep else 0
        kept: list[tuple[np.ndarray, np.ndarray]] = []
        while True:
            pieces, coefficients = np.empty((rows, 2)), np.empty((rows, degree + 1, n))
            count = self._propagate(
                levels.code, levels.targets, levels.columns, factors, constants, levels.corrections, memory, tops,
                starts, looser, times, limits, lanes, clock, result, out, pieces, coefficients,
            )  # fmt: skip
            if keep:
                kept.append((pieces[:count], coefficients[:count]))
            if count < rows or not keep:
                break
        if keep:
            pieces, coefficients = (np.concatenate(parts) for parts in zip(*kept, strict=True))
        status, steps, reached = result[:, :3].T.astype(np.int64)
        return Integration(out, status, steps, reached, result[:, 3], pieces, coefficients)

    def _memory(self, size: int) -> np.ndarray:
        """Zeros, of this thread."""
        known: np.ndarray | None = getattr(self._local, "memory", None)
        if known is None or known.size != size:
            known = np.zeros(size)
            self._local.memory = known
        elif len(self.levels.corrections):  # what lies beyond the degrees of a correction must be zero
            known[:] = 0.0
        return known
