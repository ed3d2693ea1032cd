"""The table of operations: for each its NumPy value, its adjoint and its tangent.

The Taylor rule of each operation stands in :mod:`eomsym.taylor.rules` under the same name. To add an elementwise
function whose derivative can be built from functions that exist, one row in `PRIMITIVES` is enough: the rule
``integral`` serves them all.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from eomsym.losses.program import Builder, Node, Program, Value

__all__ = ["OPERATIONS", "PRIMITIVES", "Operation", "Primitive"]

Array = np.ndarray
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


def number(coefficient: Any) -> float:
    """The double nearest to an exact number."""
    try:
        return float(coefficient)
    except OverflowError:
        return float("inf") if coefficient > 0 else float("-inf")


def _combine(program: Program, node: Node, *inputs: Array) -> Array:
    entries, offset = node.parameters
    kind: Any = object if any(a.dtype == object for a in inputs) else np.float64
    out = np.array([c if kind is object else number(c) for c in offset], dtype=kind)
    for row, source, lane, coefficient in entries:
        out[row] = out[row] + (coefficient if kind is object else number(coefficient)) * inputs[source].flat[lane]
    return out


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


def _weight(array: Array, weight: Any) -> Array:
    result: Array = array * (weight if array.dtype == object else number(weight))
    return result


def _add(program: Program, node: Node, a: Array, b: Array) -> Array:
    result: Array = _weight(a, node.parameters[0]) + _weight(b, node.parameters[1])
    return result


def _join(program: Program, node: Node, *pieces: Array) -> Array:
    out = np.zeros(node.size, dtype=pieces[0].dtype if pieces else np.float64)
    for start, piece in zip(node.parameters, pieces, strict=True):
        out[start : start + piece.size] += piece.ravel()
    return out


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


LINEAR: dict[str, Operation] = {
    "constant": Operation(lambda p, node: p.constants[node.parameters[0]], lambda b, node, g, y: (), _constant_tangent),
    "part": Operation(
        lambda p, node, x: x.ravel()[node.parameters[0] : node.parameters[0] + node.size],
        _part_adjoint,
        _same,
    ),
    "join": Operation(_join, _join_adjoint, _same),
    "reshape": Operation(lambda p, node, x: x, lambda b, node, g, y, x: (_reshaped(b, g, x.shape),), _same),
    "combine": Operation(_combine, _combine_adjoint, _combine_tangent),
    "scaled": Operation(
        lambda p, node, a: _weight(a, node.parameters[0]),
        lambda b, node, g, y, a: (b.scaled(g, node.parameters[0]),),
        _same,
    ),
    "add": Operation(_add, lambda b, node, g, y, *_: tuple(b.scaled(g, weight) for weight in node.parameters), _same),
    "shift": Operation(
        lambda p, node, a: a + p.constants[node.parameters[0]], lambda b, node, g, y, a: (g,), _passed_on
    ),
    "weigh": Operation(
        lambda p, node, a: a * p.constants[node.parameters[0]],
        lambda b, node, g, y, a: (b.apply("weigh", [g], node.shape, node.parameters),),
        _same,
    ),
    "matmul_right": Operation(
        lambda p, node, a: a @ p.constants[node.parameters[0]],
        lambda b, node, g, y, a: (g @ b.constants[node.parameters[0]].T,),
        _same,
    ),
    "matmul_left": Operation(
        lambda p, node, a: p.constants[node.parameters[0]] @ a,
        lambda b, node, g, y, a: (b.constants[node.parameters[0]].T @ g,),
        _same,
    ),
    "transpose": Operation(lambda p, node, a: a.T, lambda b, node, g, y, a: (g.T,), _same),
    "sum": Operation(
        lambda p, node, a: a.sum(axis=node.parameters[0], keepdims=True),
        lambda b, node, g, y, a: (b.expand(g, node.parameters[0], a.shape[node.parameters[0]]),),
        _same,
    ),
    "expand": Operation(
        lambda p, node, a: np.repeat(a, node.shape[node.parameters[0]], axis=node.parameters[0]),
        lambda b, node, g, y, a: (b.sum(g, node.parameters[0]),),
        _same,
    ),
    # Subtracts the largest entry of each column, held constant: for use inside expressions that do not
    # change when a constant is added to a column (softmax, log-sum-exp), whose exponentials then cannot overflow.
    "center": Operation(lambda p, node, a: a - a.max(axis=0), lambda b, node, g, y, a: (g,), _passed_on),
}

PRODUCTS: dict[str, Operation] = {
    "multiply": Operation(lambda p, node, a, b: a * b, lambda _, node, g, y, a, b: (g * b, g * a), _bilinear),
    "square": Operation(
        lambda p, node, a: a * a,
        lambda _, node, g, y, a: (g * a * 2,),
        lambda _, node, y, inputs, tangents: inputs[0] * tangents[0] * 2,
    ),
    "matmul": Operation(lambda p, node, a, b: a @ b, _matmul_adjoint, _bilinear),
}


# elementwise functions ----------------------------------------------------------------------------------------------


#: Second outputs that the Taylor rule of a function computes anyway: the value from (x, y), and its derivative.
COMPANIONS: dict[str, tuple[Callable[[Array, Array], Array], Callable[[Value, Value], Value]]] = {
    "tanh": (lambda x, y: 1 - y * y, lambda y, w: y * w * -2),
    "sigmoid": (lambda x, y: y * (1 - y), lambda y, w: w - w * y * 2),
    "sin": (lambda x, y: np.cos(x), lambda y, w: -y),
}


def _companion(program: Program, node: Node, x: Array, parent: Array) -> Array:
    value, _ = COMPANIONS[program.nodes[node.inputs[1]].operation]
    result: Array = value(x, parent)
    return result


def _companion_slope(node: Node, w: Value, x: Value, parent: Value) -> Value:
    _, slope = COMPANIONS[w.builder.nodes[parent.index].operation]
    return slope(parent, w)


def _gate(program: Program, node: Node, g: Array, x: Array) -> Array:
    above, below = (_as_number(weight, g) for weight in node.parameters)
    result: Array = np.where(x > 0, above * g, below * g)
    return result


def _as_number(weight: Any, like: Array) -> Any:
    return weight if like.dtype == object else number(weight)


def _gate_adjoint(builder: Builder, node: Node, up: Value, y: Value, g: Value, x: Value) -> tuple[Value | None, ...]:
    return (builder.apply("gate", [up, x], node.shape, node.parameters), None)


def _gate_tangent(builder: Builder, node: Node, y: Value, inputs: list[Value], tangents: list[Value]) -> Value:
    return builder.apply("gate", [tangents[0], inputs[1]], node.shape, node.parameters)


def _power(program: Program, node: Node, x: Array, reciprocal: Array) -> Array:
    exponent = node.parameters[0]
    result: Array = x ** (exponent if x.dtype == object else number(exponent))
    return result


@dataclass(frozen=True)
class Primitive:
    """A function that is known through its derivative: its NumPy value, and the derivative as a value of x."""

    value: Callable[[Array], Array]
    derivative: Callable[[Builder, Value], Value]


def _reciprocal(builder: Builder, x: Value) -> Value:
    return builder.elementwise("reciprocal", x)


def _gaussian(builder: Builder, x: Value) -> Value:
    return builder.scaled(builder.elementwise("exp", -(x * x)), 2 / np.sqrt(np.pi))


def _erf(x: Array) -> Array:
    from scipy.special import erf  # here, because it is slow to import and rarely needed

    return np.asarray(erf(x))


def _softplus(x: Array) -> Array:
    result: Array = np.logaddexp(x, 0)
    return result


#: Functions integrated from their derivative by the one rule ``integral``.
PRIMITIVES: dict[str, Primitive] = {
    "log": Primitive(np.log, _reciprocal),
    "softplus": Primitive(_softplus, lambda b, x: b.elementwise("sigmoid", x)),
    "erf": Primitive(_erf, _gaussian),
    "atan": Primitive(np.arctan, lambda b, x: _reciprocal(b, x * x + 1)),
}


def _integral(program: Program, node: Node, x: Array, derivative: Array) -> Array:
    return PRIMITIVES[node.parameters[0]].value(x)


FUNCTIONS: dict[str, Operation] = {
    "exp": _function(lambda p, node, x: np.exp(x), lambda node, y, x: y),
    "tanh": _function(lambda p, node, x: np.tanh(x), lambda node, y, x: y.companion),
    "sigmoid": _function(lambda p, node, x: 1 / (1 + np.exp(-x)), lambda node, y, x: y.companion),
    "sin": _function(lambda p, node, x: np.sin(x), lambda node, y, x: y.companion),
    "reciprocal": _function(lambda p, node, x: 1 / x, lambda node, y, x: -(y * y)),
    # inputs: x and 1/x
    "power": _function(_power, lambda node, y, x, r: y * r * node.parameters[0]),
    # inputs: x and the derivative at x
    "integral": _function(_integral, lambda node, y, x, w: w),
    # inputs: x and the function of x whose second output this is
    "companion": _function(_companion, _companion_slope),
    # inputs: what passes, and what decides
    "gate": Operation(_gate, _gate_adjoint, _gate_tangent),
}

OPERATIONS: dict[str, Operation] = {**LINEAR, **PRODUCTS, **FUNCTIONS}
