"""Double-double numbers: their arithmetic, and kernels in them, against 50 digits of mpmath."""

from __future__ import annotations

from fractions import Fraction

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import eomsym as eom
from eomsym.codegen import double_double as dd
from eomsym.codegen.rewrite import doubled
from eomsym.errors import InputError
from eomsym.taylor.primitives import PRIMITIVES, convolve
from eomsym.taylor.table import Plan, counter_terms_at

numbers = st.floats(-1e8, 1e8).filter(lambda x: abs(x) > 1e-8)
pairs = st.builds(lambda high, part: complex(high, high * part * 2.0**-54), numbers, st.floats(-1, 1))


def exact(z):
    return Fraction(z.real) + Fraction(z.imag)


@given(pairs, pairs)
def test_arithmetic_keeps_thirty_digits(a, b):
    x, y = exact(a), exact(b)
    tiny = Fraction(2) ** -100
    assert abs(exact(dd.dd_mul(a, b)) - x * y) <= tiny * abs(x * y)
    assert abs(exact(dd.dd_div(a, b)) - x / y) <= tiny * abs(x / y)
    assert abs(exact(dd.dd_add(a, b)) - (x + y)) <= tiny * (abs(x) + abs(y))
    assert abs(exact(dd.dd_sub(a, b)) - (x - y)) <= tiny * (abs(x) + abs(y))


CASES = {
    "exp": (dd.dd_exp, mpmath.exp, st.floats(-600, 600)),
    "log": (dd.dd_log, mpmath.log, st.floats(1e-200, 1e200).filter(lambda x: abs(x - 1) > 1e-3)),
    "tanh": (dd.dd_tanh, mpmath.tanh, st.floats(-30, 30)),
    "sin": (dd.dd_sin, mpmath.sin, st.floats(-1e3, 1e3)),
    "cos": (dd.dd_cos, mpmath.cos, st.floats(-1e3, 1e3)),
    "arctan": (dd.dd_arctan, mpmath.atan, st.floats(-1e3, 1e3)),
}


@pytest.mark.parametrize("name", CASES)
@given(data=st.data())
def test_functions_keep_twenty_eight_digits(name, data):
    function, reference, arguments = CASES[name]
    x = data.draw(arguments)
    with mpmath.workdps(60):
        expected = reference(mpmath.mpf(x))
        found = function(complex(x, 0.0))
        error = abs(mpmath.mpf(found.real) + mpmath.mpf(found.imag) - expected)
        assert error <= 1e-28 * max(abs(expected), 1e-3 if name in {"sin", "cos"} else 0)


def reference_terms(loss, theta, order, method):
    """The rules as plain Python over 50 digits."""
    known = {"atan": mpmath.atan, "reciprocal": lambda x: 1 / x, "sigmoid": lambda x: 1 / (1 + mpmath.exp(-x))}

    def value(name, x, exponent):
        return x**exponent if name == "power" else known.get(name, getattr(mpmath, name, None))(x)

    def ring(x):
        x = Fraction(x) if isinstance(x, (int, float)) else x
        return mpmath.mpf(int(x.numerator)) / int(x.denominator)

    point = [mpmath.mpf(x) for x in theta]
    return counter_terms_at(Plan(loss.program), point, method.series(order + 1), order, ring, value)


@pytest.mark.parametrize("method", [eom.GradientDescent(), eom.Nesterov("1/3")], ids=lambda m: m.name)
def test_terms_keep_twenty_eight_digits(method):
    text = "exp(-x*y)*sin(3*x) + tanh(y)/(1+x**2) + log(2+cos(y)) + (x*y+3)**0.3 + atan(x*y) + sigmoid(x)"
    loss = eom.Loss(text, variables="x y")
    theta = [0.3, 0.7]
    kernel = eom.compile(loss, 4, method=method, precision="dd")
    high, low = kernel.terms_dd(theta)
    with mpmath.workdps(50):
        expected = reference_terms(loss, theta, 4, method)
        for place in np.ndindex(high.shape):
            found = mpmath.mpf(float(high[place])) + mpmath.mpf(float(low[place]))
            assert abs(found - expected[place]) <= 1e-28 * abs(expected[place])
            assert float(high[place]) == float(expected[place])  # the nearest double
    np.testing.assert_array_equal(kernel.terms(theta), high)


def test_a_network_in_double_double_agrees_with_doubles():
    rng = np.random.default_rng(0)
    loss = eom.DeepLinear((3, 4, 2), rng.standard_normal((20, 3)), rng.standard_normal((20, 2)))
    theta = rng.standard_normal(loss.size)
    double = eom.compile(loss, 3).terms(theta)
    pair = eom.compile(loss, 3, precision="dd").terms(theta)
    np.testing.assert_allclose(pair, double, rtol=1e-11, atol=1e-13 * abs(double).max())


def test_the_rewritten_lines_are_those_of_the_primitive():
    source = doubled(convolve)
    assert "z[q] = dd_add(z[q], dd_mul(weight, dd_mul(u[q], w[q])))" in source
    assert "range(low if d else 0, d + 1)" in source  # integers stay as they are


@pytest.mark.parametrize("primitive", PRIMITIVES, ids=lambda f: f.__name__)
def test_every_primitive_is_rewritten_without_a_bare_operation_on_numbers(primitive):
    """Run as plain Python on complex numbers, `a * b` would be a complex product: none may be left over."""
    if primitive.__name__ == "special":
        pytest.skip("known to doubles only")
    source = doubled(primitive)
    for line in source.splitlines():
        for array in ("z[", "u[", "w[", "c[at"):
            for operator in (" * ", " + ", " - ", " / "):
                assert f"]{operator}{array}" not in line


def test_bad_input():
    loss = eom.Loss("softplus(x)**2", variables="x")
    with pytest.raises(InputError, match="softplus and erf have no double-double values"):
        eom.compile(loss, 1, precision="dd").terms([1.0])
    with pytest.raises(InputError, match="unknown precision 'quad'; choose one of double, dd"):
        eom.compile(loss, 1, precision="quad")
    with pytest.raises(InputError, match="the explicit form knows doubles only"):
        eom.compile(loss, 1, precision="dd", form="explicit")
