"""The NumPy value of every operation: the plain reading that all others are tested against.

With arrays of objects (fractions, decimals) the same lines compute exactly.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np

from eomsym.errors import InternalError
from eomsym.losses.functions import FUNCTIONS
from eomsym.losses.program import Node, Program
from eomsym.types import Array

__all__ = ["ARITHMETIC", "VALUES", "evaluate", "number", "value_of"]

#: (program, node, values of its inputs) -> the value
Reading: TypeAlias = Callable[..., Any]


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


def _gather(program: Program, node: Node, x: Array) -> Array:
    places = node.parameters[0].array
    found: Array = x.ravel()[np.maximum(places, 0)]
    return np.where(places < 0, x.dtype.type(0) if x.dtype != object else 0, found)


def _scatter(program: Program, node: Node, x: Array) -> Array:
    places = node.parameters[0].array
    out = np.zeros(node.size, dtype=x.dtype)
    np.add.at(out, places[places >= 0], x.ravel()[places >= 0])
    return out


def _matmuls(program: Program, node: Node, a: Array, b: Array) -> Array:
    batch = node.parameters[0]
    result: Array = np.matmul(a.reshape(batch, -1, a.shape[1]), b.reshape(batch, -1, b.shape[1]))
    return result


def _weighted(node: Node, product: Array) -> Array:
    """``weight * product + plus``; both numbers are left out where they are 1 and 0."""
    if not node.parameters:
        return product
    weight, plus = node.parameters if product.dtype == object else map(number, node.parameters)
    return weight * product + plus


def _gate(program: Program, node: Node, g: Array, x: Array) -> Array:
    above, below = (_as_number(weight, g) for weight in node.parameters)
    result: Array = np.where(x > 0, above * g, below * g)
    return result


def _as_number(weight: Any, like: Array) -> Any:
    return weight if like.dtype == object else number(weight)


def _power(program: Program, node: Node, x: Array, reciprocal: Array) -> Array:
    exponent = node.parameters[0]
    return FUNCTIONS["power"].value(x, exponent if x.dtype == object else number(exponent))  # type: ignore[no-any-return]


def _no_value(program: Program, node: Node, *inputs: Array) -> Array:
    raise InternalError(f"a {node.operation} has no value at a single point; run the circuit")


#: Operations that are carried out on constants when a program is built.
ARITHMETIC: dict[str, Reading] = {
    "constant": lambda p, node: p.constants[node.parameters[0]],
    "part": lambda p, node, x: x.ravel()[node.parameters[0] : node.parameters[0] + node.size],
    "join": _join,
    "reshape": lambda p, node, x: x,
    "combine": _combine,
    "scaled": lambda p, node, a: _weight(a, node.parameters[0]),
    "add": _add,
    "shift": lambda p, node, a: a + p.constants[node.parameters[0]],
    "weigh": lambda p, node, a: a * p.constants[node.parameters[0]],
    "matmul_right": lambda p, node, a: a @ p.constants[node.parameters[0]],
    "matmul_left": lambda p, node, a: p.constants[node.parameters[0]] @ a,
    "transpose": lambda p, node, a: a.T,
    "sum": lambda p, node, a: a.sum(axis=node.parameters[0], keepdims=True),
    "expand": lambda p, node, a: np.repeat(a, node.shape[node.parameters[0]], axis=node.parameters[0]),
    "center": lambda p, node, a: a - a.max(axis=0),
    "peak": lambda p, node, a: a.max(axis=node.parameters[0], keepdims=True),
    "stop": lambda p, node, a: a,
    "gather": _gather,
    "scatter": _scatter,
    "multiply": lambda p, node, a, b: a * b,
    "square": lambda p, node, a: _weighted(node, a * a),
    "matmul": lambda p, node, a, b: a @ b,
    "matmuls": _matmuls,
}

#: Values by operation; elementary functions have theirs in their rows.
VALUES: dict[str, Reading] = {
    **ARITHMETIC,
    "power": _power,
    "gate": _gate,
    "filter": _no_value,
    "series": _no_value,
    "correction": _no_value,
}


def value_of(name: str) -> Reading:
    """The value of an operation or of an elementary function."""
    if name in VALUES:
        return VALUES[name]
    row = FUNCTIONS[name]
    return lambda program, node, x: row.value(x)


def evaluate(program: Program, theta: np.ndarray) -> list[np.ndarray]:
    """Value of every node at the parameters `theta`, by NumPy: the plain reading that all others are tested against.

    With an object array the values are exact, as far as the entries know the functions that are called on them.
    """
    if theta.dtype != object:
        program = Program(program.nodes, tuple(c.astype(np.float64) for c in program.constants), program.outputs)
    values: list[np.ndarray] = []
    with np.errstate(all="ignore"):  # what overflows is infinite, and is said by whoever asked
        for node in program.nodes:
            if node.operation == "theta":
                values.append(theta.reshape(-1, 1))
                continue
            value = value_of(node.operation)(program, node, *(values[i] for i in node.inputs))
            values.append(value.reshape(node.shape))
    return values
