"""The ring of degrees: how high the powers of a formula get, known before anything is multiplied out."""

from __future__ import annotations

from typing import Any

__all__ = ["Degree", "Degrees"]

NONE = -1


class Degree:
    """A bound on the degree of a polynomial; that of zero is -1."""

    __slots__ = ("bound",)

    def __init__(self, bound: int) -> None:
        self.bound = bound

    @staticmethod
    def _of(other: Any) -> int:
        return other.bound if isinstance(other, Degree) else NONE if other == 0 else 0

    def __add__(self, other: Any) -> Degree:
        return Degree(max(self.bound, self._of(other)))

    __radd__ = __sub__ = __rsub__ = __add__

    def __mul__(self, other: Any) -> Degree:
        there = self._of(other)
        return Degree(NONE if NONE in (self.bound, there) else self.bound + there)

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> Degree:
        return self

    def __neg__(self) -> Degree:
        return self

    def __gt__(self, other: Any) -> bool:  # what is taken off a softmax has the same degree either way
        return False

    def __eq__(self, other: object) -> bool:
        return self.bound == self._of(other)

    __hash__ = None  # type: ignore[assignment]


class Degrees:
    """Degrees as ring elements; a number has degree 0, the value of a function degree 1.

    Examples
    --------
    >>> x, ring = Degree(1), Degrees()
    >>> (x * x * 3 + x - ring(5)).bound, (ring.value("exp", x * x, None) * x).bound, (x * ring(0)).bound
    (2, 2, -1)
    """

    zero = Degree(NONE)

    def __call__(self, number: Any) -> Degree:
        return Degree(NONE if number == 0 else 0)

    def value(self, name: str, x: Degree, exponent: Any) -> Degree:
        """A generator."""
        return Degree(1)
