"""Derivatives on a tape against those of sympy."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import pytest
import sympy

from eomsym.losses.functions import FUNCTIONS
from eomsym.taylor.derivative import derivatives, slope_at
from eomsym.taylor.rings.tape import Place, Tape

X, Y, U, V = sympy.symbols("x y u v")
POINT = {X: sympy.Rational(3, 10), Y: sympy.Rational(7, 10), U: sympy.Rational(2, 3), V: sympy.Rational(-5, 4)}
SMOOTH = [name for name, row in FUNCTIONS.items() if row.rule == "follow"]


def expressions(tape: Tape, symbols: Sequence[Any]) -> list[Any]:
    """Every line of a tape as an expression."""
    found: list[Any] = []
    for kind, *content in tape.lines:
        if kind == "variable":
            found.append(symbols[content[0]])
        elif kind == "number":
            found.append(sympy.sympify(content[0]))
        elif kind in "+*":
            a, b = (found[i] for i in content)
            found.append(a + b if kind == "+" else a * b)
        elif kind == "power":
            found.append(found[content[0]] ** found[content[1]])
        else:
            found.append(FUNCTIONS[kind].symbol(found[content[0]]))
    return found


def number(expression: Any) -> float:
    return float(sympy.sympify(expression).evalf(30, subs=POINT))


@pytest.mark.parametrize("exponent", [Fraction(1, 2), Fraction(3, 2), Fraction(-5, 3), 7])
def test_derivative_of_a_power(exponent: Fraction) -> None:
    tape = Tape(100)
    power = tape.value("power", tape.variable(0), tape(exponent))
    slope = slope_at(tape, power.index)
    expected = sympy.diff(X ** sympy.Rational(exponent), X)
    assert number(expressions(tape, [X])[slope.index]) == pytest.approx(number(expected), rel=1e-14, abs=0)


@pytest.mark.parametrize("name", SMOOTH)
def test_derivatives_along_a_direction(name: str) -> None:
    tape = Tape(1000)
    x, y = tape.variable(0), tape.variable(1)
    inner = x * y * 2 + y * y + Fraction(1, 10)
    outer = tape.value(name, inner, tape.zero)
    root = tape.value("power", y * 3, tape(Fraction(3, 2)))
    places = [outer * x, root + outer * outer, tape(7), x * 3, tape.value(name, tape(Fraction(1, 5)), tape.zero)]
    wholes = [expressions(tape, [X, Y])[place.index] for place in places]
    along = derivatives(tape, [place.index for place in places], first=2, size=2)
    found = expressions(tape, [X, Y, U, V])
    for place, whole in zip(along, wholes, strict=True):
        assert isinstance(place, Place)
        expected = number(sympy.diff(whole, X) * U + sympy.diff(whole, Y) * V)
        assert number(found[place.index]) == pytest.approx(expected, rel=1e-12, abs=0)
    assert along[2] == tape.zero
    assert along[4] == tape.zero  # of a constant


def test_what_is_given_beside_the_parameters_stands_still() -> None:
    tape = Tape(100)
    x, eta = tape.variable(0), tape.variable(1)
    (found,) = derivatives(tape, [(x * eta).index], first=2, size=1)
    assert expressions(tape, [X, Y, U])[found.index] == Y * U
