"""The time-step-size Taylor table: all counter terms of a program in polynomial time, over any ring.

With ``y(s, eta) = sum y_ij s**i eta**j`` the exact modified flow of a discrete method and ``b = F(y)``,

    a_ij = sum_k chi_k (i+k)!/i! b_(i+k, j-k),        y_(i+1, j) = a_ij / (i+1),

so the forms of total degree d of ``a`` and the forms of degree d + 1 of ``y`` follow from those of degree d of ``b``:
the loop runs over the total degree only. ``-term_j`` is ``a_0j``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from eomsym.exact.methods import MethodSeries
from eomsym.losses.program import Number, Program
from eomsym.taylor.motion import motion
from eomsym.taylor.primitives import FUNCTIONS, MACHINES, PRIMITIVES
from eomsym.taylor.rules import Writer

__all__ = ["Plan", "counter_terms_at", "entries", "is_plain", "weights"]


_FUNCTION_NAMES = {place: name for name, place in FUNCTIONS.items()}


def entries(order: int) -> int:
    """Entries of a table for terms 0..order."""
    return (order + 1) * (order + 2) // 2


class Plan:
    """A program as code for the machine of Taylor tables.

    Attributes
    ----------
    code : ndarray of int64, shape (lines, 8)
        ``primitive, out, a, b, i, j, k, at``; a table is named by its beginning in tables of one entry.
    comments : tuple of str, one for each line
    table : ndarray of int64
    pieces : tuple of ndarray
        Constants, one behind the other: exact numbers (object) and data (float64).
    lanes : int
        Numbers in one entry of all tables; the scratch memory begins after them.
    field : int
        The table of the vector field g. That of the parameters begins at 0.
    size : int
        Number n of parameters.
    """

    def __init__(self, program: Program) -> None:
        pruned = program.pruned(program.outputs[-1:])
        writer = Writer(pruned)
        self.size = pruned.size
        self.field = writer.starts[pruned.outputs[0]]
        self.lanes = writer.lanes
        self.scratch = writer.scratch
        self.code = np.array(writer.code, dtype=np.int64).reshape(-1, 8)
        self.comments = tuple(writer.comments)
        self.table = np.array(writer.table or [0], dtype=np.int64)
        self.pieces = tuple(writer.constants) or (np.zeros(1),)

    @property
    def primitives(self) -> range:
        """Numbers of the primitives of the smallest machine that has all that the code uses."""
        needed = int(self.code[:, 0].max(initial=0)) + 1
        return range(next(size for size in MACHINES if size >= needed))

    def memory(self, order: int) -> int:
        """Numbers of memory for terms 0..order: tables, scratch, weights of the last degree, the zero of the ring."""
        return self.lanes * entries(order) + self.scratch * (order + 1) + order + 2

    @property
    def constants(self) -> np.ndarray:
        """All constants as objects."""
        return np.concatenate([piece.astype(object) for piece in self.pieces])


def execute(d: int, low: int, m: np.ndarray, machine: tuple[Any, ...]) -> None:
    """Degree d of all tables, as plain Python on any ring: the reading that the generated one repeats."""
    code, table, c, count, scratch, values = machine
    for primitive, out, a, b, i, j, k, at in code.tolist():
        function = PRIMITIVES[primitive]
        name = function.__name__
        if values is not None and (name, j) in _FUNCTION_NAMES:
            for q in range(i if d == 0 else 0):
                m[out * count + q] = values(_FUNCTION_NAMES[name, j], m[a * count + q], c[at])
            continue
        if name == "matmul":
            at = scratch
        if name != "combine":  # its third argument is not a table
            b *= count
        function(d, low, m, c, table, out * count, a * count, b, i, j, k, at)


def weights(coefficients: Sequence[Sequence[Number]], count: int) -> list[list[list[Number]]]:
    """``w[s][p][h] = coefficients[s][h] * (p+h)!/p!``: what the operator series does to powers of s."""
    result = []
    for series in coefficients:
        rows = []
        for p in range(count):
            rising = 1
            row = []
            for h in range(count):
                row.append(series[h] * rising)
                rising *= p + h + 1
            rows.append(row)
        result.append(rows)
    return result


def is_plain(series: MethodSeries) -> bool:
    """Whether the gradient is taken at the iterates themselves, so that ``y(0, eta) = theta`` is all it sees."""
    trivial = all(value == (1 if h == 0 else 0) for psi in series.psi for h, value in enumerate(psi))
    return trivial and all(a == 0 for row in series.coupling for a in row)


def counter_terms_at(
    plan: Plan,
    theta: Sequence[Any],
    series: MethodSeries,
    order: int,
    ring: Callable[[Any], Any] = Fraction,
    values: Callable[[str, Any, Any], Any] | None = None,
) -> np.ndarray:
    """Terms 0..order at one point over any ring, by the rules as plain Python.

    Parameters
    ----------
    plan : Plan
    theta : sequence of n ring elements
    series : MethodSeries
        At least ``order + 1`` coefficients.
    order : int
    ring : callable
        Makes a ring element from an exact number (int, Fraction or sympy number); `float` gives the reference
        for the compiled kernels, `Fraction` exact rationals.
    values : callable, optional
        ``values(name, x, exponent)`` gives the value of a function where NumPy cannot; the exponent is that of
        ``"power"``.

    Returns
    -------
    numpy.ndarray
        Shape (order+1, n), object dtype.
    """
    count, n, stages = entries(order), plan.size, len(series.chi)

    def array(numbers: Any) -> np.ndarray:
        source = np.array(numbers, dtype=object)
        out = np.empty(source.shape, dtype=object)
        for place in np.ndindex(source.shape):
            out[place] = ring(source[place])
        return out

    zero = ring(0)
    m = np.full((stages, plan.memory(order)), zero, dtype=object)
    y = np.full(n * entries(order + 1) + 1, zero, dtype=object)
    points = np.empty((1, n), dtype=object)
    points[0] = list(theta)
    push = np.full(n, zero, dtype=object)
    out = np.full((1, order + 1, n), zero, dtype=object)
    machine = (plan.code, plan.table, array(plan.constants), count, plan.lanes * count, values)
    psi, chi = array(weights(series.psi, order + 1)), array(weights(series.chi, order + 1))
    low = int(is_plain(series))
    motion(  # type: ignore[no-untyped-call]
        execute, machine, points, order, low, m, plan.field * count, psi, array(series.coupling), chi, push, y, out
    )
    result: np.ndarray = out[0]
    return result
