"""One formula for all values of a symbol between 0 and 1, where there is one.

A method with a symbol such as ``beta`` has candidates ``x(beta)``, and for each number beta one of them is chosen. The
choice can change only where two candidates meet, or have the same modulus if moduli are compared, or where one is 0 or
infinite: at zeros of discriminants, resultants and outer coefficients. One number in each interval between those zeros
decides the choice for the whole of it.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations, pairwise
from typing import Any

import sympy

from eomsym.exact.numbers import Exact
from eomsym.optimisers.stability.algebraic import Spot, number
from eomsym.optimisers.stability.characteristic import X

__all__ = ["formula"]

#: More candidates than this are not compared.
MANY = 6


def formula(
    symbols: set[Any],
    candidates: list[sympy.Poly],
    choose: Callable[[dict[Any, Exact]], Spot | Exact | None],
    write: Callable[[Spot, dict[Any, Exact]], Exact | None],
    *,
    of_moduli: bool,
) -> Exact | None:
    """The formula of the chosen candidate, None where it is not the same one everywhere or cannot be written.

    Parameters
    ----------
    symbols : set of sympy.Symbol
        None is returned unless there is one.
    candidates : list of sympy.Poly
        Irreducible polynomials in x.
    choose : callable
        The candidate that is chosen for a value of the symbol, or a number; None stands for infinity.
    write : callable
        The formula of a candidate near a value of the symbol.
    of_moduli : bool
        Whether the choice compares moduli of complex candidates, or real candidates.
    """
    if len(symbols) != 1 or sum(f.degree() for f in candidates) > MANY:
        return None
    (symbol,) = symbols
    positive = sympy.Dummy(str(symbol), positive=True)
    found = set()
    for sample in samples(candidates, symbol, of_moduli):
        chosen = choose({symbol: sample})
        if isinstance(chosen, Spot):
            # with a positive symbol the square root of its square is the symbol itself
            moved = Spot(sympy.Poly(chosen.polynomial.as_expr().subs(symbol, positive), X), chosen.value)
            written = write(moved, {positive: sample})
            if written is None:
                return None
            found.add(short(written, positive).subs(positive, symbol))
        else:
            found.add(sympy.oo if chosen is None else chosen)
    return found.pop() if len(found) == 1 else None


def short(expression: Exact, symbol: Any) -> Exact:
    """The shortest of some forms of an expression in a positive symbol.

    Examples
    --------
    >>> import sympy
    >>> beta = sympy.Symbol("beta", positive=True)
    >>> short(1 - 2 * sympy.sqrt(beta) + beta, beta)
    (sqrt(beta) - 1)**2
    """
    root = sympy.Dummy("root", positive=True)
    forms = [sympy.factor(expression), sympy.cancel(expression)]
    forms.append(sympy.factor(expression.subs(symbol, root**2)).subs(root, sympy.sqrt(symbol)))
    return min(forms, key=lambda form: int(form.count_ops()))


def samples(candidates: list[sympy.Poly], symbol: Any, of_moduli: bool) -> list[Exact]:
    """One rational number in each interval of (0, 1) on which the order of the candidates stays the same."""
    compared = [sympy.Poly(f.as_expr(), X) for f in candidates]
    if of_moduli:  # squares of moduli are among the products of two candidates
        y = sympy.Dummy("y")
        pairs = [(f, g) for i, f in enumerate(compared) for g in compared[i:]]
        for f, g in pairs:
            mirrored = sympy.expand(X ** g.degree() * g.as_expr().subs(X, y / X))
            product = sympy.Poly(sympy.together(sympy.resultant(f.as_expr(), mirrored, X)), y).as_expr()
            compared += [sympy.Poly(part.subs(y, X), X) for part, _ in sympy.factor_list(product, y)[1]]
    compared = [f for f in dict.fromkeys(compared) if f.degree()]
    marks = [c for f in compared for c in (f.LC(), f.nth(0), f.discriminant())]
    marks += [f.resultant(g) for f, g in combinations(compared, 2)]
    edges = {sympy.S.Zero, sympy.S.One}
    for mark in marks:
        for part in sympy.fraction(sympy.together(mark.as_expr())):
            poly = sympy.Poly(part, symbol)
            edges |= {root for root in poly.real_roots() if 0 < root < 1} if poly.degree() > 0 else set()
    places = sorted(number(edge) for edge in edges)
    return [sympy.Rational(str((a + b) / 2)) for a, b in pairwise(places)]
