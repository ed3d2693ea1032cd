"""From a program to its instructions."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from math import factorial
from typing import Any

import numpy as np

from eomsym.errors import InputError
from eomsym.losses.builder import Builder, Value
from eomsym.losses.functions import FUNCTIONS
from eomsym.losses.program import Number, Program, exact
from eomsym.optimisers.base import Method
from eomsym.optimisers.filters import Filter
from eomsym.optimisers.linear import GradientDescent
from eomsym.taylor.circuit import Circuit
from eomsym.taylor.instructions import FULL, SKIP, Instruction, Table
from eomsym.taylor.rules import Writer, taylor

__all__ = ["Plan", "circuit_of", "terms_plan"]


@dataclass(frozen=True, eq=False)
class Plan:
    """Instructions for a program, in order; made by :meth:`of`.

    Attributes
    ----------
    instructions : tuple of Instruction
        Swept degree by degree.
    after : tuple of Instruction
        What the filters of a running optimiser do when a step is done.
    tables : tuple of Table
        Table 0 holds the parameters (and the memories that are kept).
    outputs : tuple of int
        Tables of the program's outputs.
    memories : tuple of int
        Tables of what the filters of a running optimiser remember, in the order of the program.
    clocks : tuple of (int, float)
        Tables of its bias corrections, and the factor by which each step brings them nearer to 0.
    slowest : float
        Largest modulus of the poles of those filters: a step brings what they remember nearer to its value by so much.
    integers : tuple of int
    pieces : tuple of ndarray
        Numbers, one array behind the other: exact ones (object) and data (float64).
    keys : tuple of Filter
        For each row of weights, the filters between the table and the output.
    scratch : tuple of int
        Scratch memory of matrix products: numbers at least, and for each degree.
    factors : tuple of (int, sympy.Expr)
        Places of numbers that depend on eta (of a running optimiser), and their formulas.
    order : int
        Terms 0..order can be computed.
    """

    instructions: tuple[Instruction, ...]
    after: tuple[Instruction, ...]
    tables: tuple[Table, ...]
    outputs: tuple[int, ...]
    memories: tuple[int, ...]
    clocks: tuple[tuple[int, float], ...]
    slowest: float
    integers: tuple[int, ...]
    pieces: tuple[np.ndarray, ...]
    keys: tuple[Filter, ...]
    scratch: tuple[int, int]
    factors: tuple[tuple[int, Any], ...]
    order: int

    @classmethod
    def of(cls, program: Program, order: int = 0, *, flow: bool = False, discrete: bool = False) -> Plan:
        """Lay out tables and write instructions.

        Parameters
        ----------
        program : Program
        order : int
            Terms 0..order can be computed.
        flow : bool
            Whether the first output is minus the velocity of the parameters; else their table is given.
        discrete : bool
            Read filters as recurrences and eta as a number: the running optimiser.
        """
        slopes: dict[int, int] = {}
        if not discrete:
            program, slopes = _with_slopes(program)
        mixes = _mixes(program) if flow else {}
        writer = Writer(program, slopes, order, discrete)
        if flow:
            writer.write_state(program.outputs[0])
        for index, node in enumerate(program.nodes):
            if node.operation != "theta":
                mixed = node.operation == "filter" and mixes.get(node.inputs[0], FULL) != FULL
                writer.write_node(index, node, mixed)
        rows: dict[Filter, int] = {}
        plain = _plain(program)
        made = []
        for line in writer.lines:
            key = mixes.get(line.node, SKIP) if flow else FULL
            if isinstance(key, Filter):
                if line.primitive == "filtered":  # the weights of what it reads
                    key = key * program.nodes[line.node].parameters[0]
                key = rows.setdefault(key, len(rows))
            made.append(replace(line, plain=plain[line.node], mix=key))
        return cls(
            tuple(made),
            tuple(writer.after),
            tuple(writer.tables),
            program.outputs,
            tuple(writer.memories),
            tuple(writer.clocks),
            float(writer.slowest),
            tuple(writer.table),
            tuple(writer.constants) or (np.zeros(1),),
            tuple(rows),
            writer.scratch,
            tuple(writer.factors),
            order,
        )

    @property
    def size(self) -> int:
        """Numbers of the point: parameters, and memories that are kept."""
        return self.tables[0].lanes

    @property
    def lanes(self) -> int:
        """Numbers in one entry of all tables."""
        return sum(table.lanes for table in self.tables)

    def scratch_for(self, order: int) -> int:
        """Numbers of scratch memory that matrix products need."""
        return self.scratch[0] + (order + 1) * self.scratch[1]

    @property
    def numbers(self) -> np.ndarray:
        """All numbers as objects."""
        return np.concatenate([piece.astype(object) for piece in self.pieces])

    def weights(self, order: int) -> list[list[Number]]:
        """For each row of weights, what entry e of degree `order` counts in the last term: ``c_e e!``."""
        found = [[exact(c) * factorial(e) for e, c in enumerate(key.series(order + 1))] for key in self.keys]
        return found or [[0] * (order + 1)]

    @cached_property
    def primitives(self) -> frozenset[str]:
        """Names of the primitives that are used."""
        return frozenset(line.primitive for line in (*self.instructions, *self.after))

    def function(self, line: Instruction) -> str:
        """Name of the function that an instruction ``value`` takes."""
        return list(FUNCTIONS)[self.integers[line.integers]]

    @cached_property
    def functions(self) -> frozenset[str]:
        """Names of the elementary functions that are used."""
        return frozenset(self.function(line) for line in self.instructions if line.primitive == "value")

    @cached_property
    def vector(self) -> bool:
        """Whether functions are taken of arrays so long that sources without branches pay."""
        return any(self.tables[line.out].lanes >= 64 for line in self.instructions if line.primitive == "value")


def _with_slopes(program: Program) -> tuple[Program, dict[int, int]]:
    """The program with the derivative of each function, and which node that is for each of them."""
    builder = Builder.continuing(program)
    slopes: dict[int, int] = {}
    index = 0
    while index < len(builder.nodes):  # derivatives bring functions of their own
        node = builder.nodes[index]
        row = FUNCTIONS.get(node.operation)
        if row is not None and row.rule == "follow":
            slopes[index] = row.derivative(Value(builder, node.inputs[0]), Value(builder, index)).index
        index += 1
    return Program(tuple(builder.nodes), tuple(builder.constants), program.outputs), slopes


def _plain(program: Program) -> list[bool]:
    """For each node, whether the pure powers of eta vanish: they do up to the first filter or factor eta."""
    found: list[bool] = []
    for node in program.nodes:
        made = node.operation not in {"filter", "series"}
        found.append(made and all(found[i] for i in node.inputs))
    return found


def _last_reads(program: Program, index: int) -> list[int]:
    """Inputs whose last degree a node reads: not those that it reads at degree 0, or one degree below."""
    node = program.nodes[index]
    if node.operation in {"power", "gate"}:
        return [node.inputs[0]]
    if node.operation == "series" and taylor(node.parameters[0], 1) == [0]:
        return []
    return list(node.inputs)


def _mixes(program: Program) -> dict[int, Any]:
    """What each node computes at the last degree: the sum that belongs to a filter, or all entries; else nothing.

    A node of which two different sums are wanted gives all entries. So does every node that it is made of, and every
    node that reads one of these, up to the next filter: a filter reads both.
    """
    asked: dict[int, Any] = dict.fromkeys(program.outputs, FULL)
    if len(program.outputs) == 1:
        asked = {program.outputs[0]: Filter([1])}
    before = None
    while before != asked:
        before = dict(asked)
        for index in range(len(program.nodes) - 1, -1, -1):
            if index not in asked:
                continue
            node, reads = program.nodes[index], _last_reads(program, index)
            if node.operation != "filter" and any(asked.get(i) == FULL for i in reads):
                asked[index] = FULL
            key = asked[index]
            if node.operation == "filter" and key != FULL:
                key = key * node.parameters[0]
            for i in reads:
                asked[i] = key if asked.get(i, key) == key else FULL
    return asked


def circuit_of(loss: Any, method: Method | None = None) -> Circuit:
    """The circuit of a method on a loss, on one loss for each batch, or on a program whose last output is a field."""
    losses = list(loss) if isinstance(loss, (list, tuple)) else [loss]
    if not losses:
        raise InputError("expected a loss, or one for each batch, got an empty list")
    programs = [one if isinstance(one, Program) else one.program for one in losses]
    return Circuit(GradientDescent() if method is None else method, programs, getattr(losses[0], "blocks", None))


def terms_plan(loss: Any, order: int, method: Method | None = None) -> Plan:
    """The plan of all counter terms up to an order.

    Parameters
    ----------
    loss : Objective, Program, or a list of them, one for each batch
    order : int
    method : Method, optional
        Gradient descent by default.

    Examples
    --------
    >>> from eomsym.losses.expression import Loss
    >>> [line.primitive for line in terms_plan(Loss("x**4/4", variables="x"), 2).instructions]
    ['state', 'convolve', 'convolve', 'filtered']
    """
    return Plan.of(circuit_of(loss, method).terms(), order, flow=True)
