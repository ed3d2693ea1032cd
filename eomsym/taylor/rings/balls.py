"""The ring of Arb balls, and of series of balls, for the rules of the Taylor table.

python-flint's Arb (extra ``rigorous``) carries with each number a bound of its error, so what the rules compute in this
ring is an enclosure, all rounding included.

References
----------
F. Johansson, Arb: efficient arbitrary-precision midpoint-radius interval arithmetic, IEEE Trans. Comput. 66 (2017),
1281-1292, doi:10.1109/TC.2017.2690633.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from typing import Any

import numpy as np

from eomsym.errors import MissingDependencyError
from eomsym.losses.functions import FUNCTIONS
from eomsym.losses.program import exact

__all__ = ["Ball", "Balls", "bare", "enclosed", "load_flint", "working"]

PRECISION = 128  # bits


def load_flint() -> Any:
    """python-flint, or what to type to get it."""
    try:
        import flint
    except ImportError as error:
        raise MissingDependencyError("rigorous mode needs Arb; type: pip install 'eomsym[rigorous]'") from error
    return flint


@contextmanager
def working(cap: int = 10) -> Iterator[Any]:
    """Precision of Arb and length of its series, set back afterwards."""
    flint = load_flint()
    before = flint.ctx.prec, flint.ctx.cap
    flint.ctx.prec, flint.ctx.cap = PRECISION, cap
    try:
        yield flint
    finally:
        flint.ctx.prec, flint.ctx.cap = before


def enclosed(number: Any) -> Any:
    """An exact number as a ball that contains it; floats are exact."""
    arb = load_flint().arb
    if isinstance(number, (arb, float, np.floating)):
        return arb(number) if not isinstance(number, np.floating) else arb(float(number))
    value = exact(number)
    if isinstance(value, int):
        return arb(value)
    if isinstance(value, Fraction):
        return arb(value.numerator) / value.denominator
    digits = value.evalf(60)
    return arb(str(digits), 1e-50 * (1 + abs(float(digits))))


class Ball:
    """A ball, or a series of balls, with the operations that the Taylor rules use.

    A class of its own because NumPy would take a series for a sequence.
    """

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value

    def part(self, index: int) -> Any:
        """A coefficient of a series."""
        return self.value[index]

    @property
    def first(self) -> Any:
        return self.value if isinstance(self.value, load_flint().arb) else self.value[0]

    def __add__(self, other: Any) -> Ball:
        return Ball(self.value + bare(other))

    def __sub__(self, other: Any) -> Ball:
        return Ball(self.value - bare(other))

    def __mul__(self, other: Any) -> Ball:
        return Ball(self.value * bare(other))

    def __truediv__(self, other: Any) -> Ball:
        return Ball(self.value / bare(other))

    def __rsub__(self, other: Any) -> Ball:
        return Ball(bare(other) - self.value)

    def __rtruediv__(self, other: Any) -> Ball:
        return Ball(bare(other) / self.value)

    __radd__, __rmul__ = __add__, __mul__

    def __neg__(self) -> Ball:
        return Ball(-self.value)

    def __gt__(self, other: Ball) -> bool:
        # Certainly larger. A largest number is a constant that cancels (softmax): of balls that overlap any will do.
        return bool(self.first > other.first)

    def __eq__(self, other: object) -> bool:
        # Weights are compared with 0, to leave out what is certainly nothing.
        return bool(self.first == other)

    __hash__ = None  # type: ignore[assignment]


def bare(number: Any) -> Any:
    """What a ball holds; anything else as it is."""
    return number.value if isinstance(number, Ball) else number


class Balls:
    """The ring of balls, or of series of balls.

    Parameters
    ----------
    series : bool
        Whether numbers become constant series.
    """

    def __init__(self, series: bool = False) -> None:
        self.series = series

    def __call__(self, number: Any) -> Ball:
        ball = enclosed(number)
        return Ball(load_flint().arb_series([ball]) if self.series else ball)

    def value(self, name: str, x: Ball, exponent: Ball) -> Ball:
        of_ball = FUNCTIONS[name].reading("ball", "Arb balls")
        return Ball(of_ball(x.value, exponent.first) if name == "power" else of_ball(x.value))
