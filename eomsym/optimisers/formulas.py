"""Counter terms of any optimiser for any loss, orders 0 to 2: the symbolic reading of its circuit.

Every wire is a truncated table in time and step size whose entries are elementwise expressions in g, H[u] (the Hessian
times a vector) and T[u, v] (the third derivative on two vectors); products, quotients and functions act entry by entry,
and norms bring inner products. It shares no code with the numerical tables, and so checks them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any

import sympy
from sympy.printing.latex import LatexPrinter
from sympy.printing.str import StrPrinter

from eomsym.errors import InputError, MethodError
from eomsym.exact.methods import Method
from eomsym.exact.numbers import ETA
from eomsym.optimisers.filters import Filter

__all__ = ["Dot", "ElementwiseTerms", "Hessian", "Third", "elementwise_terms"]

MOST = 2
g, theta = sympy.symbols("g theta", real=True)
FUNCTIONS = {
    "exp": sympy.exp,
    "tanh": sympy.tanh,
    "sin": sympy.sin,
    "cos": sympy.cos,
    "log": sympy.log,
    "atan": sympy.atan,
    "erf": sympy.erf,
    "sigmoid": lambda x: 1 / (1 + sympy.exp(-x)),
    "softplus": lambda x: sympy.log(1 + sympy.exp(x)),
    "reciprocal": lambda x: 1 / x,
}


class _Named(sympy.Symbol):  # type: ignore[misc]
    """A short name for an elementwise expression."""


class _Form(sympy.Function):  # type: ignore[misc]
    """A multilinear map of elementwise expressions: numbers and scalars come out, sums fall apart."""

    @classmethod
    def eval(cls, *arguments: Any) -> Any:
        parts = [_terms(argument) for argument in arguments]
        if all(len(part) == 1 and part[0][0] == 1 for part in parts):
            ordered = tuple(sorted((part[0][1] for part in parts), key=sympy.default_sort_key))
            return None if ordered == arguments else cls(*ordered)
        total = sympy.S.Zero
        for chosen in product(*parts):
            total += sympy.Mul(*(c for c, _ in chosen)) * cls(*(v for _, v in chosen))
        return total


class Hessian(_Form):
    """``H[u]``: the Hessian times a vector."""

    nargs = 1


class Third(_Form):
    """``T[u, v]``: the third derivative of the loss on two vectors."""

    nargs = 2


class Dot(_Form):
    """``<u, v>``: the inner product, a number."""

    nargs = 2
    is_real = True


def _scalar(expression: Any) -> bool:
    """Whether an expression is a number: symbols of the optimiser and inner products."""
    return not expression.replace(Dot, lambda *_: sympy.S.One).has(g, theta, Hessian, Third, _Named)


def _terms(expression: Any) -> list[tuple[Any, Any]]:
    """An expression as a sum of a number times a vector."""
    found = []
    for term in sympy.Add.make_args(sympy.expand_mul(expression, deep=False)):
        numbers = [factor for factor in sympy.Mul.make_args(term) if _scalar(factor)]
        vectors = [factor for factor in sympy.Mul.make_args(term) if not _scalar(factor)]
        if term != 0:
            found.append((sympy.Mul(*numbers), sympy.Mul(*vectors)))
    return found


class Wire:
    """A table: the coefficient of ``s**i eta**j`` at (i, j), i + j <= top."""

    def __init__(self, top: int, entries: Mapping[tuple[int, int], Any]) -> None:
        self.top = top
        self.entries = {place: x for place, x in entries.items() if sum(place) <= top and x != 0}

    def __getitem__(self, place: tuple[int, int]) -> Any:
        return self.entries.get(place, sympy.S.Zero)

    def _other(self, other: Any) -> Wire:
        result: Wire = other if isinstance(other, Wire) else Wire(self.top, {(0, 0): sympy.sympify(other)})
        return result

    def _made(self, entries: Mapping[tuple[int, int], Any]) -> Wire:
        return Wire(self.top, entries)

    def __add__(self, other: Any) -> Wire:
        right = self._other(other)
        return self._made({p: self[p] + right[p] for p in self.entries.keys() | right.entries.keys()})

    __radd__ = __add__

    def __neg__(self) -> Wire:
        return self._made({p: -x for p, x in self.entries.items()})

    def __sub__(self, other: Any) -> Wire:
        return self + -self._other(other)

    def __rsub__(self, other: Any) -> Wire:
        result: Wire = -self + other
        return result

    def paired(self, other: Wire, pair: Callable[[Any, Any], Any]) -> Wire:
        """Truncated product with any bilinear map."""
        out: dict[tuple[int, int], Any] = {}
        for (i, j), x in self.entries.items():
            for (k, m), y in other.entries.items():
                if i + j + k + m <= self.top:
                    out[i + k, j + m] = out.get((i + k, j + m), 0) + pair(x, y)
        return self._made(out)

    def __mul__(self, other: Any) -> Wire:
        return self.paired(self._other(other), lambda x, y: x * y)

    __rmul__ = __mul__

    def composed(self, function: Callable[[Any], Any]) -> Wire:
        """A function of it, by Taylor's formula."""
        x, start = sympy.Dummy("x"), self[0, 0]
        rest = self._made({p: v for p, v in self.entries.items() if p != (0, 0)})
        out, power, formula = self._other(function(start)), self._other(1), function(x)
        for k in range(1, self.top + 1):
            formula = sympy.diff(formula, x) / k
            power = power * rest
            out = out + power * formula.subs(x, start)
        return out

    def power(self, exponent: Any) -> Wire:
        return self.composed(lambda x: x ** sympy.sympify(exponent))

    def squared(self, weight: Any = 1, plus: Any = 0) -> Wire:
        result: Wire = self * self * weight + plus
        return result

    def call(self, name: str) -> Wire:
        if name not in FUNCTIONS:
            raise MethodError(f"no formula for the function {name!r}; it is one of {', '.join(FUNCTIONS)}")
        return self.composed(FUNCTIONS[name])

    def __truediv__(self, other: Any) -> Wire:
        return self * (other.power(-1) if isinstance(other, Wire) else 1 / sympy.sympify(other))

    def __rtruediv__(self, other: Any) -> Wire:
        result: Wire = self.power(-1) * other
        return result

    @property
    def T(self) -> Wire:
        raise _no_formula("a matrix")

    __matmul__ = __rmatmul__ = lambda self, other: self.T


def _no_formula(what: str) -> MethodError:
    return MethodError(
        f"{what} has no elementwise formula; use eomsym.modified_field(loss, order, method) for a given loss, or "
        "eomsym.compile for numbers"
    )


class Formulas:
    """The circuit that an optimiser writes its step with; see :class:`eomsym.taylor.circuit.Circuit`."""

    def __init__(self, top: int, motion: Wire, fed_back: list[Wire], above: bool) -> None:
        self.top, self.theta, self.above = top, motion, above
        self.fed_back, self._loops = fed_back, 0
        self.closed: dict[int, Wire] = {}

    def gradient(self, x: Wire | None = None, batch: int = 0) -> Wire:
        """``g + H[y] + T[y, y]/2`` for a displacement y, degree by degree."""
        point = self.theta if x is None else x
        moved = Wire(self.top, {p: v for p, v in point.entries.items() if p != (0, 0)})
        curved = moved.paired(moved, Third) * sympy.Rational(1, 2)
        first = Wire(self.top, {p: Hessian(v) for p, v in moved.entries.items()})
        result: Wire = Wire(self.top, {(0, 0): g}) + first + curved
        return result

    def filter(self, x: Wire, above: Any, below: Any = (1,)) -> Wire:
        return self.filtered(x, Filter(above, below))

    def filtered(self, x: Wire, chosen: Filter) -> Wire:
        series = chosen.series(self.top + 1)
        out: dict[tuple[int, int], Any] = {}
        for (i, j), value in x.entries.items():  # s**i gives s**(i-k) eta**k
            for k in range(i + 1):
                place = (i - k, j + k)
                out[place] = out.get(place, 0) + series[k] * sympy.ff(i, k) * value
        return Wire(self.top, out)

    def average(self, x: Wire, beta: Any) -> Wire:
        return self.filter(x, [1 - beta], [1, -beta])

    def times(self, x: Wire, factor: Any = ETA) -> Wire:
        series = [sympy.diff(factor, ETA, k).subs(ETA, 0) / sympy.factorial(k) for k in range(self.top + 1)]
        return x * Wire(self.top, {(0, k): c for k, c in enumerate(series)})

    def feedback(self, size: int | None = None) -> tuple[Wire, Callable[[Wire], None]]:
        number, self._loops = self._loops, self._loops + 1
        before = self.fed_back[number] if number < len(self.fed_back) else Wire(self.top, {})
        return self.times(before), lambda value: self.closed.__setitem__(number, value)

    def correction(self, beta: Any) -> Wire:
        return Wire(self.top, {(0, 0): sympy.S.One})

    def function(self, name: str, x: Wire) -> Wire:
        return x.call(name)

    def root(self, x: Wire) -> Wire:
        return x.power(sympy.S.Half)

    def dot(self, x: Wire, y: Wire) -> Wire:
        return x.paired(y, Dot)

    def norm(self, x: Wire) -> Wire:
        return self.root(self.dot(x, x))

    def choose(self, x: Wire, decides: Wire, above: Any = 1, below: Any = 0) -> Wire:
        result: Wire = x * (above if self.above else below)
        return result

    def state(self, name: str) -> Wire:
        raise _no_formula("a memory that is kept")

    def blocks(self, x: Wire) -> dict[str, Wire]:
        raise _no_formula("an optimiser on matrices")

    @property
    def parameters(self) -> dict[str, Any]:
        raise _no_formula("an optimiser on matrices")


@dataclass(frozen=True)
class ElementwiseTerms:
    """Counter terms of an optimiser for any loss. Made by :func:`elementwise_terms`.

    Attributes
    ----------
    method : Method
    terms : tuple of sympy.Expr
        ``terms[k]`` multiplies ``eta**k`` in ``theta' = -sum_k eta**k terms[k]``.
    above : bool
        Of piecewise optimisers: in which region.
    """

    method: Method
    terms: tuple[Any, ...]
    above: bool = True

    @property
    def order(self) -> int:
        return len(self.terms) - 1

    def __getitem__(self, index: int) -> Any:
        return self.terms[index]

    def __len__(self) -> int:
        return len(self.terms)

    @property
    def shortened(self) -> tuple[list[tuple[Any, Any]], list[Any]]:
        """Names for sums under roots and in denominators, and the terms written with them."""
        sums = {
            power.base: None
            for term in self.terms
            for power in sorted(term.atoms(sympy.Pow), key=sympy.default_sort_key)
            if power.base.is_Add and not power.exp.is_positive and power.base.has(g)
        }
        titles = [f"s_{k}" for k in range(len(sums))] if len(sums) > 1 else ["s"]
        named = {base: _Named(title, positive=True) for base, title in zip(sums, titles, strict=False)}
        return [(name, base) for base, name in named.items()], [_shorter(term, named) for term in self.terms]

    def __str__(self) -> str:
        names, terms = self.shortened
        lines = [f"term_{k} = {_text(term)}" for k, term in enumerate(terms)]
        told = [f"{name} = {_text(base)}" for name, base in names]
        return "\n".join([*lines, f"with {', '.join([*told, 'products entry by entry'])}"])

    def latex(self) -> str:
        """The equations in an ``align*`` environment of amsmath, and a line that says what the symbols are."""
        names, terms = self.shortened
        lines = [rf"\mathrm{{term}}_{{{k}}} &= {_latex(term)}" for k, term in enumerate(terms)]
        told = "".join(rf", \quad {sympy.latex(name)} = {_latex(base)}" for name, base in names)
        body = " \\\\\n".join(lines)
        note = (
            r"&\text{with } g \text{ the gradient, } H[\cdot] \text{ the Hessian, } T[\cdot,\cdot] \text{ the third "
            r"derivative; all else entry by entry}" + told
        )
        return "\\begin{align*}\n" + body + " \\\\\n" + note + "\n\\end{align*}"

    def _repr_latex_(self) -> str:
        return self.latex()


def elementwise_terms(method: Method, order: int, *, above: bool = True) -> ElementwiseTerms:
    """Counter terms of any optimiser for any loss, with elementwise products.

    Parameters
    ----------
    method : Method
        Its parameters may be symbols.
    order : int
        0, 1 or 2.
    above : bool
        Of a piecewise optimiser (clipping): the region where its gates are open, or the other one.

    Returns
    -------
    ElementwiseTerms

    Raises
    ------
    InputError
        The order is not 0, 1 or 2.
    MethodError
        The method works on matrices, keeps memories, or sees batches.

    Examples
    --------
    >>> from eomsym.optimisers.normalised import NormalisedGradient
    >>> print(elementwise_terms(NormalisedGradient(), 1))
    term_0 = g/|g|
    term_1 = -g*<g, H[g]>/(2*|g|**4) + H[g]/(2*|g|**2)
    with products entry by entry

    References
    ----------
    M. D. Cattaneo, J. M. Klusowski, B. Shigida, On the Implicit Bias of Adam, ICML 2024, arXiv:2309.00079 (order 1).
    """
    if isinstance(order, bool) or not isinstance(order, int) or not 0 <= order <= MOST:
        raise InputError(
            f"formulas of {method.name} for any loss go to order {MOST}, got {order!r}; for a given loss every order "
            "is there: eomsym.modified_field(loss, order, method)"
        )
    if method.colours > 1:
        raise _no_formula(f"{method.name}, with a loss for each batch,")
    if method.kept(1):
        raise _no_formula(f"{method.name}, which keeps memories,")
    motion = Wire(order, {(0, 0): theta})
    fed_back: list[Wire] = []
    terms = Wire(order, {})
    for _ in range(order + 1):  # each pass makes one more degree right
        circuit = Formulas(order, motion, fed_back, above)
        update = method.update(circuit)
        fed_back = [circuit.closed[k] for k in sorted(circuit.closed)]
        terms = -(update if method.is_flow else circuit.filtered(update, Filter([1], [1], step=True)))
        moved = {(i + 1, j): -x / (i + 1) for (i, j), x in terms.entries.items()}
        motion = Wire(order, {(0, 0): theta, **moved})
    found = tuple(_collected(terms[0, k]) for k in range(order + 1))
    return ElementwiseTerms(method, found, above)


def _collected(term: Any) -> Any:
    """A sum over H[…] and T[…] with one factored coefficient each."""
    return sympy.Add(*(_factored(c) * atoms for atoms, c in _coefficients(term).items()))


def _coefficients(term: Any) -> dict[Any, Any]:
    """The coefficient of each product of H[…] and T[…]."""
    parts: dict[Any, Any] = {}
    for part in sympy.Add.make_args(sympy.expand_mul(term)):
        atoms = sympy.Mul(*(f for f in sympy.Mul.make_args(part) if f.has(Hessian, Third) and not _scalar(f)))
        parts[atoms] = parts.get(atoms, 0) + part / atoms
    return parts


def _factored(coefficient: Any) -> Any:
    """Simplified; inner products are taken for symbols, since sympy would look into them."""
    hidden = {dot: sympy.Dummy(positive=dot.args[0] == dot.args[1], real=True) for dot in coefficient.atoms(Dot)}
    simple = sympy.factor(sympy.powsimp(sympy.simplify(coefficient.xreplace(hidden))))
    return simple.xreplace({name: dot for dot, name in hidden.items()})


def _shorter(term: Any, named: dict[Any, Any]) -> Any:
    """The term with the names; with one name s = g**2 + c its coefficients become sums over powers of s and c."""
    if len(named) != 1 or (rest := next(iter(named)) - g**2).has(g):
        return term.subs(named)
    ((base, name),) = named.items()
    total = sympy.S.Zero
    for atoms, coefficient in _coefficients(term).items():
        numerator, denominator = sympy.fraction(sympy.together(coefficient.subs(base, name)))
        even = numerator.replace(
            lambda e: e.is_Pow and e.base == g and e.exp.is_Integer and e.exp > 1,
            lambda e: g ** (e.exp % 2) * (name - rest) ** (e.exp // 2),
        )
        quotient = sympy.expand(even / sympy.factor(denominator))
        kept = [name, g, *rest.free_symbols, *quotient.atoms(Dot)]
        collected = sympy.collect(quotient, kept, evaluate=False) if quotient.is_Add else {sympy.S.One: quotient}
        total += sympy.Add(*(sympy.factor(c) * power for power, c in collected.items())) * atoms
    return total.subs(base, name)


class _Text(StrPrinter):  # type: ignore[misc]
    def _print_Hessian(self, e: Any) -> str:
        return f"H[{self._print(e.args[0])}]"

    def _print_Third(self, e: Any) -> str:
        return f"T[{self._print(e.args[0])}, {self._print(e.args[1])}]"

    def _print_Dot(self, e: Any) -> str:
        return f"<{self._print(e.args[0])}, {self._print(e.args[1])}>"


class _LaTeX(LatexPrinter):  # type: ignore[misc]
    def _form(self, e: Any, left: str, right: str, exp: str | None) -> str:
        text = left + ", ".join(self._print(x) for x in e.args) + right
        return text if exp is None else rf"{text}^{{{exp}}}"

    def _print_Hessian(self, e: Any, exp: str | None = None) -> str:
        return self._form(e, r"H\left[", r"\right]", exp)

    def _print_Third(self, e: Any, exp: str | None = None) -> str:
        return self._form(e, r"T\left[", r"\right]", exp)

    def _print_Dot(self, e: Any, exp: str | None = None) -> str:
        return self._form(e, r"\langle ", r"\rangle", exp)


#: The norm of the gradient, which is written for ``<g, g>``.
_NORM = sympy.Symbol("|g|", positive=True)


def _text(expression: Any) -> str:
    return str(_Text().doprint(_with_norm(expression)))


def _latex(expression: Any) -> str:
    return str(_LaTeX().doprint(_with_norm(expression, sympy.Symbol(r"\|g\|", positive=True))))


def _with_norm(expression: Any, norm: Any = _NORM) -> Any:
    return expression.subs(Dot(g, g), norm**2)
