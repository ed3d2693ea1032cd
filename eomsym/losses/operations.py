"""The table of operations: for each its adjoint and its tangent, beside its NumPy value.

Values stand in :mod:`eomsym.losses.values` under the same name, Taylor rules in :mod:`eomsym.taylor.rules`. Elementary
functions have rows of their own in :mod:`eomsym.losses.functions`; every one of them is an operation.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from eomsym.errors import InternalError
from eomsym.losses.builder import Builder, Value
from eomsym.losses.functions import FUNCTIONS, Function
from eomsym.losses.indices import Indices
from eomsym.losses.program import Node
from eomsym.losses.values import VALUES, value_of
from eomsym.types import Array

__all__ = ["OPERATIONS", "Operation", "operation"]

#: (builder, node, gradient of the output, the output, inputs) -> gradient of each input (None: does not depend on it)
Adjoint = Callable[..., tuple[Value | None, ...]]
#: (builder, node, the output, inputs, tangents of the inputs) -> tangent of the output
Tangent = Callable[..., Value]


@dataclass(frozen=True)
class Operation:
    """One row of the table."""

    value: Callable[..., Array]
    adjoint: Adjoint
    tangent: Tangent


def _row(name: str, adjoint: Adjoint, tangent: Tangent) -> Operation:
    """The row of an operation whose value stands in the table of values."""
    return Operation(VALUES[name], adjoint, tangent)


def _same(builder: Builder, node: Node, output: Value, inputs: list[Value], tangents: list[Value]) -> Value:
    """Tangent of a linear operation: the operation itself."""
    return builder.apply(node.operation, tangents, node.shape, node.parameters)


def _passed_on(builder: Builder, node: Node, output: Value, inputs: list[Value], tangents: list[Value]) -> Value:
    """Tangent of an operation that only adds a constant."""
    return tangents[0]


def _bilinear(builder: Builder, node: Node, output: Value, inputs: list[Value], tangents: list[Value]) -> Value:
    """Product rule."""
    left = builder.apply(node.operation, [tangents[0], inputs[1]], node.shape, node.parameters)
    right = builder.apply(node.operation, [inputs[0], tangents[1]], node.shape, node.parameters)
    return left + right


def _function(value: Callable[..., Array], derivative: Callable[..., Value]) -> Operation:
    """An elementwise function of its first input, from ``derivative(node, output, inputs)``."""

    def adjoint(builder: Builder, node: Node, g: Value, output: Value, *inputs: Value) -> tuple[Value | None, ...]:
        return (g * derivative(node, output, *inputs), *[None] * (len(inputs) - 1))

    def tangent(builder: Builder, node: Node, output: Value, inputs: list[Value], tangents: list[Value]) -> Value:
        return derivative(node, output, *inputs) * tangents[0]

    return Operation(value, adjoint, tangent)


# linear maps --------------------------------------------------------------------------------------------------------


def _combine_adjoint(builder: Builder, node: Node, g: Value, output: Value, *inputs: Value) -> tuple[Value, ...]:
    entries, _ = node.parameters
    results = []
    for number_of_input, value in enumerate(inputs):
        size = value.shape[0] * value.shape[1]
        turned = [(lane, 0, row, c) for row, source, lane, c in entries if source == number_of_input]
        back = builder.combine([g], turned, [0] * size)
        results.append(_reshaped(builder, back, value.shape))
    return tuple(results)


def _combine_tangent(builder: Builder, node: Node, output: Value, inputs: list[Value], tangents: list[Value]) -> Value:
    return builder.combine(tangents, node.parameters[0], [0] * node.shape[0])


def _reshaped(builder: Builder, value: Value, shape: tuple[int, int]) -> Value:
    if value.shape == shape:
        return value
    return builder.apply("reshape", [value], shape)


def _part_adjoint(builder: Builder, node: Node, g: Value, output: Value, theta: Value) -> tuple[Value, ...]:
    return (builder.join([(node.parameters[0], g)], theta.shape[0]),)


def _join_adjoint(builder: Builder, node: Node, g: Value, output: Value, *pieces: Value) -> tuple[Value, ...]:
    return tuple(
        builder.apply("part", [g], piece.shape, (start,)) for start, piece in zip(node.parameters, pieces, strict=True)
    )


def _matmul_adjoint(builder: Builder, node: Node, g: Value, output: Value, a: Value, b: Value) -> tuple[Value, ...]:
    return (g @ b.T, a.T @ g)


def _constant_tangent(builder: Builder, node: Node, output: Value, inputs: list[Value], tangents: list[Value]) -> Value:
    return builder.fix(np.full(node.shape, 0, dtype=object))


def _gather_adjoint(builder: Builder, node: Node, g: Value, output: Value, x: Value) -> tuple[Value, ...]:
    places: Indices = node.parameters[0]
    turned = places.inverse(x.shape[0] * x.shape[1])
    if turned is not None:  # a permutation: read instead of added up
        return (builder.apply("gather", [g], x.shape, (turned,)),)
    return (builder.apply("scatter", [g], x.shape, node.parameters),)


def swapped(builder: Builder, value: Value, batch: int) -> Value:
    """Each of `batch` matrices, one below the other, transposed."""
    rows, columns = value.shape[0] // batch, value.shape[1]
    if batch == 1:
        return value.T
    places = np.arange(batch * rows * columns).reshape(batch, rows, columns).transpose(0, 2, 1)
    return builder.apply("gather", [value], (batch * columns, rows), (Indices(places),))


def _matmuls_adjoint(builder: Builder, node: Node, g: Value, output: Value, a: Value, b: Value) -> tuple[Value, ...]:
    batch = node.parameters[0]
    return (
        builder.apply("matmuls", [g, swapped(builder, b, batch)], a.shape, node.parameters),
        builder.apply("matmuls", [swapped(builder, a, batch), g], b.shape, node.parameters),
    )


LINEAR: dict[str, Operation] = {
    "constant": _row("constant", lambda b, node, g, y: (), _constant_tangent),
    "part": _row("part", _part_adjoint, _same),
    "join": _row("join", _join_adjoint, _same),
    "reshape": _row("reshape", lambda b, node, g, y, x: (_reshaped(b, g, x.shape),), _same),
    "combine": _row("combine", _combine_adjoint, _combine_tangent),
    "scaled": _row("scaled", lambda b, node, g, y, a: (b.scaled(g, node.parameters[0]),), _same),
    "add": _row("add", lambda b, node, g, y, *_: tuple(b.scaled(g, weight) for weight in node.parameters), _same),
    "shift": _row("shift", lambda b, node, g, y, a: (g,), _passed_on),
    "weigh": _row("weigh", lambda b, node, g, y, a: (b.apply("weigh", [g], node.shape, node.parameters),), _same),
    "matmul_right": _row(
        "matmul_right",
        lambda b, node, g, y, a: (g @ b.constants[node.parameters[0]].T,),
        _same,
    ),
    "matmul_left": _row(
        "matmul_left",
        lambda b, node, g, y, a: (b.constants[node.parameters[0]].T @ g,),
        _same,
    ),
    "transpose": _row("transpose", lambda b, node, g, y, a: (g.T,), _same),
    "sum": _row(
        "sum",
        lambda b, node, g, y, a: (b.expand(g, node.parameters[0], a.shape[node.parameters[0]]),),
        _same,
    ),
    "expand": _row(
        "expand",
        lambda b, node, g, y, a: (b.sum(g, node.parameters[0]),),
        _same,
    ),
    # Subtracts the largest entry of each column, held constant: for use inside expressions that do not
    # change when a constant is added to a column (softmax, log-sum-exp), whose exponentials then cannot overflow.
    "center": _row("center", lambda b, node, g, y, a: (g,), _passed_on),
    # The largest entry along an axis, held constant, for the same use.
    "peak": _row("peak", lambda b, node, g, y, a: (None,), _constant_tangent),
    # What a gradient does not see (`stop_gradient`, `detach`); it moves with the parameters all the same.
    "stop": _row("stop", lambda b, node, g, y, a: (None,), _same),
    # Entries of the input by their places, zero where the place is -1; and its adjoint.
    "gather": _row("gather", _gather_adjoint, _same),
    "scatter": _row("scatter", lambda b, node, g, y, a: (b.apply("gather", [g], a.shape, node.parameters),), _same),
}


PRODUCTS: dict[str, Operation] = {
    "multiply": _row("multiply", lambda _, node, g, y, a, b: (g * b, g * a), _bilinear),
    # parameters: weight and plus of ``weight a² + plus``
    "square": _row(
        "square",
        lambda _, node, g, y, a: (g * a * (2 * (node.parameters or (1,))[0]),),
        lambda _, node, y, inputs, tangents: inputs[0] * tangents[0] * (2 * (node.parameters or (1,))[0]),
    ),
    "matmul": _row("matmul", _matmul_adjoint, _bilinear),
    # parameter: how many products of matrices that lie one below the other
    "matmuls": _row("matmuls", _matmuls_adjoint, _bilinear),
}


# elementwise ------------------------------------------------------------------------------------------------------


def _gate_adjoint(builder: Builder, node: Node, up: Value, y: Value, g: Value, x: Value) -> tuple[Value | None, ...]:
    return (builder.apply("gate", [up, x], node.shape, node.parameters), None)


def _gate_tangent(builder: Builder, node: Node, y: Value, inputs: list[Value], tangents: list[Value]) -> Value:
    return builder.apply("gate", [tangents[0], inputs[1]], node.shape, node.parameters)


def _of_row(row: Function) -> Operation:
    """The operation of an elementary function."""
    return _function(value_of(row.name), lambda node, y, x: row.derivative(x, y))


ELEMENTWISE: dict[str, Operation] = {
    # inputs: x and 1/x
    "power": _function(VALUES["power"], lambda node, y, x, r: y * r * node.parameters[0]),
    # inputs: what passes, and what decides
    "gate": _row("gate", _gate_adjoint, _gate_tangent),
}

# elements of a circuit --------------------------------------------------------------------------------------------


def _no_adjoint(*_: Any) -> tuple[Value, ...]:
    raise InternalError("a circuit has no adjoint: its outputs are not a loss")


#: Both are linear in what they read. A filter reads earlier steps, a series multiplies by powers of eta.
CIRCUIT: dict[str, Operation] = {
    "filter": _row("filter", _no_adjoint, _same),
    "series": _row("series", _no_adjoint, _same),
    "correction": _row("correction", _no_adjoint, _constant_tangent),
}

OPERATIONS: dict[str, Operation] = {**LINEAR, **PRODUCTS, **ELEMENTWISE, **CIRCUIT}


def operation(name: str) -> Operation:
    """The row of an operation or of an elementary function."""
    if name not in OPERATIONS:
        OPERATIONS[name] = _of_row(FUNCTIONS[name])
    return OPERATIONS[name]
