"""Elementwise expressions in g, H[u] and T[u, v]: the atoms, and one normal form for sums of their products.

Products, quotients and powers act entry by entry, so everything commutes. A sum is a mapping from monomials, which are
sets of pairs (atom, exponent), to coefficients in the parameters of the optimiser.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import product
from typing import Any

import sympy

__all__ = ["Dot", "Hessian", "Named", "Third", "collected", "g", "gathered", "is_single", "normal", "theta"]

#: The gradient and the parameters, both vectors.
g, theta = sympy.symbols("g theta", real=True)

#: Pairs of an atom and its exponent.
Monomial = frozenset[tuple[Any, Any]]
Sum = dict[Monomial, Any]
ONE: Monomial = frozenset()


class Named(sympy.Symbol):  # type: ignore[misc]
    """A short name for an expression, kept in `stands_for`; `single` where that is one number."""

    def __new__(cls, name: str, stands_for: Any) -> Named:
        sign = {"positive": True} if stands_for.is_positive else {"real": True} if stands_for.is_real else {}
        made: Named = sympy.Symbol.__xnew__(cls, name, commutative=True, **sign)  # not from the cache of all symbols
        made.stands_for, made.single = stands_for, is_single(stands_for)
        return made

    def _hashable_content(self) -> tuple[Any, ...]:
        return (*super()._hashable_content(), self.stands_for)

    def __getnewargs_ex__(self) -> tuple[Any, dict[str, Any]]:
        return (self.name, self.stands_for), {}


class Form(sympy.Function):  # type: ignore[misc]
    """A symmetric multilinear map of vectors: numbers come out, sums fall apart."""

    @classmethod
    def eval(cls, *arguments: Any) -> Any:
        parts = [_vectors(argument) for argument in arguments]
        if all(len(part) == 1 and part[0][0] == 1 for part in parts):
            ordered = cls.ordered([part[0][1] for part in parts])
            return None if ordered == arguments else cls(*ordered)
        chosen = [(sympy.Mul(*(c for c, _ in some)), [v for _, v in some]) for some in product(*parts)]
        return sympy.Add(*(c * cls(*vectors) for c, vectors in chosen))

    @classmethod
    def ordered(cls, vectors: list[Any]) -> tuple[Any, ...]:
        """The same value with its vectors in a fixed order."""
        return tuple(sorted(vectors, key=sympy.default_sort_key))


class Hessian(Form):
    """``H[u]``: the Hessian times a vector.

    Examples
    --------
    >>> Hessian(3 * g + theta)
    3*Hessian(g) + Hessian(theta)
    """

    nargs = 1


class Third(Form):
    """``T[u, v]``: the third derivative of the loss on two vectors, a vector."""

    nargs = 2


class Dot(Form):
    """``<u, v>``: the inner product, one number.

    Examples
    --------
    >>> Dot(g, Hessian(Hessian(g)))
    Dot(Hessian(g), Hessian(g))
    """

    nargs = 2
    is_real = True

    @classmethod
    def ordered(cls, vectors: list[Any]) -> tuple[Any, ...]:
        """Derivatives are symmetric: a Hessian may act on either side, and T on any two of three vectors."""
        left, right = sorted(vectors, key=_depth)
        if isinstance(right, Hessian) and _depth(right) > _depth(left) + 1:
            return cls.ordered([Hessian(left), right.args[0]])
        thirds = [x for x in vectors if isinstance(x, Third)]
        if len(thirds) == 1:
            (other,) = [x for x in vectors if x is not thirds[0]]
            left, *rest = super().ordered([other, *thirds[0].args])
            right = Third(*rest)
        return super().ordered([left, right])

    def _eval_is_nonnegative(self) -> bool | None:
        return True if self.args[0] == self.args[1] else None


def _depth(e: Any) -> int:
    """How many derivatives stand inside of each other."""
    return int(isinstance(e, Hessian | Third)) + max((_depth(x) for x in e.args), default=0)


def is_single(e: Any) -> bool:
    """Whether an expression is one number: of the optimiser's parameters and inner products."""
    if isinstance(e, Dot):
        return True
    if isinstance(e, Named):
        return bool(e.single)
    if e in (g, theta) or isinstance(e, Hessian | Third):
        return False
    return all(is_single(x) for x in e.args)


def is_parameter(e: Any) -> bool:
    """Whether an expression holds parameters of the optimiser and nothing else."""
    return not bool(e.has(g, theta, Hessian, Third, Dot, Named))


def _vectors(expression: Any) -> list[tuple[Any, Any]]:
    """An expression as a sum of a number times a vector."""
    found = []
    for monomial, coefficient in gathered(expression).items():
        single = [x**k for x, k in monomial if is_single(x)]
        found.append((sympy.Mul(coefficient, *single), sympy.Mul(*(x**k for x, k in monomial if not is_single(x)))))
    return found


# sums -----------------------------------------------------------------------------------------------------------------


def gathered(e: Any) -> Sum:
    """The monomials of an expression and their coefficients, which are not simplified.

    Examples
    --------
    >>> gathered((g + theta) ** 2)[frozenset({(g, 1), (theta, 1)})]
    2
    """
    if is_parameter(e):
        return {} if e == 0 else {ONE: e}
    if e.is_Add:
        return _added(gathered(x) for x in e.args)
    if e.is_Mul:
        out: Sum = {ONE: sympy.S.One}
        for x in e.args:
            out = _multiplied(out, gathered(x))
        return out
    if e.is_Pow and e.exp.is_Integer:
        inner = gathered(e.base)
        if e.exp > 0:
            out = {ONE: sympy.S.One}
            for _ in range(int(e.exp)):
                out = _multiplied(out, inner)
            return out
        if len(inner) == 1:
            ((monomial, c),) = inner.items()
            return {frozenset((x, k * e.exp) for x, k in monomial): c**e.exp}
    base, exponent = e.as_base_exp() if e.is_Pow and e.exp.is_number else (e, sympy.S.One)
    return {frozenset({(base, exponent)}): sympy.S.One}


def _added(sums: Iterable[Sum]) -> Sum:
    out: Sum = {}
    for one in sums:
        for monomial, c in one.items():
            out[monomial] = out.get(monomial, sympy.S.Zero) + c
    return {monomial: c for monomial, c in out.items() if c != 0}


def _multiplied(left: Sum, right: Sum) -> Sum:
    return _added({_joined(x, y): a * b} for x, a in left.items() for y, b in right.items())


def _joined(left: Iterable[tuple[Any, Any]], right: Iterable[tuple[Any, Any]]) -> Monomial:
    powers: dict[Any, Any] = dict(left)
    for x, k in right:
        powers[x] = powers.get(x, sympy.S.Zero) + k
    return frozenset((x, k) for x, k in powers.items() if k != 0)


# the normal form ------------------------------------------------------------------------------------------------------


def collected(total: Mapping[Monomial, Any]) -> Any:
    """The expression of a sum: one coefficient for each product of H[…] and T[…]."""
    parts: dict[Any, list[Any]] = {}
    for monomial, c in total.items():
        derivatives = sympy.Mul(*(x**k for x, k in monomial if isinstance(x, Hessian | Third)))
        others = sympy.Mul(*(x**k for x, k in monomial if not isinstance(x, Hessian | Third)))
        parts.setdefault(derivatives, []).append(c * others)
    return sympy.Add(*(sympy.Add(*coefficients) * derivatives for derivatives, coefficients in parts.items()))


def normal(e: Any, names: Iterable[Named] = ()) -> Sum:
    """The sum with all that the names allow carried out, inside of derivatives too, and factored coefficients.

    With a name ``s = x + c``, x a power of an atom, ``x/s`` becomes ``1 - c/s``, and ``s`` itself ``x + c``: so a
    quotient of polynomials in x and s has one form only, that of partial fractions.
    """
    rules = _rules(names)
    absolute = any(e.has(sympy.Abs(g)) or name.stands_for.has(sympy.Abs(g)) for name in names) or e.has(sympy.Abs(g))
    return _normal(e, rules, absolute)


def _normal(e: Any, rules: list[tuple[Any, Any, Any, Any]], absolute: bool) -> Sum:
    done: Sum = {}
    waiting = [entry for part in gathered(e).items() for entry in _inside(*part, rules, absolute).items()]
    while waiting:
        monomial, c = waiting.pop()
        changed = _changed(monomial, rules, absolute)
        if changed is None:
            done[monomial] = done.get(monomial, sympy.S.Zero) + c
        else:
            waiting += [(new, c * factor) for new, factor in changed.items()]
    simple = {monomial: c if c.is_Rational else sympy.factor(c) for monomial, c in done.items()}
    return {monomial: c for monomial, c in simple.items() if c != 0}


def _inside(monomial: Monomial, c: Any, rules: list[Any], absolute: bool) -> Sum:
    """A monomial with the arguments of its derivatives in normal form; they may fall apart into more."""
    out: Sum = {ONE: c}
    for x, k in monomial:
        if isinstance(x, Form):
            inner = x.func(*(collected(_normal(argument, rules, absolute)) for argument in x.args))
            out = _multiplied(out, gathered(inner**k))
        else:
            out = _multiplied(out, {frozenset({(x, k)}): sympy.S.One})
    return out


def _rules(names: Iterable[Named]) -> list[tuple[Any, Any, Any, Any]]:
    """Of each name ``s = a x**k + c``: s, x, k, and the rest c over a; only where no other name has the same x."""
    found = []
    for name in names:
        total = dict(gathered(name.stands_for))
        rest = total.pop(ONE, sympy.S.Zero)
        if rest != 0 and len(total) == 1:
            ((monomial, a),) = total.items()
            if len(monomial) == 1 and a == 1:
                ((x, k),) = monomial
                found.append((name, x, k, rest))
    atoms = [x for _, x, _, _ in found]
    return [rule for rule in found if atoms.count(rule[1]) == 1 and rule[2] > 0]


def _changed(monomial: Monomial, rules: list[tuple[Any, Any, Any, Any]], absolute: bool) -> Sum | None:
    """One step towards the normal form; None at its end."""
    powers = dict(monomial)
    degree = powers.get(g, sympy.S.Zero)
    if absolute and degree.is_Integer and degree not in (0, 1):
        even = degree - degree % 2
        return {_joined(monomial, [(g, -even), (sympy.Abs(g), even)]): sympy.S.One}
    for name, x, k, rest in rules:
        s, power = powers.get(name, sympy.S.Zero), powers.get(x, sympy.S.Zero)
        if s < 0 and power >= k:  # x**k = s - c
            return {_joined(monomial, [(x, -k), (name, 1)]): sympy.S.One, _joined(monomial, [(x, -k)]): -rest}
        if s >= 1:
            return {_joined(monomial, [(x, k), (name, -1)]): sympy.S.One, _joined(monomial, [(name, -1)]): rest}
    return None
