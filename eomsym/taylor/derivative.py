"""Derivatives on a tape: the terms of an equation together with those of its variations."""

from __future__ import annotations

from collections.abc import Sequence

from eomsym.losses.functions import FUNCTIONS
from eomsym.taylor.rings.tape import Place, Slope, Tape

__all__ = ["derivatives", "slope_at"]


def slope_at(tape: Tape, index: int) -> Place:
    """The derivative of a function on a tape, at its argument."""
    name, *arguments = tape.lines[index]
    x, y = (Slope(tape, Place(tape, i)) for i in (arguments[0], index))
    found = y * tape.lines[arguments[1]][1] / x if name == "power" else FUNCTIONS[name].derivative(x, y)
    place: Place = found.place
    return place


def derivatives(tape: Tape, outputs: Sequence[int], first: int, size: int) -> list[Place]:
    """Derivatives of some places along a direction, whose entries are variables too.

    Parameters
    ----------
    tape : Tape
        New lines are added to it.
    outputs : sequence of int
    first : int
        Number of the variable that is the first entry of the direction.
    size : int
        Number of parameters: variables ``0 … size - 1``.

    Examples
    --------
    >>> tape = Tape(100)
    >>> x = tape.variable(0)
    >>> (found,) = derivatives(tape, [(x * x * x).index], first=1, size=1)
    >>> tape.lines[found.index][0]  # 3 x**2 times the direction
    '+'
    """
    along: dict[int, Place] = {}
    for index in tape.live([Place(tape, i) for i in outputs]):
        kind, *arguments = tape.lines[index]
        if kind == "variable":
            along[index] = tape.variable(first + arguments[0]) if arguments[0] < size else tape.zero
        elif kind == "number":
            along[index] = tape.zero
        elif kind == "+":
            along[index] = along[arguments[0]] + along[arguments[1]]
        elif kind == "*":
            left, right = (Place(tape, i) for i in arguments)
            along[index] = along[arguments[0]] * right + left * along[arguments[1]]
        elif along[arguments[0]] == tape.zero:
            along[index] = tape.zero
        else:
            along[index] = slope_at(tape, index) * along[arguments[0]]
    return [along[i] for i in outputs]
