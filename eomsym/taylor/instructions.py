"""What a program becomes: a list of typed instructions on named tables.

Each instruction is one primitive of :mod:`eomsym.taylor.primitives`. The rules that write them stand in
:mod:`eomsym.taylor.rules`; every back end, and the plain reading in :mod:`eomsym.taylor.table`, walks the same list.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["FULL", "SKIP", "Instruction", "Table", "entries"]

#: At the last degree: all entries are computed, or none.
FULL, SKIP = -1, -2


def entries(order: int) -> int:
    """Entries of a table for terms 0..order."""
    return (order + 1) * (order + 2) // 2


@dataclass(frozen=True)
class Table:
    """A table: its place among the lanes of all tables, and the shape of the array that it expands."""

    start: int
    shape: tuple[int, int]

    @property
    def lanes(self) -> int:
        return self.shape[0] * self.shape[1]


@dataclass(frozen=True)
class Instruction:
    """One primitive on its tables.

    Parameters
    ----------
    node : int
        The node of the program that it computes.
    primitive : str
    out, x, y : int
        Numbers of tables; what a primitive does not read is its own output.
    integers, numbers : int
        Places in the plan's integers and numbers where those of this instruction begin.
    comment : str
        What it computes, for a reader.
    plain : bool
        Whether the pure powers of eta vanish in `out`.
    mix : int
        What the last degree computes: the row of weights of the sum that is wanted, or `FULL`, or `SKIP`.
    """

    node: int
    primitive: str
    out: int
    x: int
    y: int
    integers: int
    numbers: int
    comment: str
    plain: bool = False
    mix: int = FULL
