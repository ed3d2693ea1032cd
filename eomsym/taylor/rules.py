"""One Taylor rule for each operation: which primitives it consists of.

A rule is a function of a :class:`Writer` and a node. It writes one line, or a few, each a primitive of
:mod:`eomsym.taylor.primitives` with its tables, integers and numbers. Numbers are exact. Elementary functions share the
rules at the end; which one is theirs stands in their row.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import sympy

from eomsym.errors import ExpressionError
from eomsym.losses.functions import FUNCTIONS
from eomsym.losses.program import Node, Number, Program, exact
from eomsym.taylor.instructions import Instruction, Table

__all__ = ["RULES", "Writer", "taylor", "variable"]


class Writer:
    """Lays out the tables of a program and collects lines.

    Attributes
    ----------
    lines, after : list of Instruction
        What is swept, and what a discrete run does when a step is done.
    table : list of int
        Integers of the lines.
    constants : list of arrays
        Numbers of the lines.
    """

    def __init__(self, program: Program, slopes: dict[int, int], order: int, discrete: bool) -> None:
        self.program, self.slopes, self.order, self.discrete = program, slopes, order, discrete
        self.lines: list[Instruction] = []
        self.after: list[Instruction] = []
        self.table: list[int] = [0]
        self.constants: list[np.ndarray] = []
        self.memories: list[int] = []
        self.slowest = 0.0
        self.clocks: list[tuple[int, float]] = []
        self.factors: list[tuple[int, Any]] = []
        self.scratch = (0, 0)
        self._end_of_constants = 0
        self._constant_places: dict[int, int] = {}
        self.tables: list[Table] = []
        for node in program.nodes:
            self.new_table(node.shape)

    def new_table(self, shape: tuple[int, int]) -> int:
        """The number of one more table."""
        start = self.tables[-1].start + self.tables[-1].lanes if self.tables else 0
        self.tables.append(Table(start, shape))
        return len(self.tables) - 1

    def write_state(self, velocity: int) -> None:
        """The line that continues the flow of the parameters."""
        self.index, self.node = 0, self.program.nodes[0]
        self.write("state", velocity, comment=f"v0 = parameters, their velocity is -v{velocity}")

    def write_node(self, index: int, node: Node, mixed_input: bool) -> None:
        """The lines of one node."""
        self.index, self.node, self.mixed_input = index, node, mixed_input
        row = FUNCTIONS.get(node.operation)
        if row is not None:
            _FUNCTION_RULES[row.rule](self, node)
        elif self.discrete and node.operation in DISCRETE:
            DISCRETE[node.operation](self, node)
        else:
            RULES[node.operation](self, node)

    # what rules use -----------------------------------------------------------------------------------------------

    def input(self, slot: int) -> int:
        return self.node.inputs[slot]

    def shape(self, slot: int) -> tuple[int, int]:
        return self.program.nodes[self.node.inputs[slot]].shape

    def write(
        self,
        primitive: str,
        x: int | None = None,
        y: int | None = None,
        integers: Sequence[int] = (),
        numbers: int | Sequence[Number] = (),
        *,
        out: int | None = None,
        comment: str = "",
        after: bool = False,
    ) -> None:
        """Write a line; `numbers` may be a place among the constants already."""
        out = self.index if out is None else out
        at = numbers if isinstance(numbers, int) else self.numbers(numbers) if len(numbers) else 0
        inputs = ", ".join(f"v{i}" for i in self.node.inputs)
        rows, columns = self.node.shape
        told = comment or f"v{self.index} = {self.node.operation}({inputs}), {rows} x {columns}"
        line = Instruction(
            self.index, primitive, out, out if x is None else x, out if y is None else y, self.place(integers), at, told
        )
        (self.after if after else self.lines).append(line)

    def place(self, integers: Sequence[int]) -> int:
        """Place of some integers in the table."""
        if not integers:
            return 0
        self.table += integers
        return len(self.table) - len(integers)

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

    def _placed(self, piece: np.ndarray) -> int:
        self.constants.append(piece)
        self._end_of_constants += piece.size
        return self._end_of_constants - piece.size

    # lines that several rules share -------------------------------------------------------------------------------

    def product(self, x: int, y: int, weight: Number = 1, plus: Number = 0) -> None:
        self.write("convolve", x, y, [0, 0, int(x == y)], [weight, 0, 0, plus])

    def value(self, exponent: Number = 0) -> None:
        """Degree 0 of a function."""
        number = list(FUNCTIONS).index(self.node.operation)
        self.write("value", self.input(0), None, [number], [exponent])

    def copied(self, start: int, slot: int, skip: int, count: int) -> None:
        self.write("copy", self.input(slot), None, [start, skip, count])


# products -----------------------------------------------------------------------------------------------------------


def _multiply(w: Writer, node: Node) -> None:
    w.product(w.input(0), w.input(1))


def _square(w: Writer, node: Node) -> None:
    w.product(w.input(0), w.input(0), *node.parameters)


def _matmul(w: Writer, node: Node) -> None:
    rows, inner = w.shape(0)
    w.scratch = (max(w.scratch[0], inner * node.shape[1]), max(w.scratch[1], node.size))
    w.write("matmul", w.input(0), w.input(1), [rows, inner, node.shape[1]])


def _matmuls(w: Writer, node: Node) -> None:
    (batch,) = node.parameters
    rows, inner = w.shape(0)[0] // batch, w.shape(0)[1]
    w.scratch = (max(w.scratch[0], inner * node.shape[1]), max(w.scratch[1], node.size))
    w.write("matmuls", w.input(0), w.input(1), [rows, inner, node.shape[1], batch])


def _matmul_right(w: Writer, node: Node) -> None:
    w.write("matmul_right", w.input(0), None, [*w.shape(0), node.shape[1]], w.constant(node.parameters[0]))


def _matmul_left(w: Writer, node: Node) -> None:
    inner, columns = w.shape(0)
    w.write("matmul_left", w.input(0), None, [node.shape[0], inner, columns], w.constant(node.parameters[0]))


# linear maps --------------------------------------------------------------------------------------------------------


def _array(mode: int) -> Callable[[Writer, Node], None]:
    def rule(w: Writer, node: Node) -> None:
        w.write("array", w.input(0) if mode else None, None, [mode], w.constant(node.parameters[0]))

    return rule


def _join(w: Writer, node: Node) -> None:
    sizes = [w.program.nodes[i].size for i in node.inputs]
    if sum(sizes) < node.size:
        w.write("clear")
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
        integers = [int(slot == 0), len(ordered), *ordered, *ends, *lanes]
        numbers = [*(x for row in ordered for _, x in rows[row]), *([*offset, 0] if slot == 0 else [])]
        w.write("combine", w.input(slot), None, integers, numbers)


def _scaled(w: Writer, node: Node) -> None:
    w.write("affine", w.input(0), None, [0], node.parameters)


def _add(w: Writer, node: Node) -> None:
    w.write("affine", w.input(0), w.input(1), [1], node.parameters)


def _gate(w: Writer, node: Node) -> None:
    w.write("gate", w.input(0), w.input(1), (), node.parameters)


# circuits -----------------------------------------------------------------------------------------------------------


def _filter(w: Writer, node: Node) -> None:
    w.write(
        "filtered", w.input(0), None, [int(w.mixed_input)], [exact(c) for c in node.parameters[0].series(w.order + 1)]
    )


def _series(w: Writer, node: Node) -> None:
    (factor,) = node.parameters
    coefficients = taylor(factor, w.order + 1)
    last = max((k for k, c in enumerate(coefficients) if c != 0), default=0)
    w.write("series", w.input(0), None, [last], [exact(c) for c in coefficients])


def taylor(factor: Any, count: int) -> list[Any]:
    """Taylor coefficients at 0 of a function of eta."""
    return list(_taylor(factor, count))


@lru_cache(maxsize=256)
def _taylor(factor: Any, count: int) -> tuple[Any, ...]:
    eta = variable(factor)
    whole = [x for x in factor.atoms(sympy.log, sympy.Pow) if x.is_number and not x.is_rational]
    named = {x: sympy.Dummy() for x in whole}  # log(9/10) would else fall apart into many terms that cancel
    values = {name: x for x, name in named.items()}
    factor = factor.xreplace(named)
    if factor.is_polynomial(eta):
        found = sympy.Poly(factor, eta).all_coeffs()[::-1][:count]
    else:
        expansion = sympy.series(factor, eta, 0, count).removeO().expand()
        found = [expansion.coeff(eta, k) for k in range(count)]
        if sympy.expand(expansion - sum(c * eta**k for k, c in enumerate(found))) != 0:
            raise ExpressionError(f"the factor {factor.xreplace(values)} has no Taylor series in eta at 0")
    return (*(c.xreplace(values) for c in found), *([sympy.S.Zero] * (count - len(found))))


def variable(factor: Any) -> Any:
    """The symbol that stands for eta in a factor."""
    return next(s for s in factor.free_symbols if s.name == "eta")


def _correction(w: Writer, node: Node) -> None:
    w.write("array", None, None, [0], [1])


RULES: dict[str, Callable[[Writer, Node], None]] = {
    "multiply": _multiply,
    "square": _square,
    "matmul": _matmul,
    "matmuls": _matmuls,
    "matmul_right": _matmul_right,
    "matmul_left": _matmul_left,
    "constant": _array(0),
    "shift": _array(1),
    "weigh": _array(2),
    "part": lambda w, node: w.copied(0, 0, node.parameters[0], node.size),
    "reshape": lambda w, node: w.copied(0, 0, 0, node.size),
    "join": _join,
    "combine": _combine,
    "scaled": _scaled,
    "add": _add,
    "transpose": lambda w, node: w.write("transpose", w.input(0), None, w.shape(0)),
    "sum": lambda w, node: w.write("total", w.input(0), None, [*w.shape(0), node.parameters[0]]),
    "expand": lambda w, node: w.write("expand", w.input(0), None, [*node.shape, node.parameters[0]]),
    "center": lambda w, node: w.write("center", w.input(0), None, node.shape),
    "peak": lambda w, node: w.write("peak", w.input(0), None, [*w.shape(0), node.parameters[0]]),
    "stop": lambda w, node: w.copied(0, 0, 0, node.size),
    "gather": lambda w, node: w.write("gather", w.input(0), None, [0, *node.parameters[0].array.tolist()]),
    "scatter": lambda w, node: w.write("gather", w.input(0), None, [1, *node.parameters[0].array.tolist()]),
    "gate": _gate,
    "filter": _filter,
    "series": _series,
    "correction": _correction,
}


# functions ----------------------------------------------------------------------------------------------------------


def _follow(w: Writer, node: Node) -> None:
    """``D y = w D x``: degree d of y from degrees below d of its derivative w, which may stand later in the list."""
    w.value()
    if w.index in w.slopes:
        w.write("convolve", w.input(0), w.slopes[w.index], [1, 1, 0], [0, 1, 0, 0])


def _reciprocal(w: Writer, node: Node) -> None:
    """From ``x y = 1``: ``y_d = -y_0 sum_(k>0) x_k y_(d-k)``."""
    w.value()
    w.write("convolve", w.input(0), w.index, [1, 0, 0], [-1, 0, 0, 0])
    w.write("times_first", w.index)


def _power(w: Writer, node: Node) -> None:
    """From ``x Dy = p y Dx``: ``d x_0 y_d = sum_(k>0) (p k - (d - k)) x_k y_(d-k)``; the second input is 1/x."""
    exponent = node.parameters[0]
    w.value(exponent)
    w.write("convolve", w.input(0), w.index, [1, 1, 0], [0, exponent + 1, -1, 0])
    w.write("times_first", w.input(1))


_FUNCTION_RULES: dict[str, Callable[[Writer, Node], None]] = {
    "follow": _follow,
    "reciprocal": _reciprocal,
    "power": _power,
}


# the running optimiser ----------------------------------------------------------------------------------------------


def _recurrence(w: Writer, node: Node) -> None:
    chosen = node.parameters[0]
    above, below = chosen.coefficients()
    memory = w.new_table((chosen.taps * node.size, 1))
    w.memories.append(memory)
    w.slowest = max([w.slowest, *map(abs, np.roots([float(b) for b in below]))])
    at = w.numbers([*map(exact, above), *map(exact, below)])
    w.write("recur", w.input(0), memory, [chosen.taps], at)
    w.write("remember", w.input(0), memory, [chosen.taps], at, after=True)


def _factor(w: Writer, node: Node) -> None:
    at = w.numbers([0])
    w.factors.append((at, node.parameters[0]))
    w.write("affine", w.input(0), None, [0], at)


def _corrected(w: Writer, node: Node) -> None:
    memory = w.new_table((1, 1))
    rate = exact(node.parameters[0])
    w.clocks.append((memory, float(rate)))
    at = w.numbers([rate])
    w.write("correct", None, memory, (), at)
    w.write("wait", None, memory, (), at, after=True)


DISCRETE: dict[str, Callable[[Writer, Node], None]] = {
    "filter": _recurrence,
    "series": _factor,
    "correction": _corrected,
}
