"""The ring of straight-line programs: running the Taylor table over it writes the closed form of all terms.

An element is a place on a tape of additions, multiplications and functions. Equal operations share a place, zeros, ones
and constant factors are folded exactly, so what is left is the arithmetic that one point needs, and no more.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from eomsym.errors import SizeError
from eomsym.losses.program import Number, exact

__all__ = ["Place", "Slope", "Tape"]


class Tape:
    """Operations in order of evaluation.

    Parameters
    ----------
    limit : int
        Longest tape; SizeError beyond it.

    Attributes
    ----------
    lines : list of tuple
        ``("variable", i)``, ``("number", x)``, ``("+", a, b)``, ``("*", a, b)``, ``("exp", a)``, ``("power", a, p)``, …
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.lines: list[tuple[Any, ...]] = []
        self._known: dict[tuple[Any, ...], Place] = {}
        self.zero = self(0)
        self.one = self(1)

    def __call__(self, number: Number) -> Place:
        """The element of an exact number."""
        number = exact(number)
        return self.place("number", Fraction(number) if isinstance(number, int) else number)

    def variable(self, index: int) -> Place:
        """The element of a parameter."""
        return self.place("variable", index)

    def place(self, *line: Any) -> Place:
        """Where this operation stands on the tape."""
        found = self._known.get(line)
        if found is None:
            if len(self.lines) >= self.limit:
                raise SizeError(
                    f"the explicit form needs more than {self.limit:,} operations; "
                    "use form='table', whose code does not grow"
                )
            found = Place(self, len(self.lines))
            self.lines.append(line)
            self._known[line] = found
        return found

    def value(self, name: str, x: Place, exponent: Place) -> Place:
        """The value of a function."""
        return self.place(name, x.index, exponent.index) if name == "power" else self.place(name, x.index)

    def live(self, outputs: list[Place]) -> list[int]:
        """Places that the outputs need, in order."""
        needed: set[int] = set()
        stack = [place.index for place in outputs]
        while stack:
            index = stack.pop()
            if index not in needed:
                needed.add(index)
                kind, *arguments = self.lines[index]
                if kind not in {"variable", "number"}:
                    stack.extend(arguments)
        return sorted(needed)


class Place:
    """An element of the ring."""

    __slots__ = ("index", "tape")

    def __init__(self, tape: Tape, index: int) -> None:
        self.tape = tape
        self.index = index

    def _number(self) -> Any:
        """The number that this element is, else None."""
        kind, *content = self.tape.lines[self.index]
        return content[0] if kind == "number" else None

    def _other(self, other: Any) -> Place:
        result: Place = other if isinstance(other, Place) else self.tape(other)
        return result

    def _scaled(self) -> tuple[Any, int]:
        """The element as a number times a place."""
        kind, *content = self.tape.lines[self.index]
        if kind == "*" and self.tape.lines[content[0]][0] == "number":
            return self.tape.lines[content[0]][1], content[1]
        return Fraction(1), self.index

    def __add__(self, other: Any) -> Place:
        right = self._other(other)
        a, b = self._number(), right._number()
        if a is not None and b is not None:
            return self.tape(a + b)
        if a == 0:
            return right
        if b == 0:
            return self
        (left_factor, left), (right_factor, place) = self._scaled(), right._scaled()
        if left == place:
            return self.tape(left_factor + right_factor) * Place(self.tape, left)
        return self.tape.place("+", *sorted((self.index, right.index)))

    __radd__ = __add__

    def __mul__(self, other: Any) -> Place:
        right = self._other(other)
        a, b = self._number(), right._number()
        if a is not None and b is not None:
            return self.tape(a * b)
        if b is not None:  # numbers to the left
            return right * self
        if a is None:
            return self.tape.place("*", *sorted((self.index, right.index)))
        factor, place = right._scaled()  # one factor for two
        if a * factor == 0:
            return self.tape.zero
        if a * factor == 1:
            return Place(self.tape, place)
        return self.tape.place("*", self.tape(a * factor).index, place)

    __rmul__ = __mul__

    def __neg__(self) -> Place:
        return self * -1

    def __sub__(self, other: Any) -> Place:
        return self + self._other(other) * -1

    def __rsub__(self, other: Any) -> Place:
        return self._other(other) - self

    def __truediv__(self, other: int) -> Place:
        return self * Fraction(1, other)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Place):
            return self.index == other.index
        return bool(self._number() == other)

    def __hash__(self) -> int:
        return hash(self.index)


class Slope:
    """A place as the derivatives in the table of functions want it."""

    def __init__(self, tape: Tape, place: Place) -> None:
        self.tape, self.place = tape, place

    def _with(self, place: Any) -> Slope:
        return Slope(self.tape, place)

    @staticmethod
    def _of(other: Any) -> Any:
        return other.place if isinstance(other, Slope) else other

    def __add__(self, other: Any) -> Slope:
        return self._with(self.place + self._of(other))

    __radd__ = __add__

    def __mul__(self, other: Any) -> Slope:
        return self._with(self.place * self._of(other))

    __rmul__ = __mul__

    def __neg__(self) -> Slope:
        return self._with(self.place * -1)

    def __sub__(self, other: Any) -> Slope:
        return self._with(self.place - self._of(other))

    def __rsub__(self, other: Any) -> Slope:
        return self._with(self._of(other) - self.place)

    def __truediv__(self, other: Any) -> Slope:
        inverse = other.call("reciprocal").place if isinstance(other, Slope) else Fraction(1) / exact(other)
        return self._with(self.place * inverse)

    def __rtruediv__(self, other: Any) -> Slope:
        return self._with(self.call("reciprocal").place * self._of(other))

    def squared(self, weight: Any = 1, plus: Any = 0) -> Slope:
        return self._with(self.place * self.place * weight + plus)

    def call(self, name: str) -> Slope:
        return self._with(self.tape.place(name, self.place.index))

    def power(self, exponent: Any) -> Slope:
        return self._with(self.tape.place("power", self.place.index, self.tape(exponent).index))
