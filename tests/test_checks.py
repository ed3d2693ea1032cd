"""Checks of arguments: what passes comes back as what it should be, everything else is told with a way out."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import sympy

from eomsym import checks
from eomsym.errors import InexactError, InputError, ShapeError
from eomsym.exact.numbers import as_exact


def test_what_passes() -> None:
    assert [checks.count(value, "n") for value in (0, np.int32(7), sympy.Integer(3))] == [0, 7, 3]
    assert all(type(checks.count(value, "n")) is int for value in (np.int64(1), sympy.Integer(3)))
    assert [checks.positive(value, "eta") for value in (1, Fraction(1, 4), np.float32(0.5))] == [1.0, 0.25, 0.5]
    assert [checks.number(value, "x") for value in (-3, np.array(2.5), np.array(4), np.longdouble(2))] == [
        -3,
        2.5,
        4,
        2,
    ]
    assert checks.flag(np.True_, "bias") is True
    assert checks.choice("tanh", "activation", ("tanh", "sin")) == "tanh"
    given = np.arange(3)
    found = checks.vector(given, "theta", 3)
    assert found.dtype == np.float64
    assert not np.shares_memory(found, given)


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: checks.count(True, "n"), "n must be an integer >= 0, got True; type n="),
        (lambda: checks.count("3", "n", 1), "n must be an integer >= 1, got '3'; type n=1"),
        (lambda: checks.count(7.9, "n", 1, 5), "n must be an integer from 1 to 5, got 7.9; type n=5"),
        (lambda: checks.count(-(10**6000), "n"), "n must be an integer >= 0, got an integer of 19932 bits; type n=0"),
        (lambda: checks.count(float("nan"), "n"), "n must be an integer >= 0, got nan; type n=0"),
        (lambda: checks.order(1.0), r"order must be an integer >= 0 \(0 is gradient flow\), got 1.0; type order=1"),
        (lambda: checks.positive("0.1", "eta"), "eta must be a finite number > 0, got '0.1'; type eta=0.01"),
        (lambda: checks.positive(True, "eta"), "eta must be a finite number > 0, got True"),
        (lambda: checks.positive(float("inf"), "eta"), "eta must be a finite number > 0, got inf"),
        (lambda: checks.positive(10**400, "eta"), "eta must be a finite number > 0, got 10000"),
        (lambda: checks.positive(np.zeros(2), "eta"), r"eta must be a finite number > 0, got array\(\[0., 0.\]\)"),
        (lambda: checks.positive(1j, "eta"), "eta must be a finite number > 0, got 1j"),
        (lambda: checks.positive(sympy.Symbol("h"), "eta"), "eta must be a finite number > 0, got h"),
        (lambda: checks.number(2, "nu", -1, 1), "nu must be a finite number from -1 to 1, got 2; type nu=0.1"),
        (lambda: checks.flag("yes", "bias"), "bias must be True or False, got 'yes'; type bias=True"),
        (lambda: checks.choice("tahn", "activation", ("tanh", "sin")), r"unknown activation 'tahn'.*mean tanh\?"),
        (lambda: checks.choice({}, "loss", ("mse",)), r"unknown loss \{\}; choose one of mse$"),
        (lambda: checks.array([1j], "x"), "x must be an array of real numbers, got list"),
        (lambda: checks.array(np.ones(2) * 1j, "x"), "x must be an array of real numbers, got ndarray"),
        (lambda: checks.array(np.ma.masked, "x"), "x must be an array of real numbers, got MaskedConstant"),
        (lambda: checks.array([1, np.ma.masked], "x"), "x must be an array of real numbers, got list"),
        (lambda: checks.array(np.ma.array([1, 2], mask=[0, 1]), "x"), "must be an array of real numbers, got Masked"),
        (lambda: checks.array([[1], [2, 3]], "x"), "x must be an array of real numbers, got list"),
        (lambda: checks.array({"a": 1}, "x"), "x must be an array of real numbers, got dict"),
        (lambda: checks.array([10**400], "x"), "x must be an array of real numbers, got list"),
        (lambda: checks.array(float("inf"), "x"), "x must be finite, got x = inf; leave such entries out"),
        (lambda: checks.array([[0, 1], [np.nan, 1]], "x"), r"x must be finite, got x\[1, 0\] = nan"),
    ],
)
def test_what_does_not(call: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        call()


@pytest.mark.parametrize(
    "value",
    [
        np.complex128(1), np.complex64(1), np.array(1 + 0j), np.array([1.0]), np.ones((1, 1)), np.ma.masked,
        np.ma.array(1.0, mask=True), np.array(True), np.timedelta64(3, "D"), np.timedelta64(3, "ns"),
        np.datetime64(1, "D"), np.array("1"), np.array([(1, 2)], "i,i")[0],
    ],
    ids=repr,
)  # fmt: skip
def test_what_numpy_would_make_a_number_of_with_a_warning_is_none(value: Any) -> None:
    with pytest.raises(InputError, match=r"(?s)^x must be a finite number, got .*; type x=0\.1$"):
        checks.number(value, "x")
    with pytest.raises(InputError, match=r"(?s)^x must be a finite number > 0, got .*; type x=0\.01$"):
        checks.positive(value, "x")
    with pytest.raises(InputError, match=r"(?s)^x must be an integer >= 0, got .*; type x=0$"):
        checks.count(value, "x")
    with pytest.raises(
        InexactError, match=r"(?s)^x is .*, of type \w+; exact .* needed, for example an int or a Fraction$"
    ):
        as_exact(value, "x")


@pytest.mark.parametrize("value", [sympy.oo, -sympy.oo, sympy.zoo, sympy.nan, 2 - sympy.oo])
def test_exact_numbers_are_finite(value: sympy.Expr) -> None:
    with pytest.raises(InputError, match=r"^x is .*; a finite number is needed$"):
        as_exact(value, "x")


def test_shapes() -> None:
    with pytest.raises(ShapeError, match=r"theta has shape \(2, 1\), expected \(2,\): the parameters are x, y"):
        checks.vector([[1], [2]], "theta", 2, "the parameters are x, y")
