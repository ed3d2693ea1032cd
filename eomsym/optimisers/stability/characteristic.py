"""The characteristic polynomial of a linear method on a quadratic, exact, and the polynomials that come from it."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import sympy
from sympy.polys.matrices import DomainMatrix

from eomsym.exact.general_linear import GeneralLinear
from eomsym.exact.numbers import common_domain

__all__ = ["ZETA", "X", "characteristic", "coefficients", "irreducible", "principal_factor"]

#: Dummies: a parameter of a method may be called zeta or x.
ZETA, X = sympy.Dummy("zeta"), sympy.Dummy("x")


@lru_cache(maxsize=256)
def characteristic(form: GeneralLinear) -> sympy.Poly | None:
    """The characteristic polynomial ``P(zeta, x)`` of a method on ``F = -lambda theta``, with ``x = eta lambda``.

    With ``theta_k = zeta**k`` and ``e = 1/zeta`` the stages and the step are one linear system,

        ``(I + x coupling) Y = extrapolation(e)``  and  ``1 - e past(e) + x e weights(e) Y = 0``,

    and the determinant of that system, times a power of ``zeta``, is the polynomial.

    Parameters
    ----------
    form : GeneralLinear
        All its stages are taken to see the same field.

    Returns
    -------
    sympy.Poly or None
        In the generators `ZETA` and `X`, over the field of the entries; None if they are complex, or sympy
        knows no such field.

    Examples
    --------
    >>> import sympy
    >>> from eomsym.optimisers.accelerated import HeavyBall
    >>> characteristic(HeavyBall("1/2").general_linear()).as_expr(*sympy.symbols("zeta x"))
    x*zeta + zeta**2 - 3*zeta/2 + 1/2
    """
    field = common_domain(form.entries())
    if field.is_EX or any(entry.is_real is False for entry in form.entries()):
        return None
    ring = field[ZETA, X]  # ZETA stands for 1/zeta until the end
    back, x = ring.gens

    def lift(entry: Any) -> Any:
        return ring.ring.ground_new(field.from_sympy(entry))

    def shifted(row: Any) -> Any:
        return sum((lift(w) * back**lag for lag, w in enumerate(row)), ring.zero)

    rows = []
    for i, row in enumerate(form.coupling):
        coupled = [x * lift(a) + int(i == j) for j, a in enumerate(row)]
        rows.append([*coupled, shifted(form.extrapolation[i])])
    rows.append([*(-x * back * shifted(row) for row in form.weights), 1 - back * shifted(form.past)])
    size = form.stages + 1
    mirrored = DomainMatrix(rows, (size, size), ring).det()
    degree = max(power for power, _ in mirrored)
    terms = {(degree - power, k): c for (power, k), c in mirrored.terms()}
    return sympy.Poly.from_dict(terms, ZETA, X, domain=field)


def coefficients(polynomial: sympy.Poly) -> list[sympy.Poly]:
    """Coefficients of the powers of zeta, the highest first, as polynomials in x."""
    rows: list[dict[tuple[int], Any]] = [{} for _ in range(polynomial.degree(ZETA) + 1)]
    for (power, k), c in polynomial.as_dict(native=True).items():
        rows[power][(k,)] = c
    return [sympy.Poly.from_dict(row or {(0,): 0}, X, domain=polynomial.domain) for row in reversed(rows)]


def irreducible(polynomials: list[sympy.Poly]) -> list[sympy.Poly]:
    """The different irreducible factors of polynomials in x, without x itself: their zeros are simple and differ."""
    found = [f.monic() for polynomial in polynomials if not polynomial.is_zero for f, _ in polynomial.factor_list()[1]]
    return [f for f in dict.fromkeys(found) if f.degree() and f.eval(0) != 0]


def principal_factor(polynomial: sympy.Poly) -> sympy.Poly:
    """The irreducible factor of ``P`` with the root 1 at ``x = 0``; it does not see the other roots."""
    return next(f for f, _ in polynomial.factor_list()[1] if f.degree(ZETA) and f.eval({ZETA: 1, X: 0}) == 0)
