"""Zeros of irreducible polynomials: numbers with many digits, and the exact number that belongs to one of them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import mpmath
import sympy

from eomsym.exact.numbers import Exact

__all__ = ["MP", "Spot", "exact", "modulus", "number", "spots"]

#: Forty digits, away from the precision that a user has set.
MP = mpmath.MPContext()
MP.dps = 40
#: Imaginary parts below this, over the modulus, are rounding.
REAL = 1e-25
#: An exact number is a numerical one that it is as near to, over the modulus.
NEAR = 1e-13


@dataclass(frozen=True)
class Spot:
    """A zero of an irreducible polynomial: the polynomial in x, and the number."""

    polynomial: sympy.Poly
    value: Any

    @property
    def real(self) -> bool:
        """Whether it is a real number."""
        return bool(abs(MP.im(self.value)) < REAL * abs(self.value))


def number(value: Exact) -> Any:
    """An exact number with forty digits."""
    if value.is_Rational:
        return MP.mpf(int(value.p)) / int(value.q)
    parts = (MP.mpf(str(part)) for part in value.evalf(MP.dps).as_real_imag())
    return MP.mpc(*parts)


def spots(polynomial: sympy.Poly, values: dict[Any, Exact]) -> list[Spot]:
    """All zeros of an irreducible polynomial, with `values` for its symbols."""
    row = [number(c.subs(values)) for c in polynomial.all_coeffs()]
    return [Spot(polynomial, root) for root in MP.polyroots(row, maxsteps=500, extraprec=300)]


def exact(spot: Spot, values: dict[Any, Exact]) -> Exact | None:
    """The exact real number, or the formula in symbols; None where neither radicals nor a rational polynomial give it.

    Examples
    --------
    >>> import sympy
    >>> x = sympy.Symbol("x")
    >>> exact(spots(sympy.Poly(x**2 - 2, x), {})[0], {})
    -sqrt(2)
    """
    f = spot.polynomial
    if f.degree() <= 2:
        found = _radicals(f)
    elif f.domain.is_QQ or f.domain.is_ZZ:
        found = f.real_roots()
    elif f.domain.is_Algebraic:
        return exact(_rational(spot), values)
    else:
        found = []
    return _closest(found, spot.value, values)


def _closest(found: list[Exact], value: Any, values: dict[Any, Exact]) -> Exact | None:
    """The one of some exact numbers that is `value`; None if none of them is."""
    gaps = [abs(complex(root.subs(values).evalf(20)) - complex(value)) for root in found]
    best = min(range(len(gaps)), key=gaps.__getitem__, default=None)
    return None if best is None or gaps[best] > NEAR * abs(value) else found[best]


def _rational(spot: Spot) -> Spot:
    """The same number as a zero of a rational polynomial."""
    parts = [part for part, _ in spot.polynomial.norm().factor_list()[1]]
    return min((twin for part in parts for twin in spots(part, {})), key=lambda twin: abs(twin.value - spot.value))


def _radicals(f: sympy.Poly) -> list[Exact]:
    if f.degree() == 1:
        return [sympy.factor(-f.nth(0) / f.nth(1))]
    a, b, c = f.all_coeffs()
    root = sympy.sqrt(sympy.factor(b**2 - 4 * a * c))
    return [sympy.expand((-b + sign * root) / (2 * a)) for sign in (-1, 1)]


def modulus(spot: Spot, values: dict[Any, Exact]) -> Exact | None:
    """The exact modulus of a zero, a real number; None as in :func:`exact`.

    That of a complex number is the root of a real one: of a product of two zeros of the polynomial.

    Examples
    --------
    >>> import sympy
    >>> x = sympy.Symbol("x")
    >>> modulus(spots(sympy.Poly(x**2 - x + 2, x), {})[0], {})
    sqrt(2)
    """
    f = spot.polynomial
    if spot.real:
        found = exact(spot, values)
        return found if found is None or MP.re(spot.value) > 0 else -found
    square = abs(spot.value) ** 2
    if f.degree() == 2:
        return sympy.sqrt(f.nth(0) / f.nth(2))
    if f.domain.is_Algebraic:
        return modulus(_rational(spot), values)
    if not (f.domain.is_QQ or f.domain.is_ZZ):
        return None
    found = _closest([root for part, _ in products(f).factor_list()[1] for root in part.real_roots()], square, {})
    return None if found is None else sympy.sqrt(found)


@lru_cache(maxsize=64)
def products(f: sympy.Poly) -> sympy.Poly:
    """The polynomial whose zeros are the products of two zeros of `f`, from sums of powers; for rational `f`.

    Examples
    --------
    >>> import sympy
    >>> x = sympy.Symbol("x")
    >>> products(sympy.Poly((x - 2) * (x - 3) * (x - 5), x)).as_expr()
    x**3 - 31*x**2 + 300*x - 900
    """
    row = [c / f.LC() for c in f.all_coeffs()]
    degree = len(row) - 1
    count = degree * (degree - 1) // 2
    sums = [sympy.Integer(degree)]
    for k in range(1, 2 * count + 1):  # Newton's identities, from the coefficients to the sums
        known = sum((row[i] * sums[k - i] for i in range(1, min(k, degree + 1))), sympy.S.Zero)
        sums.append(-known - (k * row[k] if k <= degree else 0))
    pairs = [(sums[k] ** 2 - sums[2 * k]) / 2 for k in range(count + 1)]
    out = [sympy.S.One]
    for k in range(1, count + 1):  # and back
        out.append(-sum((out[k - i] * pairs[i] for i in range(1, k + 1)), sympy.S.Zero) / k)
    return sympy.Poly(out, *f.gens)
