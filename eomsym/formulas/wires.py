"""The symbolic reading of an optimiser's circuit: wires that are tables of elementwise expressions.

Every wire is a truncated table in time and step size whose entries are elementwise expressions in g, H[u] (the Hessian
times a vector) and T[u, v] (the third derivative on two vectors); products, quotients and functions act entry by entry,
and norms bring inner products. It shares no code with the numerical tables, and so checks them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import sympy

from eomsym.errors import MethodError
from eomsym.exact.numbers import ETA
from eomsym.formulas.monomials import Dot, Hessian, Named, Third, collected, g, normal, theta
from eomsym.optimisers.filters import Filter

__all__ = ["Formulas", "Frame", "Wire", "no_formula"]

#: Functions, and their derivatives as expressions in ``x`` and ``y = f(x)``.
FUNCTIONS: dict[str, tuple[Callable[[Any], Any], Callable[[Any, Any], Any]]] = {
    "exp": (sympy.exp, lambda x, y: y),
    "tanh": (sympy.tanh, lambda x, y: 1 - y**2),
    "sin": (sympy.sin, lambda x, y: sympy.cos(x)),
    "cos": (sympy.cos, lambda x, y: -sympy.sin(x)),
    "log": (sympy.log, lambda x, y: 1 / x),
    "atan": (sympy.atan, lambda x, y: 1 / (1 + x**2)),
    "erf": (sympy.erf, lambda x, y: 2 * sympy.exp(-(x**2)) / sympy.sqrt(sympy.pi)),
    "sigmoid": (lambda x: 1 / (1 + sympy.exp(-x)), lambda x, y: y - y**2),
    "softplus": (lambda x: sympy.log(1 + sympy.exp(x)), lambda x, y: 1 / (1 + sympy.exp(-x))),
}


@dataclass
class Frame:
    """What the wires of a circuit share: the highest degree, and the names of sums and of values of functions."""

    top: int
    names: dict[Any, Named] = field(default_factory=dict)

    def named(self, expression: Any, letter: str) -> Any:
        """A name for a sum or for the value of a function; other expressions as they are."""
        if expression.is_Symbol or expression.is_number or not expression.has(g, theta, Hessian, Third, Dot, Named):
            return expression
        if expression not in self.names:
            self.names[expression] = Named(f"{letter}_{len(self.names)}", expression)
        return self.names[expression]


def _number(value: Any) -> Any:
    """A number as sympy has it, exact."""
    if getattr(value, "ndim", 0):
        raise no_formula("an optimiser with an array of constants")
    return sympy.sympify(Fraction(value) if isinstance(value, float) else value)


class Wire:
    """A table: the coefficient of ``s**i eta**j`` at (i, j), i + j <= top; `single` where it is one number."""

    __array_ufunc__ = None

    def __init__(self, frame: Frame, entries: Mapping[tuple[int, int], Any], single: bool = False) -> None:
        self.frame, self.single = frame, single
        self.entries = {place: x for place, x in entries.items() if sum(place) <= frame.top and x != 0}

    def __getitem__(self, place: tuple[int, int]) -> Any:
        return self.entries.get(place, sympy.S.Zero)

    def _other(self, other: Any) -> Wire:
        if not isinstance(other, Wire):
            return Wire(self.frame, {(0, 0): _number(other)}, single=True)
        found: Wire = other
        return found

    @property
    def start(self) -> Any:
        """Its value at time 0 and step size 0."""
        return collected(normal(self[0, 0]))

    @property
    def rest(self) -> Wire:
        """Without its start."""
        return Wire(self.frame, {p: x for p, x in self.entries.items() if p != (0, 0)}, self.single)

    def mapped(self, function: Callable[[Any], Any]) -> Wire:
        """A linear map of all entries."""
        return Wire(self.frame, {p: function(x) for p, x in self.entries.items()}, self.single)

    def paired(self, other: Wire, pair: Callable[[Any, Any], Any]) -> Wire:
        """Truncated product with any bilinear map."""
        out: dict[tuple[int, int], Any] = {}
        for (i, j), x in self.entries.items():
            for (k, m), y in other.entries.items():
                if i + j + k + m <= self.frame.top:
                    out[i + k, j + m] = out.get((i + k, j + m), 0) + pair(x, y)
        return Wire(self.frame, out, self.single and other.single)

    def __add__(self, other: Any) -> Wire:
        right = self._other(other)
        places = self.entries.keys() | right.entries.keys()
        return Wire(self.frame, {p: self[p] + right[p] for p in places}, self.single and right.single)

    def __neg__(self) -> Wire:
        return self.mapped(lambda x: -x)

    def __sub__(self, other: Any) -> Wire:
        return self + -self._other(other)

    def __rsub__(self, other: Any) -> Wire:
        return self._other(other) - self

    def __mul__(self, other: Any) -> Wire:
        return self.paired(self._other(other), lambda x, y: x * y)

    __radd__, __rmul__ = __add__, __mul__

    def composed(self, start: Any, first: Any, second: Any) -> Wire:
        """``f(x)`` by Taylor's formula, from the value and the two derivatives of f at the start."""
        rest = self.rest
        out = rest * Wire(self.frame, {(0, 0): first}, self.single)
        out = out + rest * rest * Wire(self.frame, {(0, 0): second / 2}, self.single)
        return out + Wire(self.frame, {(0, 0): start}, self.single)

    def power(self, exponent: Any) -> Wire:
        """A fixed power, entry by entry."""
        p, base = _number(exponent), self.start
        base = self.frame.named(base, "s") if base.is_Add else base
        return self.composed(base**p, p * base ** (p - 1), p * (p - 1) * base ** (p - 2))

    def squared(self, weight: Any = 1, plus: Any = 0) -> Wire:
        """``weight * x**2 + plus``."""
        return self * self * self._other(weight) + self._other(plus)

    def call(self, name: str) -> Wire:
        """An elementary function, entry by entry."""
        if name == "reciprocal":
            return self.power(-1)
        if name not in FUNCTIONS:
            raise MethodError(f"no formula for the function {name!r}; it is one of {', '.join(FUNCTIONS)}")
        function, derivative = FUNCTIONS[name]
        x, y, start = sympy.Dummy("x"), sympy.Dummy("y"), self.start
        once = derivative(x, y)
        slope = sympy.Dummy("w")
        twice = sympy.diff(once, x) + sympy.diff(once, y) * slope
        value = self.frame.named(function(start), "t")
        at = {x: start, y: value}
        first = once.xreplace(at)
        first = self.frame.named(first, "p") if first.is_Add else first
        return self.composed(value, first, twice.xreplace(at | {slope: first}))

    def __truediv__(self, other: Any) -> Wire:
        return self * (other.power(-1) if isinstance(other, Wire) else 1 / _number(other))

    def __rtruediv__(self, other: Any) -> Wire:
        return self.power(-1) * self._other(other)

    @property
    def T(self) -> Wire:
        raise no_formula("an optimiser on matrices")

    __matmul__ = __rmatmul__ = lambda self, other: self.T


def no_formula(what: str) -> MethodError:
    """The error of a method that has none."""
    return MethodError(
        f"{what} has no elementwise formula; use eomsym.modified_field(loss, order, method) for a given loss, or "
        "eomsym.compile for numbers"
    )


class Formulas:
    """The circuit that an optimiser writes its step with; see :class:`eomsym.taylor.circuit.Circuit`."""

    def __init__(self, frame: Frame, motion: Wire, fed_back: Mapping[int, Wire], above: bool) -> None:
        self.frame, self.theta, self.above = frame, motion, above
        self.fed_back, self._loops = fed_back, 0
        self.closed: dict[int, Wire] = {}

    def gradient(self, x: Wire | None = None, batch: int = 0) -> Wire:
        """``g + H[y] + T[y, y]/2`` for a displacement y, degree by degree."""
        point = self.theta if x is None else x
        if point.single or normal(point[0, 0] - theta):
            raise no_formula(f"a gradient that is not at theta when eta is 0, but at {point[0, 0]},")
        moved = point.rest
        curved = moved.paired(moved, Third) * sympy.Rational(1, 2)
        found: Wire = moved.mapped(Hessian) + curved + Wire(self.frame, {(0, 0): g})
        return found

    def filter(self, x: Wire, above: Sequence[Any], below: Sequence[Any] = (1,)) -> Wire:
        return self.filtered(x, Filter(above, below))

    def filtered(self, x: Wire, chosen: Filter) -> Wire:
        series = chosen.series(self.frame.top + 1)
        out: dict[tuple[int, int], Any] = {}
        for (i, j), value in x.entries.items():  # s**i gives s**(i-k) eta**k
            for k in range(i + 1):
                place = (i - k, j + k)
                out[place] = out.get(place, 0) + series[k] * sympy.ff(i, k) * value
        return Wire(self.frame, out, x.single)

    def average(self, x: Wire, beta: Any) -> Wire:
        return self.filter(x, [1 - beta], [1, -beta])

    def times(self, x: Wire, factor: Any = ETA) -> Wire:
        factor = sympy.sympify(factor)
        series = sympy.series(factor, ETA, 0, self.frame.top + 1).removeO() if factor.has(ETA) else factor
        if not series.is_polynomial(ETA):
            raise MethodError(f"{factor} has no Taylor series at eta = 0; a wire takes only factors that have one")
        return x * Wire(self.frame, {(0, k): series.coeff(ETA, k) for k in range(self.frame.top + 1)}, single=True)

    def feedback(self, size: int | None = None) -> tuple[Wire, Callable[[Wire], None]]:
        number, self._loops = self._loops, self._loops + 1
        before = self.fed_back.get(number, Wire(self.frame, {}))
        return self.times(before), lambda value: self.closed.__setitem__(number, value)

    def correction(self, beta: Any) -> Wire:
        return Wire(self.frame, {(0, 0): sympy.S.One}, single=True)

    def function(self, name: str, x: Wire) -> Wire:
        return x.call(name)

    def root(self, x: Wire) -> Wire:
        return x.power(sympy.S.Half)

    def dot(self, x: Wire, y: Wire) -> Wire:
        if x.single and y.single:
            return x * y
        found = x.paired(y, Dot)
        return Wire(self.frame, found.entries, single=True)

    def norm(self, x: Wire) -> Wire:
        return self.root(self.dot(x, x))

    def choose(self, x: Wire, decides: Wire, above: Any = 1, below: Any = 0) -> Wire:
        result: Wire = x * (above if self.above else below)
        return result

    def state(self, name: str) -> Wire:
        if name != "theta":
            raise no_formula(f"a memory {name!r} that is kept")
        return self.theta

    def blocks(self, x: Wire) -> dict[str, Wire]:
        raise no_formula("an optimiser on matrices")

    def vector(self, blocks: Mapping[str, Wire]) -> Wire:
        raise no_formula("an optimiser on matrices")

    @property
    def parameters(self) -> dict[str, Any]:
        raise no_formula("an optimiser on matrices")

    @property
    def builder(self) -> Any:
        raise no_formula("an optimiser that writes nodes itself (circuit.builder)")
