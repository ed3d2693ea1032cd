"""The reading of instructions over arrays of JAX: for large models, on any device that JAX knows.

A table is kept as its entries, degree by degree, as in :mod:`eomsym.taylor.primitives`; what is linear works on them.
Products of matrices are taken along rays: the entries of one degree are the coefficients of a polynomial in tau, and on
the ray ``(s, eta) = (tau e, e)`` a table is a Taylor series in one variable. Between a few values and the coefficients
goes a small matrix; so all products of matrices of one degree become one batched product (Toom and Cook's way to
multiply polynomials).

References
----------
A. Griewank, J. Utke and A. Walther, Evaluating higher derivative tensors by forward propagation of univariate Taylor
series, Math. Comp. 69 (2000), doi:10.1090/S0025-5718-00-01120-0 (interpolation from rays).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from eomsym.codegen.numbers import nearest, to_float
from eomsym.errors import ExpressionError, InputError, MissingDependencyError
from eomsym.taylor.instructions import SKIP, Instruction
from eomsym.taylor.plan import Plan

__all__ = ["DTYPES", "Reading"]

DTYPES = ("float64", "float32")


@cache
def rays(count: int, first: int) -> tuple[np.ndarray, np.ndarray]:
    """Nodes of Chebyshev, and the matrix from values there to the coefficients of ``tau**first`` and above."""
    shift = 0.5 if count % 2 and first else 0.0  # the middle node, 0, holds nothing of these powers
    nodes = np.cos(np.pi * (np.arange(count) + 0.5 + shift) / (count + shift))
    inverse = np.linalg.inv(nodes[:, None] ** np.arange(first, first + count)) if count else np.zeros((0, 0))
    return nodes, inverse


class Reading:
    """A plan over arrays of JAX: all terms at a point, jitted.

    Parameters
    ----------
    plan : Plan
        Of a flow.
    order : int
    dtype : {"float64", "float32"}

    Raises
    ------
    MissingDependencyError
        JAX is not installed.
    ExpressionError
        A function of the loss is unknown to JAX.
    """

    def __init__(self, plan: Plan, order: int, dtype: str = "float64") -> None:
        try:
            import jax
        except ImportError as error:
            raise MissingDependencyError("backend='jax' needs JAX; type: pip install 'eomsym[jax]'") from error
        if dtype not in DTYPES:
            raise InputError(f"unknown dtype {dtype!r}; choose one of {', '.join(DTYPES)}")
        self.plan, self.order, self.dtype = plan, order, np.dtype(dtype)
        self.numbers = np.concatenate([to_float(piece) for piece in plan.pieces])
        self.integers = np.array(plan.integers, dtype=np.int64)
        unknown = sorted(plan.functions - FUNCTIONS.keys())
        if unknown:
            raise ExpressionError(
                f"{', '.join(unknown)} has no value in JAX; write the loss with one of {', '.join(FUNCTIONS)}"
            )
        self._jitted = jax.jit(self._terms)

    def terms(self, points: np.ndarray, out: np.ndarray) -> None:
        """Terms 0..order at points in rows."""
        import jax

        with jax.enable_x64(self.dtype == np.float64):
            for point, rows in zip(points, out, strict=True):
                rows[:] = np.asarray(self._jitted(point.astype(self.dtype)))

    def _terms(self, theta: Any) -> Any:
        """All degrees, one after the other."""
        import jax.numpy as jnp

        plan, order = self.plan, self.order
        sweep = _Sweep(self, theta[None, :])
        for d in range(order + 1):
            for line in plan.instructions:
                if not (d == order > 0 and line.mix == SKIP):
                    sweep.run(line, d)
        table = plan.outputs[0]
        rows = [sweep.whole(table, d)[0] for d in range(order)]
        mixed = sweep.mixed[table] >= 0 and order > 0
        last = sweep.known[table][order][-1] if mixed else sweep.whole(table, order)[0]
        return jnp.stack([*rows, last])


class _Sweep:
    """Tables, each a dict from degrees to arrays (entries, lanes).

    Of a table in which the pure powers of eta vanish, entry 0 of a degree above 0 is left out. Of the last degree, a
    table that is asked for one weighted sum of its entries holds that alone.
    """

    def __init__(self, reading: Reading, start: Any) -> None:
        plan = reading.plan
        self.reading, self.plan, self.order = reading, plan, reading.order
        self.known: list[dict[int, Any]] = [{} for _ in plan.tables]
        self.known[0][0] = start
        self.plain = {line.out: line.plain for line in plan.instructions}
        self.mixed = {line.out: line.mix for line in plan.instructions}
        self.weights = [np.array([nearest(x) for x in row]) for row in plan.weights(reading.order)]

    def run(self, line: Instruction, d: int) -> None:
        """One instruction."""
        found = PRIMITIVES[line.primitive](self, line, d)
        if found is not None:
            self.known[line.out][d] = found

    # tables ---------------------------------------------------------------------------------------------------------

    def low(self, table: int, d: int) -> int:
        """The first entry that is kept."""
        return int(self.plain[table] and d > 0)

    def summed(self, table: int, d: int) -> bool:
        """Whether degree d is one weighted sum."""
        return d == self.order > 0 and self.mixed[table] >= 0

    def shares(self, line: Instruction) -> np.ndarray:
        """The weights of that sum."""
        return np.asarray(self.weights[max(line.mix, 0)], dtype=self.reading.dtype)

    def at(self, table: int, d: int, like: int) -> Any:
        """Degree d of a table, with the entries that another one has."""
        import jax.numpy as jnp

        found = self.known[table][d]
        if not self.summed(table, d) and self.low(table, d) > self.low(like, d):
            return jnp.concatenate([jnp.zeros_like(found[:1]), found])
        return found

    def whole(self, table: int, d: int) -> Any:
        """All d + 1 entries."""
        import jax.numpy as jnp

        found = self.known[table][d]
        return jnp.concatenate([jnp.zeros_like(found[:1]), found]) if self.low(table, d) else found

    def kept(self, table: int, d: int, entries: Any) -> Any:
        """Of all entries those that are kept."""
        return entries[self.low(table, d) :]

    def zeros(self, table: int, d: int) -> Any:
        """Nothing."""
        import jax.numpy as jnp

        count = 1 if self.summed(table, d) else d + 1 - self.low(table, d)
        return jnp.zeros((count, self.plan.tables[table].lanes), dtype=self.reading.dtype)

    # numbers of an instruction --------------------------------------------------------------------------------------

    def integer(self, line: Instruction, k: int) -> int:
        """One of its integers."""
        return int(self.reading.integers[line.integers + k])

    def integers(self, line: Instruction, start: int, count: int) -> np.ndarray:
        """Some of its integers."""
        return np.asarray(self.reading.integers[line.integers + start :][:count])

    def number(self, line: Instruction, k: int) -> float:
        """One of its numbers."""
        return float(self.reading.numbers[line.numbers + k])

    def numbers(self, line: Instruction, count: int, start: int = 0) -> np.ndarray:
        """Some of its numbers."""
        return np.asarray(self.reading.numbers[line.numbers + start :][:count], dtype=self.reading.dtype)


# primitives: (sweep, line, d) -> degree d of the table ------------------------------------------------------------


def _convolve(t: _Sweep, line: Instruction, d: int) -> Any:
    import jax.numpy as jnp

    first, divide, square = (t.integer(line, k) for k in range(3))
    if d < first:
        return None
    weights = [t.number(line, k) for k in range(4)]
    low, summed = t.low(line.out, d), t.summed(line.out, d)
    shares = t.shares(line)
    rows: list[Any] = [None] * (1 if summed else d + 1 - low)
    for k in range(first, d // 2 + 1 if square else d + 1):
        weight = weights[0] + weights[1] * k + weights[2] * d
        weight *= 2 if square and k < d - k else 1
        if weight == 0:
            continue
        x, y = t.at(line.x, k, line.out), t.at(line.y, d - k, line.out)
        below = (t.low(line.out, k) if k else 0) + (t.low(line.out, d - k) if k < d else 0)
        for p in range(x.shape[0]):
            for q in range(y.shape[0]):
                share = float(shares[p + q + below]) if summed and 0 < k < d else 1.0
                place = 0 if summed else p + q + below - low
                if share != 0:
                    part = (weight * share) * (x[p] * y[q])
                    rows[place] = part if rows[place] is None else rows[place] + part
    nothing = jnp.zeros(t.plan.tables[line.out].lanes, dtype=t.reading.dtype)
    total = jnp.stack([nothing if one is None else one for one in rows])
    total = total / d if divide else total
    return total + weights[3] if d == 0 else total


def _times_first(t: _Sweep, line: Instruction, d: int) -> Any:
    return None if d == 0 else t.known[line.out][d] * t.known[line.x][0]


def _products(t: _Sweep, line: Instruction, d: int, batch: int) -> Any:
    """Factors of degree 0 with all of the others below each other; the inner degrees side by side, along rays."""
    import jax.numpy as jnp

    rows, inner, columns = (t.integer(line, k) for k in range(3))

    def left(k: int) -> Any:
        return t.at(line.x, k, line.out).reshape(-1, batch, rows, inner)

    def right(k: int) -> Any:
        return t.at(line.y, k, line.out).reshape(-1, batch, inner, columns)

    total = jnp.matmul(left(0), right(d))
    if d > 0:
        if batch == 1:
            total = total + (left(d).reshape(-1, inner) @ right(0)[0, 0]).reshape(total.shape)
        else:
            total = total + jnp.matmul(left(d), right(0))
    if d > 1:
        total = total + _inner(t, line, d, [left(k) for k in range(d)], [right(k) for k in range(d)])
    return total.reshape(total.shape[0], -1)


def _inner(t: _Sweep, line: Instruction, d: int, left: list[Any], right: list[Any]) -> Any:
    """``sum x_k y_(d-k)`` over 0 < k < d."""
    import jax.numpy as jnp

    low = t.low(line.out, d)
    first, count = 2 * low, d + 1 - 2 * low
    nodes, inverse = rays(count, first)

    def seen(tables: list[Any], axis: int, order: range) -> Any:
        """Values on the rays, degrees side by side; one small matrix for all degrees."""
        parts = []
        for k in order:
            matrix = (nodes[:, None] ** np.arange(low, k + 1)).astype(t.reading.dtype)
            parts.append(jnp.tensordot(matrix, tables[k], 1))
        return jnp.concatenate(parts, axis=axis)

    x, y = seen(left, 3, range(1, d)), seen(right, 2, range(d - 1, 0, -1))
    inverse = inverse.astype(t.reading.dtype)
    if t.summed(line.out, d):
        shares = t.shares(line)[first : d + 1] @ inverse
        return jnp.einsum("pbrn,pbnc->brc", x * shares[:, None, None, None], y)[None]
    found = jnp.tensordot(inverse, jnp.matmul(x, y), 1)
    return jnp.concatenate([jnp.zeros_like(found[:1]), found]) if low else found


def _matmul(t: _Sweep, line: Instruction, d: int) -> Any:
    return _products(t, line, d, 1)


def _matmuls(t: _Sweep, line: Instruction, d: int) -> Any:
    return _products(t, line, d, t.integer(line, 3))


def _matmul_right(t: _Sweep, line: Instruction, d: int) -> Any:
    rows, inner, columns = (t.integer(line, k) for k in range(3))
    x = t.known[line.x][d]
    constant = t.numbers(line, inner * columns).reshape(inner, columns)
    return (x.reshape(-1, inner) @ constant).reshape(x.shape[0], rows * columns)


def _matmul_left(t: _Sweep, line: Instruction, d: int) -> Any:
    import jax.numpy as jnp

    rows, inner, columns = (t.integer(line, k) for k in range(3))
    x = t.known[line.x][d].reshape(-1, inner, columns)
    constant = t.numbers(line, rows * inner).reshape(rows, inner)
    return jnp.matmul(constant, x).reshape(x.shape[0], rows * columns)


def _combine(t: _Sweep, line: Instruction, d: int) -> Any:
    anew, count = t.integer(line, 0), t.integer(line, 1)
    rows = t.integers(line, 2, count)
    ends = t.integers(line, 2 + count, count + 1)
    lanes = t.integers(line, 3 + 2 * count, int(ends[-1]))
    x = t.at(line.x, d, line.out)
    width = t.plan.tables[line.out].lanes
    if anew:
        total = t.zeros(line.out, d) + (t.numbers(line, width, lanes.size) if d == 0 else 0.0)
    else:
        total = t.known[line.out][d]
    return total.at[:, np.repeat(rows, np.diff(ends))].add(t.numbers(line, lanes.size) * x[:, lanes])


def _affine(t: _Sweep, line: Instruction, d: int) -> Any:
    found = t.number(line, 0) * t.at(line.x, d, line.out)
    return found + t.number(line, 1) * t.at(line.y, d, line.out) if t.integer(line, 0) else found


def _array(t: _Sweep, line: Instruction, d: int) -> Any:
    mode, lanes = t.integer(line, 0), t.plan.tables[line.out].lanes
    if mode == 2:
        return t.known[line.x][d] * t.numbers(line, lanes)
    base = t.zeros(line.out, d) if mode == 0 else t.known[line.x][d]
    return base + t.numbers(line, lanes) if d == 0 else base


def _copy(t: _Sweep, line: Instruction, d: int) -> Any:
    to, start, count = (t.integer(line, k) for k in range(3))
    part = t.at(line.x, d, line.out)[:, start : start + count]
    if count == t.plan.tables[line.out].lanes:
        return part
    whole = t.known[line.out].get(d)
    return (t.zeros(line.out, d) if whole is None else whole).at[:, to : to + count].set(part)


def _matrix_of(t: _Sweep, line: Instruction, d: int) -> Any:
    x = t.known[line.x][d]
    return x.reshape(x.shape[0], t.integer(line, 0), t.integer(line, 1))


def _flat(x: Any) -> Any:
    return x.reshape(x.shape[0], -1)


def _transpose(t: _Sweep, line: Instruction, d: int) -> Any:
    return _flat(_matrix_of(t, line, d).transpose(0, 2, 1))


def _total(t: _Sweep, line: Instruction, d: int) -> Any:
    return _flat(_matrix_of(t, line, d).sum(axis=1 + t.integer(line, 2)))


def _expand(t: _Sweep, line: Instruction, d: int) -> Any:
    import jax.numpy as jnp

    x, rows, columns = t.known[line.x][d], t.integer(line, 0), t.integer(line, 1)
    one = x[:, None, :] if t.integer(line, 2) == 0 else x[:, :, None]
    return _flat(jnp.broadcast_to(one, (x.shape[0], rows, columns)))


def _center(t: _Sweep, line: Instruction, d: int) -> Any:
    x = _matrix_of(t, line, d)
    return _flat(x - x.max(axis=1, keepdims=True) if d == 0 else x)


def _peak(t: _Sweep, line: Instruction, d: int) -> Any:
    return t.zeros(line.out, d) if d else _flat(_matrix_of(t, line, d).max(axis=1 + t.integer(line, 2)))


def _gather(t: _Sweep, line: Instruction, d: int) -> Any:
    import jax.numpy as jnp

    x, width = t.known[line.x][d], t.plan.tables[line.out].lanes
    places = t.integers(line, 1, x.shape[1] if t.integer(line, 0) else width)
    if t.integer(line, 0):
        return t.zeros(line.out, d).at[:, places[places >= 0]].add(x[:, places >= 0])
    return jnp.where(places >= 0, x[:, np.maximum(places, 0)], 0)


def _gate(t: _Sweep, line: Instruction, d: int) -> Any:
    import jax.numpy as jnp

    slope = jnp.where(t.known[line.y][0] > 0, t.number(line, 0), t.number(line, 1))
    return t.at(line.x, d, line.out) * slope


def _value(t: _Sweep, line: Instruction, d: int) -> Any:
    return FUNCTIONS[t.plan.function(line)](t.known[line.x][0], t.number(line, 0)) if d == 0 else None


def _state(t: _Sweep, line: Instruction, d: int) -> Any:
    import jax.numpy as jnp

    if d == 0:
        return None
    below = t.whole(line.x, d - 1) / -np.arange(1, d + 1, dtype=t.reading.dtype)[:, None]
    entries = jnp.concatenate([jnp.zeros_like(below[:1]), below])
    return (t.shares(line) @ entries)[None] if t.summed(line.out, d) else t.kept(line.out, d, entries)


def _filtered(t: _Sweep, line: Instruction, d: int) -> Any:
    from math import factorial

    if t.summed(line.out, d):
        if t.integer(line, 0):  # the sum stands in the input already
            return t.known[line.x][d][-1:]
        return (t.shares(line) @ t.whole(line.x, d))[None]
    coefficients = t.numbers(line, t.order + 1)
    matrix = np.zeros((d + 1, d + 1), dtype=t.reading.dtype)
    for e in range(d + 1):
        for h in range(e, d + 1):
            matrix[e, h] = coefficients[h - e] * factorial(h) / factorial(e)
    return t.kept(line.out, d, matrix @ t.whole(line.x, d))


def _series(t: _Sweep, line: Instruction, d: int) -> Any:
    import jax.numpy as jnp

    summed, shares = t.summed(line.out, d), t.shares(line)
    total = jnp.zeros((d + 1, t.plan.tables[line.out].lanes), dtype=t.reading.dtype)
    whole = None
    for k in range(min(t.integer(line, 0), d) + 1):
        factor = t.number(line, k)
        if factor != 0 and summed and k == 0:  # of the last degree there is the sum alone
            whole = factor * t.known[line.x][d][-1]
        elif factor != 0:
            total = total.at[: d - k + 1].add(factor * t.whole(line.x, d - k))
    if not summed:
        return t.kept(line.out, d, total)
    found = shares @ total
    return (found if whole is None else found + whole)[None]


PRIMITIVES: dict[str, Callable[[_Sweep, Instruction, int], Any]] = {
    "convolve": _convolve,
    "times_first": _times_first,
    "matmul": _matmul,
    "matmuls": _matmuls,
    "matmul_right": _matmul_right,
    "matmul_left": _matmul_left,
    "combine": _combine,
    "affine": _affine,
    "array": _array,
    "copy": _copy,
    "clear": lambda t, line, d: t.zeros(line.out, d),
    "transpose": _transpose,
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
