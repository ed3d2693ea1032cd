"""What each primitive does to arrays of JAX.

A degree of a table is a list of its entries, each an array with the shape that the table expands, or None where it is
known to vanish. Of the last degree, a table that is asked for one weighted sum of its entries holds that alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import factorial
from typing import Any

import numpy as np

from eomsym.codegen.backends.jax_products import convolution, plus, product
from eomsym.taylor.instructions import SKIP, Instruction

__all__ = ["FUNCTIONS", "Entries", "Sweep"]

Entries = list[Any]


@dataclass(frozen=True)
class Early:
    """What the degree before the last consists of: two sums of entries.

    Attributes
    ----------
    rows : ndarray, shape (2, order)
        Weights of the sum that is the term, and of the one that the last degree reads.
    parts : ndarray, shape (2,)
        What the state reads of the velocity, in these two sums of what the filter is given.
    """

    rows: np.ndarray
    parts: np.ndarray


class Sweep:
    """One degree of all tables.

    Parameters
    ----------
    machine : JaxMachine
    d, order : int
    tables : dict of int to list of lists
        Entries of the lower degrees.
    arrays : dict of int to array
        Constant arrays by their places.
    sums : dict of int to ndarray
        Tables of which this degree is sums of its entries alone; for each sum a row of weights.
    early : Early, optional
        What the degree before the last consists of, if not of all its entries.
    """

    def __init__(
        self,
        machine: Any,
        d: int,
        order: int,
        tables: dict[int, list[Entries]],
        arrays: dict[int, Any],
        sums: dict[int, np.ndarray],
        early: Early | None = None,
    ) -> None:
        self.machine, self.plan, self.d, self.order = machine, machine.plan, d, order
        self.turned: dict[int, int] = machine.turned
        self._below, self._arrays, self._sums = tables, arrays, sums
        self._found: dict[int, Entries] = {}
        self.last, self.early = d == order > 0, early

    def run(self) -> None:
        """All instructions."""
        for lines in self.machine.groups:
            if self.last and lines[0].mix == SKIP:
                continue
            line = lines[0]
            found = _copies(self, lines) if line.primitive == "copy" else PRIMITIVES[line.primitive](self, line)
            if found is not None:
                self._found[line.out] = found

    # tables ---------------------------------------------------------------------------------------------------------

    def give(self, table: int, found: Entries) -> None:
        """Set this degree of a table."""
        self._found[table] = found

    def known(self) -> list[int]:
        """Tables of which this degree was computed."""
        return sorted(self._found)

    def entries(self, table: int, degree: int | None = None) -> Entries:
        """Entries of a degree, this one by default."""
        return self._found[table] if degree is None or degree == self.d else self._below[table][degree]

    def shares(self, line: Instruction) -> np.ndarray | None:
        """The weights of the sums that this degree of its output consists of, or None: all entries."""
        return self._sums.get(line.out)

    def summed(self, line: Instruction) -> bool:
        """Whether this degree of its output is one weighted sum, as the last degree is."""
        return self.last and line.out in self._sums

    def sum(self, line: Instruction, found: Entries) -> Entries:
        """Those sums of all entries."""
        return [weighted(row, found) for row in self._sums[line.out]]

    def shape(self, table: int) -> tuple[int, int]:
        """Of the array that a table expands."""
        shape: tuple[int, int] = self.plan.tables[table].shape
        return shape

    # numbers of an instruction --------------------------------------------------------------------------------------

    def integers(self, line: Instruction, count: int, start: int = 0) -> list[int]:
        """Some of its integers."""
        return [int(x) for x in self.machine.integers[line.integers + start :][:count]]

    def places(self, line: Instruction, count: int, start: int = 0) -> np.ndarray:
        """Many of its integers."""
        return np.asarray(self.machine.integers[line.integers + start :][:count])

    def number(self, line: Instruction, k: int) -> float:
        """One of its numbers."""
        return float(self.machine.numbers[line.numbers + k])

    def numbers(self, line: Instruction, count: int, start: int = 0) -> np.ndarray:
        """Some of its numbers."""
        return np.asarray(self.machine.numbers[line.numbers + start :][:count], dtype=self.machine.dtype)

    def constant(self, line: Instruction, shape: tuple[int, int]) -> Any:
        """Its constant array."""
        return self._arrays[line.numbers].reshape(shape)


def weighted(shares: np.ndarray, found: Entries) -> Any:
    """A sum of entries with weights."""
    total = None
    for share, entry in zip(shares, found, strict=False):
        if entry is not None and share != 0:
            total = plus(total, float(share) * entry)
    return total


def _each(function: Callable[[Any], Any], found: Entries) -> Entries:
    return [None if x is None else function(x) for x in found]


# products -------------------------------------------------------------------------------------------------------------


def _convolve(t: Sweep, line: Instruction) -> Entries | None:
    first, divide, square = t.integers(line, 3)
    d, c = t.d, [t.number(line, k) for k in range(4)]
    if d < first:
        return None
    pieces = []
    for k in range(first, d // 2 + 1 if square else d + 1):
        weight = (c[0] + c[1] * k + c[2] * d) * (2 if square and k < d - k else 1) / (d if divide else 1)
        if weight != 0:
            pieces.append((weight, k, t.entries(line.x, k), t.entries(line.y, d - k)))
    found = convolution(d, pieces, t.shares(line), bool(square), t.last and t.early is not None)
    return [plus(found[0], c[3])] if d == 0 and c[3] != 0 else found


def _times_first(t: Sweep, line: Instruction) -> Entries | None:
    if t.d == 0:
        return None
    first = t.entries(line.x, 0)[0]
    return _each(lambda x: x * first, t.entries(line.out))


def _matmuls(t: Sweep, line: Instruction) -> Entries:
    rows, inner, columns = t.integers(line, 3)
    batch = t.integers(line, 1, 3)[0] if line.primitive == "matmuls" else 1

    def operand(table: int, height: int, width: int) -> tuple[list[Entries], bool]:
        """All degrees, and whether they are to be turned."""
        turned = line.primitive == "matmul" and table in t.turned
        table = t.turned[table] if turned else table
        found = [t.entries(table, k) for k in range(t.d + 1)]
        if batch > 1:
            found = [_each(lambda x: x.reshape(batch, height, width), one) for one in found]
        return found, turned

    left, right = operand(line.x, rows, inner), operand(line.y, inner, columns)
    found = product(t.d, left, right, t.shares(line), t.last and t.early is not None)
    return _each(lambda x: x.reshape(t.shape(line.out)), found)


def _matmul_right(t: Sweep, line: Instruction) -> Entries:
    """The entries below each other are one product."""
    import jax.numpy as jnp

    rows, inner, columns = t.integers(line, 3)
    given = t.entries(line.x)
    known = [e for e, x in enumerate(given) if x is not None]
    right = t.constant(line, (inner, columns))
    if len(known) < 2:
        return _each(lambda x: x @ right, given)
    whole = jnp.concatenate([given[e] for e in known]) @ right
    found: Entries = [None] * len(given)
    for k, e in enumerate(known):
        found[e] = whole[k * rows : (k + 1) * rows]
    return found


def _matmul_left(t: Sweep, line: Instruction) -> Entries:
    rows, inner = t.integers(line, 2)
    left = t.constant(line, (rows, inner))
    return _each(lambda x: left @ x, t.entries(line.x))


# linear maps ----------------------------------------------------------------------------------------------------------


def _combine(t: Sweep, line: Instruction) -> Entries:
    anew, count = t.integers(line, 2)
    rows = t.places(line, count, 2)
    ends = t.places(line, count + 1, 2 + count)
    lanes = t.places(line, int(ends[-1]), 3 + 2 * count)
    shape = t.shape(line.out)
    coefficients = t.numbers(line, lanes.size)
    to = np.repeat(rows, np.diff(ends))

    def part(x: Any) -> Any:
        import jax.numpy as jnp

        return jnp.zeros(shape[0] * shape[1], x.dtype).at[to].add(coefficients * x.ravel()[lanes]).reshape(shape)

    found = _each(part, t.entries(line.x))
    if not anew:
        return [plus(a, b) for a, b in zip(t.entries(line.out), found, strict=True)]
    offset = t.numbers(line, shape[0] * shape[1], lanes.size)
    return [plus(found[0], offset.reshape(shape))] if t.d == 0 else found


def _affine(t: Sweep, line: Instruction) -> Entries:
    first = _each(lambda x: t.number(line, 0) * x, t.entries(line.x))
    if not t.integers(line, 1)[0]:
        return first
    second = _each(lambda y: t.number(line, 1) * y, t.entries(line.y))
    return [plus(a, b) for a, b in zip(first, second, strict=True)]


def _array(t: Sweep, line: Instruction) -> Entries:
    import jax.numpy as jnp

    mode = t.integers(line, 1)[0]
    if mode == 2:
        return _each(lambda x: x * t.constant(line, t.shape(line.out)), t.entries(line.x))
    if mode == 0:
        return [jnp.asarray(t.constant(line, t.shape(line.out)))] if t.d == 0 else _nothing(t, line)
    return [plus(t.entries(line.x)[0], t.constant(line, t.shape(line.out)))] if t.d == 0 else t.entries(line.x)


def _copies(t: Sweep, lines: list[Instruction]) -> Entries:
    """All the pieces of one array."""
    import jax.numpy as jnp

    shape = t.shape(lines[0].out)
    pieces = sorted((*t.integers(line, 3), line.x) for line in lines)
    found: Entries = []
    for e in range(len(t.entries(lines[0].x))):
        parts, end = [], 0
        for to, start, count, table in pieces:
            x = t.entries(table)[e]
            if x is not None:
                parts += [np.zeros(to - end, dtype=t.machine.dtype)] * (to > end) + [x.ravel()[start : start + count]]
                end = to + count
        parts += [np.zeros(shape[0] * shape[1] - end, dtype=t.machine.dtype)] * (end < shape[0] * shape[1])
        nothing = all(isinstance(part, np.ndarray) for part in parts)
        whole = None if nothing else parts[0] if len(parts) == 1 else jnp.concatenate(parts)
        found.append(None if whole is None else whole.reshape(shape))
    return found


def _nothing(t: Sweep, line: Instruction) -> Entries:
    rows = t.shares(line)
    return [None] * (t.d + 1 if rows is None else len(rows))


def _total(t: Sweep, line: Instruction) -> Entries:
    rows, columns, axis = t.integers(line, 3)
    return _each(lambda x: x.reshape(rows, columns).sum(axis=axis).reshape(t.shape(line.out)), t.entries(line.x))


def _expand(t: Sweep, line: Instruction) -> Entries:
    import jax.numpy as jnp

    rows, columns, axis = t.integers(line, 3)
    one = (1, columns) if axis == 0 else (rows, 1)
    return _each(
        lambda x: jnp.broadcast_to(x.reshape(one), (rows, columns)).reshape(t.shape(line.out)), t.entries(line.x)
    )


def _center(t: Sweep, line: Instruction) -> Entries:
    return _each(lambda x: x - x.max(axis=0, keepdims=True), t.entries(line.x)) if t.d == 0 else t.entries(line.x)


def _peak(t: Sweep, line: Instruction) -> Entries:
    if t.d > 0:
        return _nothing(t, line)
    rows, columns, axis = t.integers(line, 3)
    return _each(lambda x: x.reshape(rows, columns).max(axis=axis).reshape(t.shape(line.out)), t.entries(line.x))


def _gather(t: Sweep, line: Instruction) -> Entries:
    import jax.numpy as jnp

    back = t.integers(line, 1)[0]
    shape, given = t.shape(line.out), t.shape(line.x)
    places = t.places(line, given[0] * given[1] if back else shape[0] * shape[1], 1)

    def moved(x: Any) -> Any:
        if not back:
            return jnp.where(places >= 0, x.ravel()[np.maximum(places, 0)], 0).reshape(shape)
        where = np.flatnonzero(places >= 0)
        return jnp.zeros(shape[0] * shape[1], x.dtype).at[places[where]].add(x.ravel()[where]).reshape(shape)

    return _each(moved, t.entries(line.x))


def _gate(t: Sweep, line: Instruction) -> Entries:
    import jax.numpy as jnp

    slope = jnp.where(t.entries(line.y, 0)[0] > 0, t.number(line, 0), t.number(line, 1)).astype(t.machine.dtype)
    return _each(lambda x: x * slope, t.entries(line.x))


def _value(t: Sweep, line: Instruction) -> Entries | None:
    if t.d > 0:
        return None
    return [FUNCTIONS[t.plan.function(line)](t.entries(line.x)[0], t.number(line, 0))]


# the recursion --------------------------------------------------------------------------------------------------------


def _state(t: Sweep, line: Instruction) -> Entries | None:
    if t.d == 0:
        return None
    below = t.entries(line.x, t.d - 1)
    if t.last and t.early is not None:  # the sum was made one degree below
        return below[1:]
    found = [None, *(None if x is None else x * (-1.0 / (e + 1)) for e, x in enumerate(below))]
    return found if t.shares(line) is None else t.sum(line, found)


def _filtered(t: Sweep, line: Instruction) -> Entries:
    given, d = t.entries(line.x), t.d
    if t.early is not None and not t.last:
        return [given[0], weighted(t.early.parts, given)]
    if t.summed(line):
        return given if t.integers(line, 1)[0] else t.sum(line, given)
    coefficients = [t.number(line, k) for k in range(t.order + 1)]
    found: Entries = []
    for e in range(d + 1):
        total = None
        for h in range(e, d + 1):
            factor = coefficients[h - e] * factorial(h) / factorial(e)
            if factor != 0 and given[h] is not None:
                total = plus(total, factor * given[h])
        found.append(total)
    return found


def _series(t: Sweep, line: Instruction) -> Entries:
    d, summed = t.d, t.summed(line)
    total: Entries = [None] * (d + 1)
    whole = None
    for k in range(min(t.integers(line, 1)[0], d) + 1):
        factor = t.number(line, k)
        if factor == 0:
            continue
        found = t.entries(line.x, d - k)
        if summed and k == 0:  # of the last degree there is the sum alone
            whole = None if found[0] is None else factor * found[0]
            continue
        for e, x in enumerate(found):
            total[e] = total[e] if x is None else plus(total[e], factor * x)
    return [plus(t.sum(line, total)[0], whole)] if summed else total


PRIMITIVES: dict[str, Callable[[Sweep, Instruction], Entries | None]] = {
    "convolve": _convolve,
    "times_first": _times_first,
    "matmul": _matmuls,
    "matmuls": _matmuls,
    "matmul_right": _matmul_right,
    "matmul_left": _matmul_left,
    "combine": _combine,
    "affine": _affine,
    "array": _array,
    "clear": _nothing,
    "transpose": lambda t, line: _each(lambda x: x.T, t.entries(line.x)),
    "total": _total,
    "expand": _expand,
    "center": _center,
    "peak": _peak,
    "gather": _gather,
    "gate": _gate,
    "value": _value,
    "state": _state,
    "filtered": _filtered,
    "series": _series,
}


def _lax(name: str) -> Callable[[Any, float], Any]:
    """A function of jax.numpy, or of jax.nn or jax.scipy.special."""

    def function(x: Any, exponent: float) -> Any:
        import jax

        homes = (jax.numpy, jax.nn, jax.scipy.special)
        return next(getattr(home, name) for home in homes if hasattr(home, name))(x)

    return function


FUNCTIONS: dict[str, Callable[[Any, float], Any]] = {
    **{name: _lax(name) for name in ("exp", "tanh", "sigmoid", "sin", "cos", "log", "softplus", "erf")},
    "atan": _lax("arctan"),
    "reciprocal": lambda x, exponent: 1 / x,
    "power": lambda x, exponent: x**exponent,
}
