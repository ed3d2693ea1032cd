"""Formulas of a given loss."""

from __future__ import annotations

import time

import pytest
import sympy

import eomsym as eom
from eomsym.errors import ExpressionError, InputError
from eomsym.exact.concrete import apply_term

x, y, beta, lam = sympy.symbols("x y beta lambda")


def agrees_with_trees(field):
    """Whether the terms equal the sum over rooted trees, by differentiating the gradient."""
    universal = eom.counter_terms(field.order, method=field.method)
    gradient = list(eom.modified_field(field.loss, 0).terms[0])
    for k in range(field.order + 1):
        expected = sympy.Matrix(apply_term(universal[k], gradient, field.variables))
        if any(sympy.simplify(entry) != 0 for entry in expected - field.terms[k]):
            return False
    return True


@pytest.mark.parametrize("use_flint", [True, False], ids=["flint", "sympy"])
def test_scalar_example_of_hairer_lubich_wanner(use_flint):
    """(IX.1.4): theta' = theta**2 - eta theta**3 + 3/2 eta**2 theta**4 - 8/3 eta**3 theta**5 + …"""
    field = eom.modified_field(eom.Field(["x**2"], variables="x"), 6, use_flint=use_flint)
    expected = ["-1", "1", "-3/2", "8/3", "-31/6", "157/15", "-649/30"]
    assert [t[0] for t in field.terms] == [sympy.Rational(c) * x ** (k + 2) for k, c in enumerate(expected)]


@pytest.mark.parametrize(
    "loss, order, method",
    [
        (eom.Loss("(1-x)**2/2 + (y-x**2)**2/2", variables="x y"), 4, eom.GradientDescent()),
        (eom.Loss("x**3*y + x", variables="x y"), 2, eom.HeavyBall(beta)),
        (eom.Loss("x**3*y + x", variables="x y"), 2, eom.Nesterov(beta)),
        (eom.Loss("x**3*y + pi*x", variables="x y"), 1, eom.HeavyBall(beta)),
        (eom.Loss("x**4/4", variables="x").with_weight_decay(lam), 3, eom.GradientDescent()),
        (eom.Field(["-y/(x**2+y**2)", "x/(x**2+y**2)"], variables="x y"), 3, eom.GradientDescent()),
        (eom.Loss("tanh(x)*exp(y)", variables="x y"), 2, eom.optimisers.Extragradient()),
        (eom.Loss("sin(x)*y + pi*log(x) + sqrt(x)", variables="x y"), 2, eom.GradientDescent()),
        (eom.Loss("sigmoid(x)*y + softplus(x)", variables="x y"), 2, eom.optimisers.SharpnessAware("1/2")),
    ],
    ids=[
        "rosenbrock",
        "momentum",
        "nesterov",
        "momentum-and-pi",
        "decay",
        "rational",
        "tanh-exp",
        "sin-log-sqrt",
        "sigmoid",
    ],
)
def test_formulas_equal_the_tree_formula(loss, order, method):
    assert agrees_with_trees(eom.modified_field(loss, order, method=method))


def test_a_wrong_formula_does_not_pass_for_the_tree_formula():
    field = eom.modified_field(eom.Loss("x**3*y", variables="x y"), 2)
    field._rows[2][0] = field._rows[2][0] * 101 / 100
    assert not agrees_with_trees(field)


def test_rational_fields_come_over_their_least_denominator():
    field = eom.modified_field(eom.Field(["-y/(x**2+y**2)", "x/(x**2+y**2)"], variables="x y"), 6)
    assert all(len(str(entry)) < 60 for term in field.terms for entry in term)
    assert field.terms[1] == -sympy.Matrix([x, y]) / (2 * (x**2 + y**2) ** 2)


def test_symbols_of_the_method_are_collected():
    field = eom.modified_field(eom.Loss("x**2/2", variables="x"), 1, method=eom.HeavyBall(beta))
    assert sympy.simplify(field.terms[1][0] - x * (1 + beta) / (2 * (1 - beta) ** 3)) == 0


def test_writing():
    field = eom.modified_field(eom.Loss("x**2/2 + y", variables="x y"), 1)
    assert str(field).splitlines()[1] == "terms[0] = [x, 1]"
    assert field.latex().startswith("\\begin{align*}\n\\dot\\theta &= - \\left[\\begin{matrix}x\\\\1")
    assert field.velocity(sympy.Rational(1, 2)) == sympy.Matrix([-sympy.Rational(5, 4) * x, -1])


def test_networks_have_formulas_in_their_weights():
    loss = eom.DeepLinear((1, 1, 1), [[1.0], [2.0]], [[1.0], [2.0]])
    field = eom.modified_field(loss, 1)
    a, b = sympy.symbols("W1_1_1 W2_1_1")
    assert sympy.expand(field.terms[0][0] - sympy.Rational(5, 2) * (a * b - 1) * b) == 0
    assert agrees_with_trees(field)


@pytest.mark.slow
def test_high_orders_are_reached_in_seconds():
    """A guard against exponential growth (60 times the time that it takes), not a benchmark."""
    start = time.perf_counter()
    rosenbrock = eom.modified_field(eom.Loss("(1-x)**2/2 + (y-x**2)**2/2", variables="x y"), 19)
    assert len(rosenbrock.terms) == 20
    assert time.perf_counter() - start < 80


def test_bad_input():
    with pytest.raises(InputError, match="order must be an integer from 0 to 30"):
        eom.modified_field(eom.Loss("x", variables="x"), -1)
    with pytest.raises(InputError, match="expected a loss"):
        eom.modified_field("x**2", 1)
    with pytest.raises(ExpressionError, match="has kinks"):
        eom.modified_field(eom.Loss("Abs(x)", variables="x"), 1)
