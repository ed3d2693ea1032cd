"""Where floats are born: exact numbers to the doubles nearest to them."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np

from eomsym.errors import InputError
from eomsym.losses.program import exact

__all__ = ["nearest", "to_float"]


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
