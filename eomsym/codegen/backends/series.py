"""The Taylor stepper of a kernel: its truncated equation as instructions, and the module that runs them."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Sequence
from functools import cache
from typing import NamedTuple

import numpy as np

from eomsym.codegen import source
from eomsym.codegen import stepper as written
from eomsym.codegen.backends.explicit import Explicit
from eomsym.codegen.backends.levels import Levels
from eomsym.codegen.store import load
from eomsym.losses.functions import FUNCTIONS
from eomsym.taylor.plan import Plan
from eomsym.taylor.rings.tape import Tape

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


def repeated(builder, count, firsts, more):
    """A loop in machine code: vectors become ``more(k, vectors)`` for k below count."""
    before = builder.block
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
    for vector, new in zip(found, more(k, found)):
        vector.add_incoming(new, builder.block)
    k.add_incoming(builder.add(k, word(1)), builder.block)
    builder.branch(head)
    builder.position_at_end(behind)
    return found


def total(builder, count, firsts, more):
    """Sums of vectors: ``firsts`` and ``more(k)`` for k below count."""
    return repeated(
        builder,
        count,
        firsts,
        lambda k, found: [builder.fadd(x, y, flags=FUSED) for x, y in zip(found, more(k))],
    )


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
            if width > 8:
                found = total(builder, count, [zero], lambda k: [product(k)])[0]
            else:  # two sums side by side: one waits for itself

                def two(k):
                    first = builder.shl(k, one)
                    return [product(first), product(builder.add(first, one))]

                pairs = total(builder, builder.ashr(count, one), [zero, zero], two)
                odd = builder.and_(count, one)
                rest = total(builder, odd, pairs[:1], lambda k: [product(builder.sub(count, one))])
                found = builder.fadd(rest[0], pairs[1], flags=FUSED)
            builder.store(found, builder.inttoptr(z, kind.as_pointer()), align=8)
            return context.get_dummy_value()

        return types.void(*[types.int64] * 5), build

    return intrinsic(typed)


convolve2, convolve4, convolve8, convolve16 = (convolution_of(width) for width in (2, 4, 8, 16))


def sum_of(terms):
    """Machine code for a scaled sum of places of a row times factors, more than four in rounds of four."""

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
            found = part(word(0)) if terms <= 4 else total(builder, rounds, [zero], lambda k: [part(k)])[0]
            builder.store(builder.fmul(found, spread(scale)), builder.inttoptr(z, kind.as_pointer()), align=8)
            return context.get_dummy_value()

        return types.void(*[types.int64] * 5, types.float64), build

    return intrinsic(typed)


@intrinsic
def move(context, place, stride, order, lengths):
    """Polynomials of `LANES` trajectories after a time of their own each, in the place of their first coefficients."""

    def build(context, builder, signature, arguments):
        place, stride, order, lengths = arguments
        kind, one = ir.VectorType(ir.DoubleType(), LANES), ir.IntType(64)(1)
        h = at(builder, lengths, kind)
        top = builder.add(place, builder.mul(stride, order))

        def next_sum(k, found):
            row = builder.sub(top, builder.mul(stride, builder.add(k, one)))
            return builder.fadd(builder.fmul(found, h, flags=FUSED), at(builder, row, kind), flags=FUSED)

        found = repeated(builder, order, [at(builder, top, kind)], lambda k, found: [next_sum(k, found[0])])
        builder.store(found[0], builder.inttoptr(place, kind.as_pointer()), align=8)
        return context.get_dummy_value()

    return types.void(*[types.int64] * 4), build


sum1, sum2, sum3, sum4, sum5 = (sum_of(terms) for terms in (1, 2, 3, 4, 5))
'''.strip()

_TYPES = (
    "int64(int64[::1], int64[::1], float64[::1], int64[::1], float64[:, ::1], float64[::1], float64[::1], "
    "float64[::1], int64[:, ::1], float64[:, ::1], float64[:, ::1], float64[:, :, ::1], float64[:, ::1], "
    "float64[:, :, ::1])"
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


_NONE, _NO_SERIES = np.zeros((0, 3)), np.zeros((0, 1, 1))

#: Products of coefficients between two looks at the clock: some 10 ms.
PIECE = 1e8


class Integration(NamedTuple):
    """What the stepper returns for some trajectories.

    Attributes
    ----------
    states : ndarray, shape (jobs, times, n)
        What a trajectory did not reach is not set.
    result : ndarray, shape (jobs, 4)
        Status (1 done; 2 not finite at the start, 3 later; 4 no step is short enough; 5 too many steps), steps taken,
        number of times reached, and time at which the last step began.
    pieces, coefficients : ndarray, shape (steps, 3), (steps, degree + 1, n)
        Where they were asked for: time and length of each step of the first trajectory and the unit of time of its
        Taylor coefficients, and these.
    """

    states: np.ndarray
    result: np.ndarray
    pieces: np.ndarray
    coefficients: np.ndarray


class Stepper:
    """The Taylor stepper of one truncated equation.

    Parameters
    ----------
    tape : Tape
    terms : sequence of sequence of int
        Places of its terms on the tape: the velocity is ``-sum_k eta**k terms[k]``.
    lanes : {2, 8}
        Trajectories side by side.
    """

    def __init__(self, tape: Tape, terms: Sequence[Sequence[int]], lanes: int) -> None:
        self.size, self.lanes = len(terms[0]), lanes
        self.levels = Levels(tape, terms, self.size, lanes)
        self._propagate = load(module_source(lanes, tuple(FUNCTIONS))).propagate
        self._numbers = self._addressed(1.0)
        self._local = threading.local()
        self._free_lanes = np.full((lanes + 1, 2), -1)
        self._free_lanes[-1] = 0
        self._no_tops = np.zeros(len(self.levels.corrections) + 1, dtype=np.int64)
        self._degrees: dict[float, int] = {}

    @classmethod
    def of(cls, plan: Plan, order: int, lanes: int, limit: int) -> Stepper:
        """The stepper of the terms 0..order of a plan.

        Raises
        ------
        SizeError
            They are more than `limit` operations.
        """
        form = Explicit(plan, order, limit)
        return cls(form.tape, form.terms, lanes)

    def degree_for(self, rtol: float) -> int:
        """Degree in time with which a tolerance costs least (Jorba and Zou 2005, section 3.2).

        With few instructions a degree costs the calls more than the products, and longer series pay.
        """
        known = self._degrees.get(rtol)
        if known is None:
            degree = 1.0 - math.log(rtol) / 2
            known = max(4, math.ceil(1.35 * degree if len(self.levels.code) < 30 else degree))
            if len(self._degrees) < 64:
                self._degrees[rtol] = known
        return known

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
        tightest: float | None = None,
        look: Callable[[np.ndarray], None] | None = None,
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
        tightest : float, optional
            The least of `looser`, where it is known.
        look : callable, optional
            Called now and then with the result so far; an error that it raises ends the work. Not with `keep`.
        """
        levels, jobs = self.levels, len(starts)
        numbers = self._numbers
        if numbers[0] != eta:
            numbers = self._numbers = self._addressed(eta)
        degree = self.degree_for(tolerances[0] * (float(looser.min()) if tightest is None else tightest))
        lanes = self._free_lanes.copy()
        out, result = np.empty((jobs, len(times), self.size)), np.zeros((jobs, 4))
        fixed = (
            numbers[1], levels.corrections, self._memory((degree + 1) * levels.words),
            self._no_tops.copy(), starts, looser, times,
            np.array([*tolerances, most, degree, np.inf if look is None else self._piece(degree), _unit(times)]), lanes,
            np.empty((self.lanes, 3)), result, out,
        )  # fmt: skip
        if not keep:
            self._propagate(*fixed, _NONE, _NO_SERIES)
            while look is not None and not result[:, 0].all():
                look(result)
                self._propagate(*fixed, _NONE, _NO_SERIES)
            return Integration(out, result, _NONE, _NO_SERIES)
        kept = []
        count = rows = 64
        while count == rows:
            pieces, coefficients = np.empty((rows, 3)), np.empty((rows, degree + 1, self.size))
            count = self._propagate(*fixed, pieces, coefficients)
            kept.append((pieces[:count], coefficients[:count]))
        return Integration(out, result, *(np.concatenate(parts) for parts in zip(*kept, strict=True)))

    def _piece(self, degree: int) -> float:
        """Steps between two looks at the clock."""
        return 1.0 + PIECE // (self.levels.words * degree**2)

    def _addressed(self, eta: float) -> tuple[float, np.ndarray, tuple[np.ndarray, ...]]:
        """A learning rate, the addresses of the program with its numbers, and those numbers, to keep them alive."""
        levels, numbers = self.levels, self.levels.numbers(eta)
        arrays = levels.targets, levels.columns, *numbers
        places = [levels.code.ctypes.data, len(levels.code), *(array.ctypes.data for array in arrays)]
        return eta, np.array(places, dtype=np.int64), numbers

    def _memory(self, size: int) -> np.ndarray:
        """Zeros, of this thread."""
        known: np.ndarray | None = getattr(self._local, "memory", None)
        if known is None or known.size != size:
            known = np.zeros(size)
            self._local.memory = known
        elif len(self.levels.corrections):  # what lies beyond the degrees of a correction must be zero
            known[:] = 0.0
        return known


def _unit(times: np.ndarray) -> float:
    """The largest power of two in a time: the first unit of its Taylor coefficients."""
    return math.ldexp(0.5, math.frexp(abs(times[-1] - times[0]))[1])
