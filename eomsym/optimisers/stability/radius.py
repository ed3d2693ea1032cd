"""Where the series of a linear method ends on a quadratic, exact.

On a quadratic with curvature ``lambda`` the modified field is ``-m theta`` with ``exp(-eta m)`` the principal root of
the characteristic polynomial ``P(zeta, x)``, ``x = eta lambda``: the root that is 1 at ``x = 0``. Its series in x
converges up to the nearest complex x at which that root vanishes, has a pole, or branches. These are zeros of the
constant coefficient, of the leading one, and of the discriminant; but such a zero may belong to other roots alone, or
two roots may pass through each other there. So each is asked, from the nearest on: the principal root is followed from
0 to a small circle around it, and once round. It is regular and not zero there if and only if it comes back to itself
without having turned around 0.
"""

from __future__ import annotations

import cmath
from collections.abc import Callable
from typing import Any

import numpy as np
import sympy

from eomsym.exact.general_linear import GeneralLinear
from eomsym.exact.numbers import Exact
from eomsym.optimisers.stability.algebraic import MP, Spot, modulus, number, spots
from eomsym.optimisers.stability.characteristic import X, characteristic, coefficients, irreducible, principal_factor
from eomsym.optimisers.stability.one_symbol import formula

__all__ = ["radius"]

#: Spots that are closer than this, over their modulus, are told apart with forty digits.
CLOSE = 1e-4
#: Corners of the circle round a spot.
CORNERS = 32

#: So many steps are never needed between places that can be told apart.
STEPS = 20_000

Roots = Callable[[Any], list[Any]]


class LostBranch(ArithmeticError):
    """Two roots could not be told apart with the digits at hand."""


def radius(form: GeneralLinear) -> Exact | None:
    """The radius of convergence in ``x = eta lambda``.

    Parameters
    ----------
    form : GeneralLinear
        All its stages are taken to see the same field. One symbol is taken to lie between 0 and 1.

    Returns
    -------
    sympy.Expr or None
        None with several symbols, where no one formula holds for all values of the symbol, and for numbers
        that sympy knows too little of.

    Examples
    --------
    >>> import sympy
    >>> from eomsym.optimisers.accelerated import HeavyBall
    >>> from eomsym.optimisers.linear import GradientDescent
    >>> radius(GradientDescent().general_linear()), radius(HeavyBall("1/4").general_linear())
    (1, 1/4)
    >>> radius(HeavyBall(sympy.Symbol("beta")).general_linear())
    (sqrt(beta) - 1)**2
    """
    polynomial = characteristic(form)
    if polynomial is None:
        return None
    branch = principal_factor(polynomial)
    candidates = candidate_factors(branch)
    symbols = set().union(*(entry.free_symbols for entry in form.entries()))

    def at(values: dict[Any, Exact]) -> Spot | None:
        return nearest(branch, candidates, values)

    try:
        if symbols:
            return formula(symbols, candidates, at, modulus, of_moduli=True)
        found = at({})
    except LostBranch:  # spots that forty digits do not tell apart
        return None
    return sympy.oo if found is None else modulus(found, {})


def candidate_factors(branch: sympy.Poly) -> list[sympy.Poly]:
    """Irreducible polynomials in x at whose zeros the principal root may be singular.

    Examples
    --------
    >>> import sympy
    >>> from eomsym.optimisers.accelerated import Nesterov
    >>> polynomial = characteristic(Nesterov("9/10").general_linear())
    >>> [f.as_expr(sympy.Symbol("x")) for f in candidate_factors(polynomial)]
    [x - 1, x - 1/361]
    """
    rows = coefficients(branch)
    parts = [rows[0], rows[-1]]
    if len(rows) > 2:
        parts.append(sympy.Poly(branch.discriminant(), X, domain=branch.domain))
    return irreducible(parts)


def nearest(branch: sympy.Poly, candidates: list[sympy.Poly], values: dict[Any, Exact]) -> Spot | None:
    """The nearest spot at which the principal root is singular, with `values` for the symbols; None if nowhere."""
    found = sorted((spot for f in candidates for spot in spots(f, values)), key=lambda spot: abs(spot.value))
    table = [[number(c.subs(values)) for c in row.all_coeffs()] for row in coefficients(branch)]
    places = [spot.value for spot in found]
    gaps = [abs(a - b) / abs(a) for i, a in enumerate(places) for b in places[:i]]
    close = min(gaps, default=1) < CLOSE
    for index, spot in enumerate(found):
        try:
            if close:
                raise LostBranch
            singular = is_singular(_in_floats(table), [complex(place) for place in places], index)
        except LostBranch:
            singular = is_singular(_in_digits(table), places, index)
        if singular:
            return spot
    return None


def _in_floats(table: list[list[Any]]) -> Roots:
    rows = [np.array(row, dtype=np.complex128) for row in table]
    return lambda x: list(np.roots([np.polyval(row, x) for row in rows]))


def _in_digits(table: list[list[Any]]) -> Roots:
    def roots(x: Any) -> list[Any]:
        return list(MP.polyroots([MP.polyval(row, x) for row in table], maxsteps=500, extraprec=200))

    return roots


def is_singular(roots: Roots, places: list[Any], index: int) -> bool:
    """Whether the principal root vanishes, has a pole, or branches at a place, where it is regular at all nearer ones.

    Parameters
    ----------
    roots : callable
        All zeta at some x.
    places : list of complex
        All candidates, none of them 0.
    index : int
        Which one is asked.

    Examples
    --------
    Of ``(1 - x)(1 - 2x)`` the first root vanishes at 1; at 1/2 nothing happens to ``1 - x``:

    >>> first = lambda x: [1 - x]
    >>> is_singular(first, [0.5, 1.0], 1), is_singular(first, [0.5, 1.0], 0)
    (True, False)
    """
    here = places[index]
    others = [place for k, place in enumerate(places) if k != index]
    room = min([abs(here), *(abs(here - place) for place in others)]) / 2
    side = -room * here / abs(here)
    ring = [here + side * cmath.exp(2j * cmath.pi * k / CORNERS) for k in range(CORNERS)]
    # The way there is bent, to keep clear of places on the ray; it stays inside of the disc where the root is regular.
    way = [ring[0] * (k / 16) * cmath.exp(0.7j * (1 - k / 16)) for k in range(1, 16)]
    root, _ = follow(roots, places, 1.0 + 0j, [0j, *way, ring[0]])
    end, turned = follow(roots, places, root, [*ring, ring[0]])
    there = roots(ring[0])
    same = min(there, key=lambda z: abs(z - root)) == min(there, key=lambda z: abs(z - end))
    return not same or round(turned / (2 * cmath.pi)) != 0


def follow(roots: Roots, places: list[Any], root: Any, corners: list[Any]) -> tuple[Any, float]:
    """Follow one root along a path; return where it ends, and by which angle it turned around 0.

    A step is at most a quarter of the way to the nearest place, and is halved until the next value of the root is
    nearer by far than all other roots.
    """
    turned, x = 0.0, corners[0]
    steps = 0
    for corner in corners[1:]:
        while x != corner:
            if (steps := steps + 1) > STEPS:
                raise LostBranch
            step = corner - x
            room = min(abs(x - place) for place in places) / 4
            goal = corner if abs(step) <= room else x + step * (room / abs(step))
            for _ in range(12):
                gaps = sorted((abs(z - root), k, z) for k, z in enumerate(roots(goal)))
                if gaps[0][0] <= abs(root) / 2 and (len(gaps) == 1 or 4 * gaps[0][0] <= gaps[1][0]):
                    break
                goal = x + (goal - x) / 2
            else:
                raise LostBranch
            turned += cmath.phase(complex(gaps[0][2] / root))
            x, root = goal, gaps[0][2]
    return root, turned
