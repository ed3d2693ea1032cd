"""Compiled kernels against the same rules as plain Python, closed forms, and exact numbers."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import eomsym as eom
from eomsym.codegen.backends.explicit import worth_it
from eomsym.errors import ExpressionError, InputError, MethodError, ShapeError, SizeError, TableError
from eomsym.optimisers.linear import GradientFlow
from eomsym.taylor.plan import terms_plan
from eomsym.taylor.rings.numbers import Floats
from eomsym.taylor.table import counter_terms_at

RNG = np.random.default_rng(3)
METHODS = [
    eom.GradientDescent(),
    GradientFlow(),
    eom.optimisers.ProximalPoint(),
    eom.HeavyBall(Fraction(1, 3)),
    eom.Nesterov(Fraction(1, 2)),
    eom.optimisers.OptimisticGradient(),
    eom.optimisers.Extragradient(),
    eom.optimisers.SharpnessAware(Fraction(1, 2)),
]


def network(activation, loss="mse", widths=(4, 5, 3), samples=7, bias=False):
    inputs = RNG.standard_normal((samples, widths[0]))
    targets = RNG.standard_normal((samples, widths[-1])) if loss == "mse" else RNG.integers(0, widths[-1], samples)
    return eom.Network(widths, inputs, targets, activation, loss, bias=bias)


LOSSES = {
    "expression": eom.Loss("exp(-x*y)*sin(x) + tanh(y)/(1+x**2) + log(2+cos(y)) + (x*y+3)**0.3", variables="x y"),
    "field": eom.Field(["y*x - x", "-x*y**2 + sigmoid(x)"], variables="x y"),
    "special functions": eom.Loss("softplus(x)*erf(y) + atan(x*y)", variables="x y"),
    "moments": eom.DeepLinear((3, 4, 2), RNG.standard_normal((20, 3)), RNG.standard_normal((20, 2))),
    "data": eom.DeepLinear((6, 2, 3), RNG.standard_normal((4, 6)), RNG.standard_normal((4, 3))),
    "cross-entropy": eom.DeepLinear((3, 4, 3), RNG.standard_normal((9, 3)), RNG.integers(0, 3, 9), "cross_entropy"),
    "decay": eom.DeepLinear((3, 4, 2), RNG.standard_normal((20, 3)), RNG.standard_normal((20, 2))).with_weight_decay(
        0.1
    ),
    **{name: network(name) for name in ("tanh", "sigmoid", "sin", "softplus", "gelu")},
    "relu": network("leaky_relu", bias=True),
    "large": network("tanh", widths=(12, 30, 2), samples=40),
}


@pytest.mark.parametrize("name", LOSSES)
def test_numba_repeats_plain_python(name):
    """The same lines, compiled: equal up to the rounding of sums that BLAS adds in another order."""
    loss = LOSSES[name]
    theta = RNG.uniform(0.2, 0.9, loss.size)
    before = theta.copy()
    for method in METHODS:
        kernel = eom.compile(loss, 4, method=method)
        terms = kernel.terms(theta)
        expected = counter_terms_at(terms_plan(loss, 4, method), list(theta), 4, Floats()).astype(float)
        np.testing.assert_allclose(terms, expected, rtol=1e-10, atol=1e-12 * abs(expected).max())
        if loss.size > 100:
            break
    np.testing.assert_array_equal(theta, before)


@pytest.mark.parametrize("name", LOSSES)
def test_gradient_and_hessian(name):
    loss = LOSSES[name]
    theta, direction = RNG.uniform(0.2, 0.9, loss.size), RNG.standard_normal(loss.size)
    kernel = eom.compile(loss, 1)
    np.testing.assert_allclose(kernel.gradient(theta), loss.gradient(theta), rtol=1e-11, atol=1e-13)
    h = 1e-6
    slope = (loss.gradient(theta + h * direction) - loss.gradient(theta - h * direction)) / (2 * h)
    np.testing.assert_allclose(kernel.hessian_vector(theta, direction), slope, rtol=1e-5, atol=1e-7)
    half = kernel.hessian_vector(theta, kernel.gradient(theta)) / 2
    np.testing.assert_allclose(kernel.terms(theta)[1], half, rtol=1e-12, atol=1e-14)


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=20, deadline=None)
def test_random_deep_linear_nets_agree_with_exact_rationals_through_order_twelve(seed):
    rng = np.random.default_rng(seed)
    widths = tuple(rng.integers(1, 4, size=rng.integers(2, 5)))
    samples = int(rng.integers(1, 12))
    loss = eom.DeepLinear(widths, rng.standard_normal((samples, widths[0])), rng.standard_normal((samples, widths[-1])))
    theta = rng.standard_normal(loss.size)
    terms = eom.compile(loss, 12).terms(theta)
    small = counter_terms_at(terms_plan(loss, 5), [Fraction(x) for x in theta], 5)
    for row, exact in zip(terms[:6], small, strict=True):
        exact = exact.astype(float)
        assert np.abs(row - exact).max() <= 1e-10 * np.abs(exact).max()


def test_random_scalar_losses_agree_with_exact_rationals_through_order_twelve():
    rng = np.random.default_rng(5)
    for _ in range(3):
        c = [Fraction(int(k), 4) for k in rng.integers(-4, 5, 4)]
        text = f"({c[0]})*x**4 + ({c[1]})*x**2*y**2 + ({c[2]})*x*y**3 + ({c[3]})*y + x/(2+y**2)"
        loss = eom.Loss(text, variables="x y")
        theta = [Fraction(int(k), 16) for k in rng.integers(-16, 17, 2)]
        exact = counter_terms_at(terms_plan(loss, 12), theta, 12)
        terms = eom.compile(loss, 12).terms([float(x) for x in theta])
        for row, expected in zip(terms, exact, strict=True):
            expected = expected.astype(float)
            assert np.abs(row - expected).max() <= 1e-10 * np.abs(expected).max()


def test_order_twenty_on_a_scalar_problem():
    """L = -x**3/3 at x = 1, against exact rationals; the digits lost are reported in the documentation."""
    loss = eom.Loss("-x**3/3", variables="x")
    exact = counter_terms_at(terms_plan(loss, 20), [Fraction(1)], 20)
    terms = eom.compile(loss, 20).terms([1.0])
    np.testing.assert_allclose(terms.ravel(), exact.ravel().astype(float), rtol=1e-12)


@given(st.floats(-2, 2), st.floats(-2, 2))
@settings(deadline=None)
def test_quadratic_is_a_logarithm(a, start):
    """term_k = a**(k+1) theta/(k+1), through order 12, to 1e-12."""
    loss = eom.Loss("x**2/2", variables="x")
    terms = eom.compile(loss, 12).terms([start]).ravel()
    np.testing.assert_allclose(terms, start / np.arange(1, 14), rtol=1e-12)
    field = eom.Field([f"-({Fraction(a)})*x"], variables="x")
    expected = [a ** (k + 1) * start / (k + 1) for k in range(13)]
    np.testing.assert_allclose(eom.compile(field, 12).terms([start]).ravel(), expected, rtol=1e-12, atol=1e-300)


def test_many_points_at_once_are_the_points_one_by_one():
    kernel = eom.compile(LOSSES["expression"], 5)
    points = RNG.uniform(0.2, 0.9, (50, 2))
    together = kernel.terms(points)
    assert together.shape == (50, 6, 2)
    np.testing.assert_array_equal(together, [kernel.terms(p) for p in points])
    np.testing.assert_array_equal(kernel.field(points, 0.1), [kernel.field(p, 0.1) for p in points])
    assert kernel.terms(np.empty((0, 2))).shape == (0, 6, 2)


def test_field_is_the_sum_of_the_terms():
    kernel = eom.compile(LOSSES["expression"], 3)
    terms = kernel.terms([0.5, 0.4])
    expected = -sum(0.1**k * terms[k] for k in range(4))
    np.testing.assert_allclose(kernel.field([0.5, 0.4], 0.1), expected, rtol=1e-14)


def test_orders_and_losses_share_what_is_compiled():
    kernel = eom.compile(eom.Loss("x**2*y", variables="x y"), 2)
    other = eom.compile(eom.Loss("x*y*z", variables="x y z"), 7, method=eom.Nesterov("1/2"))
    assert kernel._terms.loop.run is other._terms.loop.run
    assert kernel.at_order(5)._terms is kernel._terms
    np.testing.assert_array_equal(kernel.at_order(1).terms([1.0, 2.0]), kernel.terms([1.0, 2.0])[:2])


def test_overflow_names_the_first_order():
    kernel = eom.compile(eom.Loss("exp(x)", variables="x"), 4)
    with pytest.raises(TableError, match="not finite from order 2 on") as caught:
        kernel.terms([300.0])
    assert caught.value.order == 2
    with pytest.raises(TableError, match="not finite from order 0 on"):
        eom.compile(eom.Loss("log(x)**2", variables="x"), 1).terms([-1.0])


def test_bad_input():
    loss = eom.Loss("x*y", variables="x y")
    for order in (-1, 1.5, "2", True, None):
        with pytest.raises(InputError, match=r"order must be an integer from 0 to 200 \(0 is gradient flow\), got"):
            eom.compile(loss, order)
    with pytest.raises(InputError, match="expected a loss such as"):
        eom.compile("x*y", 1)
    with pytest.raises(InputError, match="expected a method such as"):
        eom.compile(loss, 1, method="heavy ball")
    kernel = eom.compile(loss, 1)
    with pytest.raises(ShapeError, match=r"theta has shape \(3,\), expected \(2,\)"):
        kernel.terms([1, 2, 3])
    with pytest.raises(ShapeError, match=r"theta has shape \(3,\), expected \(2,\)"):
        kernel.terms(np.ones((4, 3)))
    with pytest.raises(InputError, match="must be finite"):
        kernel.terms(np.array([1.0, math.nan]))
    with pytest.raises(ExpressionError, match="Abs has no derivatives at its kinks"):
        eom.compile(eom.Loss("Abs(x)", variables="x"), 1)
    assert eom.compile(eom.Loss("Abs(x)", variables="x"), 0).gradient([-2.0]) == [-1.0]
    import sympy

    with pytest.raises(MethodError, match=r"holds the symbol beta; give it a number"):
        eom.compile(loss, 1, method=eom.HeavyBall(sympy.Symbol("beta"))).terms([1.0, 2.0])


@pytest.mark.parametrize("name", ["expression", "field", "special functions"])
def test_the_explicit_form_is_the_table_up_to_rounding(name):
    loss = LOSSES[name]
    for method in (eom.GradientDescent(), eom.Nesterov("1/2")):
        points = RNG.uniform(0.2, 0.9, (20, 2))
        explicit = eom.compile(loss, 3, method=method, form="explicit").terms(points)
        np.testing.assert_allclose(explicit, eom.compile(loss, 3, method=method).terms(points), rtol=1e-11)


def test_the_explicit_form_is_chosen_where_it_is_small_and_refused_where_it_is_long():
    small, large = (eom.compile(LOSSES[name], 3)._terms.plan for name in ("field", "large"))
    assert 10_000 < worth_it(small, 3) < 1_000_000
    assert worth_it(large, 3) == math.inf
    with pytest.raises(SizeError, match=r"too long; use form='table'"):
        eom.compile(LOSSES["large"], 3, form="explicit").terms(np.zeros(LOSSES["large"].size))
    with pytest.raises(SizeError, match=r"more than 20,000 operations; use form='table'"):
        eom.compile(LOSSES["tanh"], 12, form="explicit").terms(np.zeros(LOSSES["tanh"].size))
    with pytest.raises(InputError, match="unknown form 'fast'; choose one of auto, table, explicit"):
        eom.compile(LOSSES["field"], 3, form="fast")


def test_no_operation_of_the_explicit_form_is_superfluous():
    """Terms 0..2 of the scalar loss x**2/2 are x, x/2 and x/3: one multiplication each."""
    kernel = eom.compile(eom.Loss("x**2/2", variables="x"), 2, form="explicit")
    assert kernel._explicit[0].operations == 2
    assert "0.3333333333333333 * t" in kernel.source


@pytest.mark.parametrize("method", [eom.GradientDescent(), eom.optimisers.Extragradient()], ids=lambda m: m.name)
def test_the_jacobian_of_the_field_is_that_of_its_formula(method):
    import sympy

    loss = eom.Loss("(1-x)**2/2 + (y-x**2)**2/2 + sin(x*y)", variables="x y")
    formula = eom.modified_field(loss, 2, method=method).velocity(sympy.Rational(1, 10))
    at = dict(zip(loss.variables, (0.3, -0.7), strict=True))
    jacobian = np.array(formula.jacobian(list(loss.variables)).subs(at).evalf(), dtype=float)
    direction = np.array([0.6, 1.1])
    found = eom.compile(loss, 2, method=method).jacobian_vector([0.3, -0.7], direction, 0.1)
    np.testing.assert_allclose(found, jacobian @ direction, rtol=1e-12)


def test_fields_far_beyond_the_radius_are_infinite_without_a_warning():
    kernel = eom.compile(eom.Loss("(1-x)**2/2 + (y-x**2)**2/2 + sin(x*y)", variables="x y"), 2)
    assert np.isinf(kernel.field([0.3, -0.7], 1e200)).all()
    assert np.isinf(kernel.jacobian_vector([0.3, -0.7], [0.6, 1.1], -1e200)).all()


def test_threads_give_the_same_numbers():
    kernel = eom.compile(LOSSES["tanh"], 2)
    points = RNG.standard_normal((11, kernel.loss.size))
    np.testing.assert_array_equal(kernel.terms(points, threads=3), kernel.terms(points))
    with pytest.raises(InputError, match="threads must be an integer >= 1, got 0"):
        kernel.terms(points, threads=0)
