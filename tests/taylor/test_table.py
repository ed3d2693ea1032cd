"""The table's recursion: closed forms, published values, and the tree formula."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st

import eomsym as eom
from eomsym.exact.concrete import apply_term
from eomsym.taylor.plan import terms_plan
from eomsym.taylor.table import counter_terms_at


def exact_terms(loss, point, order, method=None):
    return counter_terms_at(terms_plan(loss, order, method), [Fraction(x) for x in point], order)


def test_scalar_coefficients_of_hairer_lubich_wanner():
    """theta' = theta**2: E. Hairer, C. Lubich, G. Wanner, Geometric Numerical Integration (2006), (IX.1.4)."""
    expected = [Fraction(t) for t in ("1", "-1", "3/2", "-8/3", "31/6", "-157/15", "649/30")]
    terms = exact_terms(eom.Loss("-x**3/3", variables="x"), [1], 6)
    assert [-t for t in terms.ravel()] == expected


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=10)
def test_quadratic_terms_are_powers_of_the_hessian(seed):
    """sum eta**k term_k = -log(1 - eta A)/eta theta, exactly, through order 12 (theory: closed forms)."""
    rng = np.random.default_rng(seed)
    a = [[Fraction(int(rng.integers(-4, 5)), int(rng.integers(1, 5))) for _ in range(3)] for _ in range(3)]
    x = sympy.symbols("x:3")
    field = eom.Field([-sum(sympy.Rational(c) * v for c, v in zip(row, x, strict=True)) for row in a], variables=x)
    theta = [Fraction(1), Fraction(-2), Fraction(1, 3)]
    power = theta
    for k, term in enumerate(exact_terms(field, theta, 12)):
        power = [sum(c * p for c, p in zip(row, power, strict=True)) for row in a]
        assert term.tolist() == [p / (k + 1) for p in power]


METHODS = [
    eom.GradientDescent(),
    eom.optimisers.ProximalPoint(),
    eom.HeavyBall(Fraction(2, 3)),
    eom.Nesterov(Fraction(1, 3)),
    eom.optimisers.OptimisticGradient(),
    eom.optimisers.Extragradient(),
    eom.optimisers.SharpnessAware(Fraction(1, 2)),
    eom.optimisers.RungeKutta([[0, 0], [Fraction(1, 2), 0]], [0, 1]),
    eom.optimisers.LinearMultistep([1, -1, 0], [Fraction(3, 2), Fraction(-1, 2)]),
]


@pytest.mark.parametrize("method", METHODS, ids=lambda m: m.name)
def test_table_and_trees_agree_exactly(method):
    """Two routes to all terms through order 4, on a loss that tells all trees of that order apart."""
    loss = eom.Loss("(1-x)**2/2 + (y-x**2)**2/2 + x**3*y", variables="x y")
    point = dict(zip(loss.variables, (sympy.Rational(-1, 2), sympy.Rational(2, 3)), strict=True))
    gradient = [sympy.diff(loss.expression, v) for v in loss.variables]
    universal = eom.counter_terms(4, method=method)
    terms = exact_terms(loss, [Fraction(-1, 2), Fraction(2, 3)], 4, method)
    for k in range(5):
        expected = [sympy.sympify(e).subs(point) for e in apply_term(universal[k], gradient, loss.variables)]
        assert [sympy.Rational(t) for t in terms[k]] == expected


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(-3, 3)), min_size=2, max_size=5),
    st.fractions(-1, 1, max_denominator=9),
    st.fractions(-1, 1, max_denominator=9),
)
@settings(max_examples=3, deadline=None)  # differentiating is slow: four seconds each
def test_table_and_trees_agree_on_random_polynomials_through_order_five(monomials, x0, y0):
    x, y = sympy.symbols("x y")
    expression = sum(c * x**i * y**j for i, j, c in monomials) + x**3 * y**2
    loss = eom.Loss(expression, variables=[x, y])
    gradient = [sympy.diff(expression, v) for v in (x, y)]
    universal = eom.counter_terms(5)
    terms = exact_terms(loss, [x0, y0], 5)
    for k in range(6):
        expected = apply_term(universal[k], gradient, (x, y))
        assert [sympy.sympify(e).subs({x: x0, y: y0}) for e in expected] == [sympy.Rational(t) for t in terms[k]]


def test_a_bare_functional_equation_is_met():
    """The exact flow of the terms, shifted by eta, is one step: (e^{eta d} - 1) y = eta F(y), checked in numbers."""
    loss = eom.Loss("cos(x)*y + y**4/4", variables="x y")
    from scipy.integrate import solve_ivp

    kernel = eom.compile(loss, 9)
    eta, start = 0.03, np.array([0.4, -0.8])
    solution = solve_ivp(lambda t, z: kernel.field(z, eta), (0, eta), start, rtol=1e-13, atol=1e-15)
    np.testing.assert_allclose(solution.y[:, -1], start - eta * loss.gradient(start), rtol=1e-13)
