"""The reading of instructions over arrays of JAX: for large models, on any device that JAX knows.

A table is read along rays. On the ray ``(s, eta) = (tau e, e)`` a series in s and eta is one in the single variable e,
whose coefficient of degree d is the value at tau of the polynomial that the entries of degree d are the coefficients
of. So products of tables become products of Taylor series in one variable, the same for all rays, and all rays are one
batch. Only what acts on s or eta alone (the flow, filters, powers of eta) goes back to the entries: by a small matrix.
As many rays are needed as the highest degree has entries; the ray tau = 0 holds the pure powers of eta, and a table in
which these vanish has no use for it.

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

from eomsym.codegen.numbers import to_float
from eomsym.errors import ExpressionError, InputError, MissingDependencyError
from eomsym.taylor.instructions import SKIP, Instruction
from eomsym.taylor.plan import Plan

__all__ = ["DTYPES", "Reading"]

DTYPES = ("float64", "float32")


@cache
def rays(order: int) -> np.ndarray:
    """Different numbers other than zero, order of them, that interpolate well: nodes of Chebyshev without the middle."""
    count = order + order % 2
    nodes = np.cos(np.pi * (2 * np.arange(count) + 1) / (2 * count)) if count else np.zeros(0)
    return np.asarray(np.delete(nodes, count // 2) if order % 2 else nodes)


@cache
def values_of_entries(order: int, d: int, plain: bool) -> np.ndarray:
    """Matrix from the entries of degree d, all d + 1 of them, to values on rays (tau = 0 first, if not plain)."""
    if d == 0:
        return np.ones((1, 1))
    taus = rays(order) if plain else np.concatenate([[0.0], rays(order)])
    return np.asarray(taus[:, None] ** np.arange(d + 1))


@cache
def entries_of_values(order: int, d: int, plain: bool) -> np.ndarray:
    """The other way round, shape (d + 1, rays)."""
    matrix = values_of_entries(order, d, plain)
    if not plain or d == 0:
        return np.asarray(np.linalg.pinv(matrix))
    return np.vstack([np.zeros(len(matrix)), np.linalg.pinv(matrix[:, 1:])])


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
        sweep = _Sweep(self, [theta[None, :]])
        for d in range(order + 1):
            for line in plan.instructions:
                if not (d == order > 0 and line.mix == SKIP):
                    sweep.run(line, d)
        table = plan.outputs[0]
        return jnp.stack([sweep.entries(table, d)[0] for d in range(order + 1)])


class _Sweep:
    """Tables, each a list over degrees of arrays (rays, lanes); degree 0 is the same on all rays."""

    def __init__(self, reading: Reading, start: list[Any]) -> None:
        plan = reading.plan
        self.reading, self.plan, self.order = reading, plan, reading.order
        self.known: list[dict[int, Any]] = [{} for _ in plan.tables]
        self.known[0][0] = start[0]
        self.plain = {line.out: line.plain for line in plan.instructions}

    def run(self, line: Instruction, d: int) -> None:
        """One instruction."""
        act = PRIMITIVES[line.primitive]
        found = act(self, line, d)
        if found is not None:
            self.known[line.out][d] = found

    # tables ---------------------------------------------------------------------------------------------------------

    def at(self, table: int, d: int, like: int) -> Any:
        """Degree d of a table, on the rays that another table has."""
        import jax.numpy as jnp

        found = self.known[table][d]
        if d > 0 and self.plain[table] and not self.plain[like]:
            found = jnp.concatenate([jnp.zeros_like(found[:1]), found])
        return found

    def entries(self, table: int, d: int) -> Any:
        """The d + 1 entries of degree d."""
        return self._mapped(entries_of_values(self.order, d, self.plain[table]), self.known[table][d])

    def values(self, table: int, d: int, entries: Any) -> Any:
        """From entries to values on rays."""
        return self._mapped(values_of_entries(self.order, d, self.plain[table]), entries)

    def _mapped(self, matrix: np.ndarray, array: Any) -> Any:
        import jax.numpy as jnp

        return jnp.tensordot(jnp.asarray(matrix, dtype=self.reading.dtype), array, 1)

    def zeros(self, table: int, d: int) -> Any:
        """Nothing."""
        import jax.numpy as jnp

        count = 1 if d == 0 else self.order + (not self.plain[table])
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


# primitives: (sweep, line, d) -> degree d of the table -----------------------------------------------------------------


def _convolve(t: _Sweep, line: Instruction, d: int) -> Any:
    first, divide, square = (t.integer(line, k) for k in range(3))
    if d < first:
        return None
    weights = [t.number(line, k) for k in range(4)]
    total = None
    for k in range(first, d // 2 + 1 if square else d + 1):
        weight = weights[0] + weights[1] * k + weights[2] * d
        weight *= 2 if square and k < d - k else 1
        if weight != 0:
            part = weight * (t.at(line.x, k, line.out) * t.at(line.y, d - k, line.out))
            total = part if total is None else total + part
    if total is None:
        total = t.zeros(line.out, d)
    total = total / d if divide else total
    return total + weights[3] if d == 0 else total


def _times_first(t: _Sweep, line: Instruction, d: int) -> Any:
    return None if d == 0 else t.known[line.out][d] * t.known[line.x][0]


def _matrices(t: _Sweep, table: int, d: int, like: int, shape: tuple[int, ...]) -> Any:
    found = t.at(table, d, like)
    return found.reshape(found.shape[0], *shape)


def _products(t: _Sweep, line: Instruction, d: int, batch: int) -> Any:
    """The inner degrees as one product, with factors side by side; those with a factor of degree 0 apart."""
    import jax.numpy as jnp

    rows, inner, columns = (t.integer(line, k) for k in range(3))
    left = [_matrices(t, line.x, k, line.out, (batch, rows, inner)) for k in range(d + 1)]
    right = [_matrices(t, line.y, k, line.out, (batch, inner, columns)) for k in range(d + 1)]
    total = jnp.einsum("brn,pbnc->pbrc", left[0][0], right[d])
    if d > 0:
        total = total + jnp.einsum("pbrn,bnc->pbrc", left[d], right[0][0])
    if d > 1:
        x = jnp.concatenate(left[1:d], axis=3)
        y = jnp.concatenate(right[1:d][::-1], axis=2)
        total = total + jnp.matmul(x, y)
    return total.reshape(total.shape[0], -1)


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
    return jnp.einsum("rn,pnc->prc", constant, x).reshape(x.shape[0], rows * columns)


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
    below = t.entries(line.x, d - 1) / -np.arange(1, d + 1, dtype=t.reading.dtype)[:, None]
    return t.values(line.out, d, jnp.concatenate([jnp.zeros_like(below[:1]), below]))


def _filtered(t: _Sweep, line: Instruction, d: int) -> Any:
    from math import factorial

    coefficients = t.numbers(line, t.order + 1)
    matrix = np.zeros((d + 1, d + 1))
    for e in range(d + 1):
        for h in range(e, d + 1):
            matrix[e, h] = coefficients[h - e] * factorial(h) / factorial(e)
    return t.values(line.out, d, t._mapped(matrix, t.entries(line.x, d)))


def _series(t: _Sweep, line: Instruction, d: int) -> Any:
    import jax.numpy as jnp

    total = jnp.zeros((d + 1, t.plan.tables[line.out].lanes), dtype=t.reading.dtype)
    for k in range(min(t.integer(line, 0), d) + 1):
        if t.number(line, k) != 0:
            total = total.at[: d - k + 1].add(t.number(line, k) * t.entries(line.x, d - k))
    return t.values(line.out, d, total)


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
