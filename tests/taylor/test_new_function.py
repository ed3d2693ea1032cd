"""One row adds a function to every reading: value, gradient, table, formula, explicit form, decimals and balls."""

from __future__ import annotations

from collections.abc import Iterator

import mpmath
import numpy as np
import pytest
import sympy

import eomsym as eom
from eomsym.errors import ExpressionError
from eomsym.losses import functions
from eomsym.losses.functions import FUNCTIONS, Function, register

POINT = np.array([0.3, 0.6])
#: arsinh'(x) = (1 + x²)**(-1/2), a function that the package does not have.
ARSINH = Function(
    "asinh",
    sympy.asinh,
    np.arcsinh,
    lambda x, y: x.squared(1, 1).power(sympy.Rational(-1, 2)),
    "math.asinh({0})",
    ball=lambda x: x.asinh() if hasattr(x, "asinh") else (x + (x * x + 1).sqrt()).log(),
    decimal="asinh",
)
#: The same without the columns that may be left out.
BARE = Function("arsinh", sympy.asinh, np.arcsinh, ARSINH.derivative, ARSINH.source)


@pytest.fixture(params=[ARSINH, BARE], ids=["full row", "bare row"])
def row(request: pytest.FixtureRequest) -> Iterator[Function]:
    register(request.param)
    yield request.param
    del FUNCTIONS[request.param.name]
    functions_of_operations().pop(request.param.name, None)


def functions_of_operations() -> dict[str, object]:
    from eomsym.losses import operations

    return operations.OPERATIONS


def loss_and_formula(row: Function) -> tuple[eom.Loss, sympy.Expr]:
    loss = eom.Loss(f"{row.name}(x*y) + y*{row.name}(x)**2", variables="x y")
    return loss, loss.expression


def terms_by_sympy(loss: eom.Loss) -> list[sympy.Matrix]:
    """g, Hg/2, H²g/3 + T[g,g]/12 by differentiation."""
    x = sympy.Matrix(loss.variables)
    g = sympy.Matrix([loss.expression]).jacobian(x).T
    hessian = g.jacobian(x)
    curved = sympy.Matrix([(g.T * entry.jacobian(x) * g)[0] for entry in (hessian.row(i).T for i in range(2))])
    return [g, hessian * g / 2, hessian * hessian * g / 3 + curved / 12]


def test_one_row_serves_values_gradients_tables_formulas_and_the_explicit_form(row: Function) -> None:
    loss, expression = loss_and_formula(row)
    at = dict(zip(loss.variables, POINT, strict=True))
    assert loss.value(POINT) == pytest.approx(float(expression.subs(at)), rel=1e-14, abs=0)
    expected = np.array([[float(e.subs(at)) for e in term] for term in terms_by_sympy(loss)])
    np.testing.assert_allclose(loss.gradient(POINT), expected[0], rtol=1e-13)
    kernel = eom.compile(loss, 2)
    np.testing.assert_allclose(kernel.terms(POINT), expected, rtol=1e-12)
    np.testing.assert_allclose(eom.compile(loss, 2, form="explicit").terms(POINT), expected, rtol=1e-12)
    formula = eom.modified_field(loss, 2).terms
    found = np.array([[float(e.subs(at)) for e in term] for term in formula])
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_decimals_and_balls_need_their_columns(row: Function) -> None:
    from eomsym.bounds.rigorous import enclose_terms

    loss, _ = loss_and_formula(row)
    kernel = eom.compile(loss, 2)
    if row is BARE:
        with pytest.raises(ExpressionError, match="arsinh has no value in decimals; write the loss with one of exp"):
            kernel.decimals(["3/10", "3/5"])
        with pytest.raises(ExpressionError, match="arsinh has no value in Arb balls; write the loss with one of exp"):
            enclose_terms(loss, POINT, order=2)
        return
    exact = dict(zip(loss.variables, map(sympy.Rational, ("3/10", "3/5")), strict=True))
    expected = [[e.subs(exact).evalf(40) for e in term] for term in terms_by_sympy(loss)]
    decimals = kernel.decimals(["3/10", "3/5"], 30)
    for found, true in zip(decimals.ravel(), [x for row in expected for x in row], strict=True):
        assert abs(sympy.Float(mpmath.nstr(found, 35), 35) / true - 1) < 1e-29
    balls = enclose_terms(loss, POINT, order=2)
    binary = dict(zip(loss.variables, map(sympy.Rational, POINT), strict=True))
    for ball, term in zip(balls.ravel(), [x for vector in terms_by_sympy(loss) for x in vector], strict=True):
        true = term.subs(binary).evalf(40)
        assert abs(sympy.Float(str(ball.mid().str(35, radius=False)), 35) - true) <= 1e-25


def test_a_taken_name_is_refused() -> None:
    with pytest.raises(ExpressionError, match="there is a function 'tanh' already; choose another name"):
        register(Function("tanh", sympy.tanh, np.tanh, lambda x, y: y, "math.tanh({0})"))
    assert functions.function("tanh").value is np.tanh
