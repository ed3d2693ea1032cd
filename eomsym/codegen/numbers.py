"""Where floats are born: exact numbers to the doubles nearest to them."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from functools import lru_cache
from typing import Any

import numpy as np
import sympy

from eomsym.errors import InputError, MethodError
from eomsym.exact.methods import Method
from eomsym.losses.program import exact
from eomsym.taylor.table import weights

__all__ = ["nearest", "numeric_series", "pair", "to_float", "to_pairs"]


def nearest(number: Any) -> float:
    """The double nearest to an exact number."""
    number = exact(number)
    if isinstance(number, (int, Fraction)):
        return float(number)
    if number.free_symbols:
        names = ", ".join(sorted(map(str, number.free_symbols)))
        raise InputError(f"{number} is not a number: give {names} a value to compile")
    return float(number.evalf(30))


def to_float(numbers: np.ndarray) -> np.ndarray:
    """Exact numbers as the doubles nearest to them."""
    if numbers.dtype == np.float64:
        return numbers
    return np.array([nearest(number) for number in numbers.ravel()], dtype=np.float64).reshape(numbers.shape)


def pair(number: Any) -> complex:
    """The double-double number nearest to an exact one: the high part real, the low part imaginary."""
    number = exact(number)
    high = nearest(number)
    if isinstance(number, (int, Fraction)):
        return complex(high, float(number - Fraction(high)))
    return complex(high, float((number - sympy.Rational(high)).evalf(30)))


def to_pairs(numbers: np.ndarray) -> np.ndarray:
    """Exact numbers as double-double numbers."""
    if numbers.dtype == np.float64:
        return numbers.astype(np.complex128)
    return np.array([pair(number) for number in numbers.ravel()], dtype=np.complex128).reshape(numbers.shape)


@lru_cache(maxsize=256)
def numeric_series(method: Method, order: int, pairs: bool = False) -> dict[str, np.ndarray]:
    """psi, coupling and chi of a method as arrays of doubles, or of pairs, each entry rounded once."""
    rounded = pair if pairs else nearest
    series = method.series(order + 1)
    rows: Sequence[Any] = (*series.chi, *series.psi, *series.coupling)
    names = sorted({str(s) for row in rows for x in row for s in getattr(x, "free_symbols", ())})
    if names:
        raise MethodError(
            f"{method.name} holds the symbol {', '.join(names)}; give it a number to compile, "
            "for instance eomsym.HeavyBall('9/10')"
        )

    def table(coefficients: Any) -> np.ndarray:
        made = weights([[exact(x) for x in row] for row in coefficients], order + 1)
        return np.array([[[rounded(x) for x in row] for row in rows] for rows in made])

    coupling = np.array([[rounded(x) for x in row] for row in series.coupling])
    return {"psi": table(series.psi), "coupling": coupling, "chi": table(series.chi)}
