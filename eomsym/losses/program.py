"""A loss as a straight-line array program.

A :class:`Program` is a list of nodes in evaluation order, made by a :class:`eomsym.losses.builder.Builder`. Each node
applies one operation of :mod:`eomsym.losses.operations` to earlier nodes and holds a two-dimensional array of known
shape. A deep network is some twenty nodes; nothing is ever taken apart into scalars. Everything else is a *reading* of
this list: NumPy values (:mod:`eomsym.losses.values`), the gradient (:mod:`eomsym.losses.gradient`), Taylor tables
(:mod:`eomsym.taylor`) and numba source (:mod:`eomsym.codegen`).

Numbers inside a program are exact: integers, fractions and irrational sympy numbers as they are, floats as the
binary fractions that they stand for.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, TypeAlias

import numpy as np

__all__ = ["Entry", "Node", "Number", "Program", "exact"]

#: An exact number: int, Fraction, or a sympy number such as pi.
Number: TypeAlias = Any
#: One entry (row, input, lane, coefficient) of a sparse linear map.
Entry: TypeAlias = tuple[int, int, int, Number]


@dataclass(frozen=True)
class Node:
    """One operation: its name, the indices of its inputs, the shape of its value, and its fixed parameters."""

    operation: str
    inputs: tuple[int, ...]
    shape: tuple[int, int]
    parameters: tuple[Any, ...] = ()

    @property
    def size(self) -> int:
        """Number of entries of the value."""
        return self.shape[0] * self.shape[1]


@dataclass(frozen=True, eq=False)
class Program:
    """Nodes in evaluation order, the constant arrays that they name, and the indices of the outputs.

    Node 0 is always the parameter vector, of shape ``(n, 1)``.
    """

    nodes: tuple[Node, ...]
    constants: tuple[np.ndarray, ...]
    outputs: tuple[int, ...]

    @property
    def size(self) -> int:
        """Number n of parameters."""
        return self.nodes[0].size

    def needed(self, outputs: Iterable[int]) -> list[int]:
        """Indices, in order, of the nodes that the given outputs depend on (node 0 always among them)."""
        keep = {0}
        stack = list(outputs)
        while stack:
            index = stack.pop()
            if index not in keep:
                keep.add(index)
                stack.extend(self.nodes[index].inputs)
        return sorted(keep)

    def pruned(self, outputs: Sequence[int]) -> Program:
        """The same program with these outputs, without the nodes that they do not need."""
        keep = self.needed(outputs)
        place = {old: new for new, old in enumerate(keep)}
        nodes = []
        for old in keep:
            node = self.nodes[old]
            inputs = tuple(place[i] for i in node.inputs)
            nodes.append(Node(node.operation, inputs, node.shape, node.parameters))
        return Program(tuple(nodes), self.constants, tuple(place[i] for i in outputs))


def exact(number: Number) -> Number:
    """The exact number that stands for `number`: a float is the binary fraction that it is."""
    if isinstance(number, (int, Fraction)):
        return number
    if isinstance(number, (float, np.floating, np.integer)):
        return Fraction(number.item() if isinstance(number, np.generic) else number)
    if getattr(number, "is_Rational", False):
        return Fraction(int(number.p), int(number.q))
    return number
