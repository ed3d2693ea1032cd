"""Numbers: doubles, exact fractions, and decimals of any length."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import mpmath
import numpy as np

from eomsym import checks
from eomsym.errors import ExpressionError
from eomsym.losses.functions import FUNCTIONS
from eomsym.losses.program import exact

__all__ = ["Decimals", "Floats", "Rationals"]


class Floats:
    """Doubles: the plain reading that compiled code repeats."""

    def __call__(self, number: Any) -> float:
        return float(exact(number))

    def value(self, name: str, x: float, exponent: float) -> float:
        row = FUNCTIONS[name]
        with np.errstate(all="ignore"):
            found = row.value(np.float64(x), exponent) if name == "power" else row.value(np.float64(x))
        return float(found)


class Rationals:
    """Exact fractions. A function has no value here; a reciprocal has, and a whole power."""

    def __call__(self, number: Any) -> Fraction:
        return Fraction(exact(number))

    def value(self, name: str, x: Fraction, exponent: Fraction) -> Fraction:
        if name == "reciprocal":
            return 1 / x
        if name == "power" and exponent.denominator == 1:
            return Fraction(x ** int(exponent))
        raise ExpressionError(f"{name} has no value in exact fractions; use Decimals(30) for thirty digits")


class Decimals:
    """Decimals with a fixed number of digits, by mpmath.

    Parameters
    ----------
    digits : int

    Raises
    ------
    InputError
        Fewer than 2 digits.

    Examples
    --------
    >>> import mpmath
    >>> ring = Decimals(30)
    >>> mpmath.nstr(ring.value("exp", ring(1), None), 30)
    '2.71828182845904523536028747135'
    """

    def __init__(self, digits: int) -> None:
        checks.count(digits, "digits", 2)
        self.context = mpmath.MPContext()
        self.context.dps = digits + 5
        self.digits = digits

    def __call__(self, number: Any) -> Any:
        value = exact(number)
        if isinstance(value, Fraction):
            return self.context.mpf(value.numerator) / value.denominator
        if isinstance(value, int):
            return self.context.mpf(value)
        return self.context.mpf(value.evalf(self.digits + 10)._mpf_)

    def value(self, name: str, x: Any, exponent: Any) -> Any:
        context = self.context
        written = {
            "reciprocal": lambda: 1 / x,
            "power": lambda: x**exponent,
            "sigmoid": lambda: 1 / (1 + context.exp(-x)),
            "softplus": lambda: context.log1p(context.exp(-abs(x))) + max(x, 0),
        }
        if name in written:
            return written[name]()
        return getattr(context, FUNCTIONS[name].reading("decimal", "decimals"))(x)
