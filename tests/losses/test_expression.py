"""Symbolic losses: values and gradients against sympy, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
import sympy
from hypothesis import given
from hypothesis import strategies as st

import eomsym as eom
from eomsym.errors import ExpressionError, InputError, ShapeError
from eomsym.losses.values import evaluate

EXPRESSIONS = [
    "exp(x)*sin(y) + cos(x*y)**3",
    "log(1+x**2) + sqrt(1+y**2)/x",
    "tanh(x+2*y)*sigmoid(x*y) + softplus(x-y)",
    "erf(x*y) + atan(x) + x**0.3*y**-2",
    "pi*x**y + 2**x",
    "tan(x) + sinh(y) + cosh(x)",
    "(x - 2*y)**7/3 + x**(5/2)",
    "x",
    "0.1*x^2 - .5*y + 3",
]


@pytest.mark.parametrize("text", EXPRESSIONS)
@given(point=st.tuples(st.floats(0.3, 1.2), st.floats(0.3, 1.2)))
def test_value_and_gradient_are_those_of_sympy(text, point):
    loss = eom.Loss(text, variables="x y")
    at = dict(zip(loss.variables, map(sympy.Float, point), strict=True))
    expected = [sympy.diff(loss.expression, v).subs(at).doit() for v in loss.variables]
    np.testing.assert_allclose(loss.value(point), float(loss.expression.subs(at)), rtol=1e-13)
    np.testing.assert_allclose(loss.gradient(point), [float(e) for e in expected], rtol=1e-11, atol=1e-13)


@given(point=st.tuples(st.floats(0.3, 1.2), st.floats(0.3, 1.2)))
def test_kinks_are_differentiated_on_their_own_side(point):
    x, y = point
    loss = eom.Loss("3*Max(x, y, 1/2) + 5*Abs(x - y) - 7*Min(x, y)", variables="x y")
    largest = 3 * max(x, y, 0.5)
    np.testing.assert_allclose(loss.value(point), largest + 5 * abs(x - y) - 7 * min(x, y), rtol=1e-13, atol=1e-14)
    if abs(x - y) > 1e-9 and abs(max(x, y) - 0.5) > 1e-9:
        top = 3.0 * (max(x, y) > 0.5)
        expected = [top + 5, -5 - 7] if x > y else [-5 - 7, top + 5]
        np.testing.assert_allclose(loss.gradient(point), expected)


def test_a_long_sum_of_equal_terms_stays_a_short_program():
    def nodes(samples):
        terms = [f"(tanh({s}*x/7 - y)*z - {s}/3)**2" for s in range(1, samples + 1)]
        return len(eom.Loss("+".join(terms), variables="x y z").program.nodes)

    assert nodes(100) == nodes(10) < 25


def test_an_elaborate_expression_is_grouped_without_changing_it():
    loss = eom.Loss("(x*y - sin(x*y + z))**2*exp(-x*z) + (x*y)**3", variables="x y z")
    x, y, z = loss.variables
    point = {x: 0.3, y: -0.7, z: 1.1}
    expected = [float(sympy.diff(loss.expression, v).subs(point)) for v in (x, y, z)]
    np.testing.assert_allclose(loss.gradient([0.3, -0.7, 1.1]), expected, rtol=1e-13)


def test_decimals_are_the_fractions_that_they_write():
    loss = eom.Loss("0.1*x", variables="x")
    assert loss.expression == sympy.Rational(1, 10) * sympy.Symbol("x")
    assert eom.Loss(0.1 * sympy.Symbol("x"), variables="x").expression == loss.expression


def test_a_field_is_minus_its_velocity():
    field = eom.Field(["x - x*y", "x*y - y"], variables=["x", sympy.Symbol("y")])
    np.testing.assert_allclose(field.gradient([2.0, 3.0]), [4.0, -3.0])
    with pytest.raises(InputError, match=r"has no value; use gradient\(theta\)"):
        field.value([1.0, 1.0])


@given(st.floats(0, 3), st.tuples(st.floats(-2, 2), st.floats(-2, 2)))
def test_weight_decay_adds_to_value_and_gradient(decay, point):
    bare = eom.Loss("cos(x)*y", variables="x y")
    loss = bare.with_weight_decay(decay)
    theta = np.array(point)
    np.testing.assert_allclose(loss.value(theta), bare.value(theta) + decay / 2 * theta @ theta, rtol=1e-13, atol=1e-13)
    np.testing.assert_allclose(loss.gradient(theta), bare.gradient(theta) + decay * theta, rtol=1e-13, atol=1e-13)
    assert bare.weight_decay == 0


def test_values_are_exact_on_exact_numbers():
    loss = eom.Loss("(1-x)**2/2 + (y-x**2)**2/2", variables="x y")
    third = sympy.Rational(1, 3)
    values = evaluate(loss.program, np.array([third, third], dtype=object))
    assert values[loss.program.outputs[0]].item() == sympy.Rational(20, 81)


def test_blocks_pack_and_unpack():
    loss = eom.Loss("a*b + c", variables="a b c")
    theta = loss.pack(1.0, c=3.0, b=2.0)
    assert theta.tolist() == [1, 2, 3]
    assert {k: float(v) for k, v in loss.unpack(theta).items()} == {"a": 1, "b": 2, "c": 3}
    with pytest.raises(InputError, match="one array for each of a, b, c"):
        loss.pack(1.0, 2.0)
    with pytest.raises(ShapeError, match=r"a has shape \(2,\), expected \(\)"):
        loss.pack([1.0, 2.0], 2.0, 3.0)


@pytest.mark.parametrize(
    "text, message",
    [
        ("x + z", r"unknown name 'z'.*the variables are"),
        ("tanhh(x)", r"unsupported function 'tanhh' \(did you mean tanh"),
        ("x +", "cannot read the expression"),
        ("x.real", r"cannot use 'x.real'"),
        ("__import__('os')", "unsupported function '__import__'"),
        ("[x]", r"cannot use '\[x\]'"),
        ("tanh", r"tanh is a function: write tanh\(...\)"),
        ("tanh(x, y)", "tanh got 2 arguments"),
        ("sqrt(-2)*x", "is not a real number"),
        ("x/0", "is not finite"),
        ("'a'", "cannot use"),
    ],
)
def test_bad_expressions_are_explained(text, message):
    with pytest.raises(ExpressionError, match=message):
        _ = eom.Loss(text, variables="x y").program


def test_bad_sympy_expressions_and_variables_are_explained():
    x = sympy.Symbol("x")
    with pytest.raises(ExpressionError, match="unsupported function 'gamma'"):
        eom.Loss(sympy.gamma(x), variables=[x])
    with pytest.raises(ExpressionError, match="unknown names y"):
        eom.Loss(x + sympy.Symbol("y"), variables="x")
    with pytest.raises(ExpressionError, match="must be distinct"):
        eom.Loss("x", variables="x x")
    with pytest.raises(ExpressionError, match="write variables='x y'"):
        eom.Loss("x", variables=[3])
    with pytest.raises(ExpressionError, match="expected text or a sympy expression"):
        eom.Loss(object(), variables="x")
    with pytest.raises(ExpressionError, match="a field of 2 variables has 2 components, got 1"):
        eom.Field(["x"], variables="x y")


def test_bad_points_are_explained():
    loss = eom.Loss("x*y", variables="x y")
    with pytest.raises(ShapeError, match=r"theta has shape \(3,\), expected \(2,\): the parameters are x, y"):
        loss.gradient([1, 2, 3])
    with pytest.raises(InputError, match=r"theta must be finite, got theta\[1\] = nan"):
        loss.value([1.0, np.nan])
    with pytest.raises(InputError, match="theta must be an array of real numbers, got str 'ab'"):
        loss.value("ab")
    for decay in (-1, float("inf"), float("nan"), "a lot"):
        with pytest.raises(InputError, match="weight_decay must be a finite number >= 0"):
            loss.with_weight_decay(decay)


def test_very_deep_expressions_are_read():
    text = "x"
    for _ in range(60):
        text = f"sin({text})"
    assert eom.Loss(text, variables="x").value([0.5]) > 0
