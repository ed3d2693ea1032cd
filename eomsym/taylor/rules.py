"""One Taylor rule for each operation: which primitives it consists of.

A rule is a function of a :class:`Writer` and a node. It writes one line of code, or a few, each a primitive of
:mod:`eomsym.taylor.primitives` with its tables, integers and numbers. Numbers are exact.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from eomsym.losses.program import Node, Number, Program
from eomsym.taylor.primitives import FUNCTIONS, PRIMITIVES

__all__ = ["RULES", "Writer"]

_NUMBER = {function.__name__: number for number, function in enumerate(PRIMITIVES)}


class Writer:
    """Lays out the tables of a program and collects the lines of code.

    Attributes
    ----------
    code : list of rows ``[primitive, out, a, b, i, j, k, at]``
        The tables are numbered by where they would begin if each had one entry.
    comments : list of str
        For each row, which node it computes.
    table : list of int
    constants : list of arrays
    """

    def __init__(self, program: Program) -> None:
        self.program = program
        self.code: list[list[int]] = []
        self.comments: list[str] = []
        self.table: list[int] = []
        self.constants: list[np.ndarray] = []
        self.scratch = 0
        self._end = 0
        self._constant_places: dict[int, int] = {}
        self._end_of_constants = 0
        self.starts: list[int] = []
        self.companions: dict[int, int] = {}
        for index, node in enumerate(program.nodes):
            if node.operation == "companion":  # lies behind its function, whose rule fills it in
                self.starts.append(self.companions[node.inputs[1]])
                continue
            self.starts.append(self._end)
            self._end += node.size
            if node.operation in {"tanh", "sigmoid", "sin"}:
                self.companions[index] = self._end
                self._end += node.size
        for index, node in enumerate(program.nodes):
            if node.operation not in {"theta", "companion"}:
                self.index = index
                self.node = node
                RULES[node.operation](self, node)

    @property
    def lanes(self) -> int:
        """Numbers in one entry of all tables."""
        return self._end

    # what rules use -----------------------------------------------------------------------------------------------

    @property
    def out(self) -> int:
        return self.starts[self.index]

    @property
    def companion(self) -> int:
        return self.companions[self.index]

    def input(self, slot: int) -> int:
        return self.starts[self.node.inputs[slot]]

    def shape(self, slot: int) -> tuple[int, int]:
        return self.program.nodes[self.node.inputs[slot]].shape

    def write(
        self,
        primitive: str,
        out: int,
        a: int = 0,
        b: int = 0,
        i: int = 0,
        j: int = 0,
        k: int = 0,
        at: int = 0,
    ) -> None:
        self.code.append([_NUMBER[primitive], out, a, b, i, j, k, at])
        rows, columns = self.node.shape
        inputs = ", ".join(f"v{i}" for i in self.node.inputs)
        self.comments.append(f"{primitive}: v{self.index} = {self.node.operation}({inputs}), {rows} x {columns}")

    def numbers(self, values: Sequence[Number]) -> int:
        """Place of some exact numbers among the constants."""
        piece = np.empty(len(values), dtype=object)
        piece[:] = list(values)
        return self._placed(piece)

    def constant(self, index: int) -> int:
        """Place of a constant array of the program."""
        if index not in self._constant_places:
            self._constant_places[index] = self._placed(self.program.constants[index].ravel())
        return self._constant_places[index]

    def integers(self, values: Sequence[int]) -> int:
        """Place of some integers in the table."""
        self.table += values
        return len(self.table) - len(values)

    def _placed(self, piece: np.ndarray) -> int:
        self.constants.append(piece)
        self._end_of_constants += piece.size
        return self._end_of_constants - piece.size

    # lines that several rules share -------------------------------------------------------------------------------

    def product(self, out: int, a: int, b: int, weight: Number = 1, plus: Number = 0) -> None:
        self.write("convolve", out, a, b, self.node.size, 0, 0, self.numbers([weight, 0, 0, plus]))

    def follow(self, out: int, x: int, w: int, sign: int = 1) -> None:
        """Degrees above 0 from ``D out = sign w D x``."""
        self.write("convolve", out, x, w, self.node.size, 1, 1, self.numbers([0, sign, 0, 0]))

    def start(self, name: str, out: int, at: int = 0) -> None:
        """Degree 0 of a function."""
        primitive, number = FUNCTIONS[name]
        self.write(primitive, out, self.input(0), 0, self.node.size, number, 0, at)

    def copied(self, start: int, slot: int, skip: int, count: int) -> None:
        place = self.integers([self.program.nodes[self.node.inputs[slot]].size, skip, count])
        self.write("copy", self.out, self.input(slot), 0, self.node.size, start, place)


# functions ----------------------------------------------------------------------------------------------------------


def _exp(w: Writer, node: Node) -> None:
    w.start("exp", w.out)
    w.follow(w.out, w.input(0), w.out)


def _tanh(w: Writer, node: Node) -> None:
    w.start("tanh", w.out)
    w.follow(w.out, w.input(0), w.companion)
    w.product(w.companion, w.out, w.out, -1, 1)  # 1 - tanh²


def _sigmoid(w: Writer, node: Node) -> None:
    w.start("sigmoid", w.out)
    w.follow(w.out, w.input(0), w.companion)
    w.product(w.companion, w.out, w.out, -1)
    w.write("affine", w.companion, w.companion, w.out, node.size, 1, 0, w.numbers([1, 1]))  # s - s²


def _sin(w: Writer, node: Node) -> None:
    w.start("sin", w.out)
    w.start("cos", w.companion)
    w.follow(w.out, w.input(0), w.companion)
    w.follow(w.companion, w.input(0), w.out, -1)


def _reciprocal(w: Writer, node: Node) -> None:
    """From ``x y = 1``: ``y_d = -y_0 sum_(k>0) x_k y_(d-k)``."""
    w.start("reciprocal", w.out)
    w.write("convolve", w.out, w.input(0), w.out, node.size, 1, 0, w.numbers([-1, 0, 0, 0]))
    w.write("times_first", w.out, w.out, 0, node.size)


def _power(w: Writer, node: Node) -> None:
    """From ``x Dy = p y Dx``: ``d x_0 y_d = sum_(k>0) (p k - (d - k)) x_k y_(d-k)``; the second input is 1/x."""
    exponent = node.parameters[0]
    w.start("power", w.out, w.numbers([exponent]))
    w.write("convolve", w.out, w.input(0), w.out, node.size, 1, 1, w.numbers([0, exponent + 1, -1, 0]))
    w.write("times_first", w.out, w.input(1), 0, node.size)


def _integral(w: Writer, node: Node) -> None:
    w.start(node.parameters[0], w.out)
    w.follow(w.out, w.input(0), w.input(1))


def _gate(w: Writer, node: Node) -> None:
    w.write("gate", w.out, w.input(0), w.input(1), node.size, at=w.numbers(node.parameters))


# products -----------------------------------------------------------------------------------------------------------


def _multiply(w: Writer, node: Node) -> None:
    w.product(w.out, w.input(0), w.input(1))


def _square(w: Writer, node: Node) -> None:
    w.product(w.out, w.input(0), w.input(0))


def _matmul(w: Writer, node: Node) -> None:
    rows, inner = w.shape(0)
    w.scratch = max(w.scratch, node.size, inner * node.shape[1])
    w.write("matmul", w.out, w.input(0), w.input(1), rows, inner, node.shape[1])


def _matmul_right(w: Writer, node: Node) -> None:
    rows, inner = w.shape(0)
    at = w.constant(node.parameters[0])
    w.write("matmul_right", w.out, w.input(0), 0, rows, inner, node.shape[1], at)


def _matmul_left(w: Writer, node: Node) -> None:
    inner, columns = w.shape(0)
    at = w.constant(node.parameters[0])
    w.write("matmul_left", w.out, w.input(0), 0, node.shape[0], inner, columns, at)


# linear maps --------------------------------------------------------------------------------------------------------


def _constant(w: Writer, node: Node) -> None:
    w.write("array", w.out, 0, 0, node.size, 0, 0, w.constant(node.parameters[0]))


def _shift(w: Writer, node: Node) -> None:
    w.write("array", w.out, w.input(0), 0, node.size, 1, 0, w.constant(node.parameters[0]))


def _weigh(w: Writer, node: Node) -> None:
    w.write("array", w.out, w.input(0), 0, node.size, 2, 0, w.constant(node.parameters[0]))


def _part(w: Writer, node: Node) -> None:
    w.copied(0, 0, node.parameters[0], node.size)


def _reshape(w: Writer, node: Node) -> None:
    w.copied(0, 0, 0, node.size)


def _join(w: Writer, node: Node) -> None:
    sizes = [w.program.nodes[i].size for i in node.inputs]
    if sum(sizes) < node.size:
        w.write("clear", w.out, i=node.size)
    for slot, (start, size) in enumerate(zip(node.parameters, sizes, strict=True)):
        w.copied(start, slot, 0, size)


def _combine(w: Writer, node: Node) -> None:
    """One line for each source; the first one also sets the offsets."""
    entries, offset = node.parameters
    for slot in range(len(node.inputs)):
        rows: dict[int, list[tuple[int, Number]]] = {}
        for row, source, lane, coefficient in entries:
            if source == slot:
                rows.setdefault(row, []).append((lane, coefficient))
        ordered = sorted(rows)
        ends = np.cumsum([0, *(len(rows[row]) for row in ordered)]).tolist()
        lanes = [lane for row in ordered for lane, _ in rows[row]]
        place = w.integers([len(ordered), *ordered, *ends, *lanes])
        at = w.numbers([*(x for row in ordered for _, x in rows[row]), *([*offset, 0] if slot == 0 else [])])
        width = w.program.nodes[node.inputs[slot]].size
        w.write("combine", w.out, w.input(slot), int(slot == 0), node.size, width, place, at)


def _scaled(w: Writer, node: Node) -> None:
    w.write("affine", w.out, w.input(0), 0, node.size, 0, 0, w.numbers(node.parameters))


def _add(w: Writer, node: Node) -> None:
    w.write("affine", w.out, w.input(0), w.input(1), node.size, 1, 0, w.numbers(node.parameters))


def _transpose(w: Writer, node: Node) -> None:
    w.write("transpose", w.out, w.input(0), 0, *w.shape(0))


def _sum(w: Writer, node: Node) -> None:
    w.write("total", w.out, w.input(0), 0, *w.shape(0), node.parameters[0])


def _expand(w: Writer, node: Node) -> None:
    w.write("expand", w.out, w.input(0), 0, *node.shape, node.parameters[0])


def _center(w: Writer, node: Node) -> None:
    w.write("center", w.out, w.input(0), 0, *node.shape)


RULES: dict[str, Callable[[Writer, Node], Any]] = {
    "exp": _exp,
    "tanh": _tanh,
    "sigmoid": _sigmoid,
    "sin": _sin,
    "reciprocal": _reciprocal,
    "power": _power,
    "integral": _integral,
    "gate": _gate,
    "multiply": _multiply,
    "square": _square,
    "matmul": _matmul,
    "matmul_right": _matmul_right,
    "matmul_left": _matmul_left,
    "constant": _constant,
    "shift": _shift,
    "weigh": _weigh,
    "part": _part,
    "reshape": _reshape,
    "join": _join,
    "combine": _combine,
    "scaled": _scaled,
    "add": _add,
    "transpose": _transpose,
    "sum": _sum,
    "expand": _expand,
    "center": _center,
}
