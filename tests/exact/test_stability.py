"""Radius of the series and stability limit: published values, the discriminant, and brute force."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st

import eomsym as eom
from eomsym.exact.methods import GeneralLinear
from eomsym.exact.radius import X, characteristic, limit, radius

HALF = Fraction(1, 2)
RK4 = eom.RungeKutta(
    [[0, 0, 0, 0], [HALF, 0, 0, 0], [0, HALF, 0, 0], [0, 0, 1, 0]],
    [Fraction(1, 6), Fraction(1, 3), Fraction(1, 3), Fraction(1, 6)],
)
beta = sympy.Symbol("beta")
#: Method, radius, limit. Limits: B. T. Polyak 1964 (heavy ball, 2(1 + beta)); Cohen et al. 2021, arXiv:2103.00065,
#: appendix B (Nesterov, 2(1 + beta)/(1 + 2 beta)); Hairer, Wanner, Solving ODEs II, section IV.2 (RK4, 2.785).
KNOWN = [
    (eom.GradientDescent(), 1, 2),
    (eom.GradientFlow(), sympy.oo, sympy.oo),
    (eom.ProximalPoint(), 1, sympy.oo),
    (eom.HeavyBall("9/10"), (1 - sympy.sqrt(sympy.Rational(9, 10))) ** 2, sympy.Rational(19, 5)),
    (eom.Nesterov("9/10"), sympy.Rational(1, 361), sympy.Rational(19, 14)),
    (eom.Extragradient(), 1, 1),
    (eom.RungeKutta([[HALF]], [1]), 2, sympy.oo),
    (eom.LinearMultistep([1, -1, 0], [Fraction(3, 2), Fraction(-1, 2)]), sympy.Rational(2, 3), 1),
    (eom.Epoch(3), 3, 6),
]


@pytest.mark.parametrize("method, expected, end", KNOWN, ids=lambda x: getattr(x, "name", None))
def test_known_values(method: Any, expected: Any, end: Any) -> None:
    report = method.stability()
    assert report.radius == expected or sympy.simplify(report.radius - expected) == 0
    assert report.limit == end


def test_runge_kutta_of_order_four() -> None:
    report = RK4.stability()
    assert float(report.limit) == pytest.approx(2.785293563405282, abs=1e-14)
    x = np.roots([1 / 24, -1 / 6, 1 / 2, -1, 1])  # its stability polynomial at -x
    assert float(report.radius) == pytest.approx(min(abs(x)), rel=1e-12)


def test_symbols() -> None:
    """Theory: (1 - sqrt(beta))**2 and ((1 - beta)/(1 + beta))**2; both are zeros of the discriminant."""
    for method, expected in (
        (eom.HeavyBall(beta), (1 - sympy.sqrt(beta)) ** 2),
        (eom.Nesterov(beta), ((1 - beta) / (1 + beta)) ** 2),
    ):
        report = method.stability()
        assert sympy.simplify((report.radius - expected).subs(beta, sympy.Symbol("b", positive=True))) == 0
        at = {X: expected.subs(beta, sympy.Rational(9, 10)), beta: sympy.Rational(9, 10)}
        discriminant = characteristic(method.general_linear()).discriminant()
        assert sympy.simplify(discriminant.subs(at)) == 0
        assert report.limit is None


fractions = st.fractions(-1, 1, max_denominator=3)


@st.composite
def methods(draw: Any) -> GeneralLinear:
    damping, share, c = (draw(fractions) for _ in range(3))
    damping = damping * Fraction(2, 3)
    if share == -1:
        share = Fraction(0)
    return GeneralLinear([1 + damping, -damping], [[1, share]], [[1 + c, -c]], [[draw(fractions)]])


@given(methods())
@settings(max_examples=15, deadline=None)
def test_random_methods_against_series_and_brute_force(form: GeneralLinear) -> None:
    """The coefficients of the principal root, by Newton's iteration on power series, grow like 1/radius**k."""
    polynomial = characteristic(form)
    found = radius(form)
    assert found is not None
    count = 240
    coefficients = np.array(
        [[float(sympy.Poly(c, X).coeff_monomial(X**k)) for k in range(3)] for c in polynomial.all_coeffs()]
    )
    # on a circle inside of the radius the principal root has no zero, and goes round once: m(x) is analytic there
    if found == 0:
        return
    r = 0.9 * min(float(found), 5.0)
    circle, root = r * np.exp(2j * np.pi * np.arange(count) / count), 1.0 + 0j
    for part in np.linspace(0, 1, 200):  # to the circle
        root = nearest(coefficients, part * r, root)
    first, smallest = root, abs(root)
    for x in (*circle[1:], circle[0]):
        root = nearest(coefficients, x, root)
        smallest = min(smallest, abs(root))
    assert abs(root - first) < 1e-6
    assert smallest > 1e-4
    end = limit(form)
    grid = np.linspace(1e-3, 8, 1500)
    worst = np.array([max(abs(roots_at(coefficients, x)), default=0) for x in grid])
    outside = grid[worst > 1 + 1e-7]
    if end == sympy.oo:
        assert not len(outside)
    elif float(end) < 7.9:
        assert len(outside)
        assert outside[0] == pytest.approx(float(end), abs=0.03)


def roots_at(coefficients: np.ndarray, x: complex) -> np.ndarray:
    return np.roots(coefficients @ (complex(x) ** np.arange(3)))


def nearest(coefficients: np.ndarray, x: complex, root: complex) -> complex:
    roots = roots_at(coefficients, x)
    return complex(roots[np.argmin(abs(roots - root))])
