"""Where the series of a linear method ends on a quadratic, and where its run becomes unstable; exact.

On a quadratic with curvature ``lambda`` the modified field is ``-m theta`` with ``exp(-eta m)`` the principal root of
the characteristic polynomial ``P(zeta, x)``, ``x = eta lambda``: the root that is 1 at ``x = 0``. Its series in x
converges up to the nearest complex x at which that root vanishes, has a pole, or meets another root; these are zeros of
the constant coefficient, of the leading one, and of the discriminant.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import sympy

from eomsym.exact.numbers import Exact

if TYPE_CHECKING:
    from eomsym.exact.general_linear import GeneralLinear

__all__ = ["characteristic", "limit", "radius"]

ZETA, X = sympy.symbols("zeta x")
#: Values of a symbol such as beta at which the nearest singularity is sought.
SAMPLES = tuple(map(sympy.Rational, ("1/7", "1/2", "9/10")))


def characteristic(form: GeneralLinear) -> sympy.Poly:
    """The characteristic polynomial ``P(zeta, x)`` of a method on ``F = -lambda theta``, in zeta.

    Parameters
    ----------
    form : GeneralLinear
        All its stages are taken to see the same field.

    Examples
    --------
    >>> from eomsym.exact.methods import HeavyBall
    >>> characteristic(HeavyBall("1/2").general_linear()).all_coeffs()
    [2, 2*x - 3, 1]
    """

    def shifted(row: Any) -> Any:
        return sum(weight * ZETA ** (-lag) for lag, weight in enumerate(row))

    stages = sympy.eye(form.stages) + X * sympy.Matrix(form.coupling)
    base = sympy.Matrix([shifted(row) for row in form.extrapolation])
    weights = sympy.Matrix([[shifted(row) for row in form.weights]])
    below = stages.det(method="berkowitz")
    forced = (weights * stages.adjugate() * base)[0]
    above, _ = sympy.fraction(sympy.together(below * (ZETA - shifted(form.past)) + X * forced))
    return sympy.Poly(sympy.expand(above), ZETA)


def radius(form: GeneralLinear) -> Exact | None:
    """The radius of convergence in ``x = eta lambda``; None where a parameter decides.

    Examples
    --------
    >>> from eomsym.exact.methods import GradientDescent, HeavyBall
    >>> radius(GradientDescent().general_linear()), radius(HeavyBall("1/4").general_linear())
    (1, 1/4)
    """
    polynomial = characteristic(form)
    parts = [polynomial.LC(), polynomial.eval(0)]
    if polynomial.degree() > 1:
        parts.append(polynomial.discriminant())
    symbols = sorted(polynomial.as_expr().free_symbols - {ZETA, X}, key=str)
    if len(symbols) > 1:
        return None
    candidates = [root for part in parts for root in _roots(part)]
    if not symbols:
        return _nearest(polynomial, candidates)
    found = {_chosen(polynomial, candidates, {symbols[0]: sample}) for sample in SAMPLES}
    if len(found) != 1 or None in found:
        return None
    positive = sympy.Symbol(str(symbols[0]), positive=True)
    (chosen,) = (place for place in found if place is not None)
    formula = sympy.factor(sympy.simplify(candidates[chosen].subs(symbols[0], positive)))
    return formula.subs(positive, symbols[0])


def _roots(part: Any) -> list[Exact]:
    """Zeros in x of a coefficient: algebraic numbers, or formulas in a symbol."""
    poly = sympy.Poly(part, X)
    if poly.degree() < 1:
        return []
    if poly.free_symbols_in_domain:  # a symbol such as beta
        return list(sympy.roots(poly))
    rational = all(c.is_Rational for c in poly.all_coeffs())
    return list(dict.fromkeys(poly.all_roots())) if rational else list(sympy.roots(poly))


def _chosen(polynomial: sympy.Poly, candidates: list[Exact], values: dict[Any, Exact]) -> int | None:
    """Which candidate is the nearest singularity of the principal root at some values of the symbols."""
    concrete = sympy.Poly(polynomial.as_expr().subs(values), ZETA)
    points = [complex(candidate.subs(values).evalf(30)) for candidate in candidates]
    for place in sorted(range(len(points)), key=lambda k: abs(points[k])):
        if abs(points[place]) > 1e-12 and _singular(concrete, points[place]):
            return place
    return None


def _nearest(polynomial: sympy.Poly, candidates: list[Exact]) -> Exact:
    place = _chosen(polynomial, candidates, {})
    if place is None:
        return sympy.oo
    size = sympy.Abs(candidates[place])
    return size if size.has(sympy.CRootOf) else sympy.simplify(size)


def _singular(polynomial: sympy.Poly, x: complex) -> bool:
    """Whether the principal root vanishes, has a pole, or meets another root at x; followed there from 0 on a line."""
    coefficients = [sympy.lambdify(X, c, "numpy") for c in polynomial.all_coeffs()]
    root, before = 1.0 + 0j, 1.0 + 0j
    path = np.concatenate([np.linspace(0, 1, 400)[1:-1], 1 - np.geomspace(2.5e-3, 1e-9, 60)])
    for part in path:
        roots = np.roots([complex(c(part * x)) for c in coefficients])
        guess = root + (root - before) if part < 0.9975 else root
        before, root = root, roots[np.argmin(abs(roots - guess))]
    gaps = sorted(abs(roots - root))[1:]
    return bool(abs(root) < 1e-3 or abs(root) > 1e3 or (gaps and gaps[0] < 1e-3 * max(1.0, abs(root))))


def limit(form: GeneralLinear) -> Exact | None:
    """The stability limit: the largest x below which no root leaves the closed unit disc; None with symbols.

    Examples
    --------
    >>> from eomsym.exact.methods import GradientDescent, HeavyBall
    >>> limit(GradientDescent().general_linear()), limit(HeavyBall("9/10").general_linear())
    (2, 19/5)
    """
    polynomial = characteristic(form)
    if polynomial.as_expr().free_symbols - {ZETA, X}:
        return None
    mirrored = sympy.Poly(sympy.expand(ZETA ** polynomial.degree() * polynomial.as_expr().subs(ZETA, 1 / ZETA)), ZETA)
    meeting = sympy.Poly(sympy.resultant(polynomial, mirrored, ZETA), X)
    if meeting.is_zero or not all(c.is_Rational for c in meeting.all_coeffs()):
        return None
    crossings = sorted({root for root in meeting.real_roots() if root > 0})
    edges: list[Exact] = [sympy.S.Zero, *crossings]
    for left, right in zip(edges, [*crossings, None], strict=True):
        middle = (left + right) / 2 if right is not None else 2 * left + 1
        roots = np.roots([float(c.subs(X, middle)) for c in polynomial.all_coeffs()])
        if np.max(abs(roots), initial=0.0) > 1 + 1e-9:
            return left
    return sympy.oo
