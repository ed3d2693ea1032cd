"""Where the run of a linear method on a quadratic becomes unstable, exact.

A root of the characteristic polynomial can leave the unit disc only where it is on the circle, and there ``1/zeta`` is
a root too. So the values of ``x = eta lambda`` at which this can happen are among the zeros of the resultant in zeta of
each irreducible factor ``Q`` and of its mirror image ``zeta**n Q(1/zeta)``. Where the two are the same, all roots are
on the circle or come in pairs inside and outside, and change where two of them meet: at zeros of the discriminant.
Between two such values nothing changes, so one point there decides.
"""

from __future__ import annotations

from typing import Any

import sympy

from eomsym.exact.general_linear import GeneralLinear
from eomsym.exact.numbers import Exact
from eomsym.optimisers.stability.algebraic import MP, Spot, exact, number, spots
from eomsym.optimisers.stability.characteristic import ZETA, X, characteristic, coefficients, irreducible
from eomsym.optimisers.stability.one_symbol import formula

__all__ = ["limit"]

#: Where between two values the roots are looked at: no value at which roots meet by chance.
BETWEEN = 0.6180339887
#: How far outside a root has to be.
OUTSIDE = 1e-20


def limit(form: GeneralLinear) -> Exact | None:
    """The stability limit: the largest x below which no root leaves the closed unit disc.

    Parameters
    ----------
    form : GeneralLinear
        All its stages are taken to see the same field. One symbol is taken to lie between 0 and 1.

    Returns
    -------
    sympy.Expr or None
        None as for :func:`eomsym.optimisers.stability.radius.radius`.

    Examples
    --------
    >>> import sympy
    >>> from eomsym.optimisers.accelerated import HeavyBall
    >>> from eomsym.optimisers.linear import GradientDescent, ProximalPoint
    >>> [limit(method.general_linear()) for method in (GradientDescent(), HeavyBall("9/10"), ProximalPoint())]
    [2, 19/5, oo]
    >>> limit(HeavyBall(sympy.Symbol("beta")).general_linear())
    2*beta + 2
    """
    polynomial = characteristic(form)
    if polynomial is None:
        return None
    factors = [f for f, _ in polynomial.factor_list()[1] if f.degree(ZETA)]
    crossings = irreducible([part for f in factors for part in crossing_parts(f)])
    symbols = set().union(*(entry.free_symbols for entry in form.entries()))

    def at(values: dict[Any, Exact]) -> Spot | Exact | None:
        return first_crossing(factors, crossings, values)

    if symbols:
        return formula(symbols, crossings, at, exact, of_moduli=False)
    found = at({})
    if isinstance(found, Spot):
        return exact(found, {})
    return sympy.oo if found is None else found


def crossing_parts(factor: sympy.Poly) -> list[sympy.Poly]:
    """Polynomials in x at whose zeros a root of an irreducible factor may cross the unit circle."""
    rows = coefficients(factor)
    degree = len(rows) - 1
    mirrored = sum(row.as_expr() * ZETA**k for k, row in enumerate(rows))
    image = sympy.Poly(mirrored, ZETA, X, domain=factor.domain)
    if image not in (factor, -factor):
        return [sympy.Poly(factor.resultant(image), X, domain=factor.domain)]
    return [rows[0], *([sympy.Poly(factor.discriminant(), X, domain=factor.domain)] if degree > 1 else [])]


def first_crossing(
    factors: list[sympy.Poly], crossings: list[sympy.Poly], values: dict[Any, Exact]
) -> Spot | Exact | None:
    """Where the first root leaves the disc: a spot, 0 if one is outside from the start, None if none ever is."""
    found = [spot for f in crossings for spot in spots(f, values) if spot.real and MP.re(spot.value) > 0]
    found.sort(key=lambda spot: MP.re(spot.value))
    tables = [[[number(c.subs(values)) for c in row.all_coeffs()] for row in coefficients(f)] for f in factors]
    edges = [MP.mpf(0), *(MP.re(spot.value) for spot in found)]
    for k, left in enumerate(edges):
        right = edges[k + 1] if k + 1 < len(edges) else 3 * left + 1
        x = left + (right - left) * MP.mpf(BETWEEN)
        for table in tables:
            roots = MP.polyroots([MP.polyval(row, x) for row in table], maxsteps=500, extraprec=300)
            if max(abs(root) for root in roots) > 1 + MP.mpf(OUTSIDE):
                return found[k - 1] if k else sympy.S.Zero
    return None
