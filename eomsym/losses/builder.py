"""Programs under construction: nodes with the arithmetic of arrays on them."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from eomsym.errors import InternalError, ShapeError
from eomsym.losses.program import Entry, Node, Number, Program, exact
from eomsym.losses.values import ARITHMETIC, VALUES

__all__ = ["Builder", "Value"]

#: Constants up to this size are known again when a finished program is taken up.
KEYED = 4096


def _key(array: np.ndarray) -> tuple[Any, ...]:
    """What makes two constant arrays the same."""
    return (array.shape, tuple(array.ravel().tolist()) if array.dtype == object else array.tobytes())


class Value:
    """A node under construction, with the arithmetic of arrays (``+ - * @ .T``) on it.

    Numbers and NumPy arrays may stand on the other side of an operator.
    """

    __slots__ = ("builder", "index")
    #: Makes ``array * value`` call our operator instead of NumPy's elementwise one.
    __array_ufunc__ = None

    def __init__(self, builder: Builder, index: int) -> None:
        self.builder = builder
        self.index = index

    @property
    def shape(self) -> tuple[int, int]:
        return self.builder.nodes[self.index].shape

    @property
    def fixed(self) -> np.ndarray | None:
        """The array, where this node is a constant."""
        node = self.builder.nodes[self.index]
        return self.builder.constants[node.parameters[0]] if node.operation == "constant" else None

    @property
    def T(self) -> Value:
        node = self.builder.nodes[self.index]
        if node.operation == "transpose":
            return Value(self.builder, node.inputs[0])
        return self.builder.apply("transpose", [self], (self.shape[1], self.shape[0]))

    def call(self, name: str) -> Value:
        """An elementary function of this array, by name."""
        return self.builder.elementwise(name, self)

    def squared(self, weight: Number = 1, plus: Number = 0) -> Value:
        """``weight * x**2 + plus``, entry by entry, in one operation."""
        parameters = () if (weight, plus) == (1, 0) else (weight, plus)
        return self.builder.apply("square", [self], self.shape, parameters)

    def power(self, exponent: Number) -> Value:
        """A fixed power, entry by entry."""
        exponent = exact(exponent)
        if exponent == -1:
            return self.call("reciprocal")
        return self.builder.elementwise("power", self, self.call("reciprocal"), parameters=(exponent,))

    def __add__(self, other: Any) -> Value:
        return self.builder.add(self, other, 1, 1)

    __radd__ = __add__

    def __sub__(self, other: Any) -> Value:
        return self.builder.add(self, other, 1, -1)

    def __rsub__(self, other: Any) -> Value:
        return self.builder.add(self, other, -1, 1)

    def __neg__(self) -> Value:
        return self.builder.scaled(self, -1)

    def __mul__(self, other: Any) -> Value:
        return self.builder.multiply(self, other)

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> Value:
        if isinstance(other, Value):
            return self * other.call("reciprocal")
        return self * (1 / exact(other) if not isinstance(exact(other), int) else Fraction(1, other))

    def __rtruediv__(self, other: Any) -> Value:
        return self.builder.multiply(self.call("reciprocal"), other)

    def __matmul__(self, other: Any) -> Value:
        return self.builder.matmul(self, other)

    def __rmatmul__(self, other: Any) -> Value:
        return self.builder.matmul(other, self)


class Builder:
    """Collects nodes. Equal nodes are made once, so the program is a graph, not a tree."""

    def __init__(self, size: int) -> None:
        self.nodes: list[Node] = []
        self.constants: list[np.ndarray] = []
        self._known: dict[Node, int] = {}
        self._constant_keys: dict[tuple[Any, ...], int] = {}
        self.theta = self.apply("theta", [], (size, 1))

    @classmethod
    def continuing(cls, program: Program) -> Builder:
        """A builder that holds the nodes of a finished program and goes on from there."""
        builder = cls.__new__(cls)
        builder.nodes = list(program.nodes)
        builder.constants = list(program.constants)
        builder._known = {node: index for index, node in enumerate(program.nodes)}
        builder._constant_keys = {
            _key(array): index for index, array in enumerate(program.constants) if array.size <= KEYED
        }
        builder.theta = Value(builder, 0)
        return builder

    def apply(
        self,
        operation: str,
        inputs: Sequence[Value],
        shape: tuple[int, int],
        parameters: tuple[Any, ...] = (),
    ) -> Value:
        """The node for one operation; an equal node that exists already is used again, constants are folded."""
        if inputs and all(value.fixed is not None for value in inputs) and operation in ARITHMETIC:
            return self.fold(operation, inputs, shape, parameters)
        node = Node(operation, tuple(value.index for value in inputs), shape, parameters)
        index = self._known.get(node)
        if index is None:
            index = len(self.nodes)
            self.nodes.append(node)
            self._known[node] = index
        return Value(self, index)

    def fold(
        self, operation: str, inputs: Sequence[Value], shape: tuple[int, int], parameters: tuple[Any, ...]
    ) -> Value:
        """The constant that an operation on constants gives."""
        program = Program(tuple(self.nodes), tuple(self.constants), ())
        node = Node(operation, tuple(value.index for value in inputs), shape, parameters)
        arrays = [value.fixed for value in inputs]
        return self.fix(VALUES[operation](program, node, *arrays).reshape(shape))

    def fix(self, array: np.ndarray) -> Value:
        """A constant array as a node."""
        return self.apply("constant", [], (array.shape[0], array.shape[1]), (self.constant(array),))

    def finish(self, outputs: Sequence[Value]) -> Program:
        """The program with these outputs, without unneeded nodes."""
        program = Program(tuple(self.nodes), tuple(self.constants), ())
        return program.pruned([value.index for value in outputs])

    # constants ------------------------------------------------------------------------------------------------

    def constant(self, array: Any) -> int:
        """Index of a constant array (stored once, C-contiguous, float64 unless it holds exact objects)."""
        array = np.asarray(array)
        if array.dtype == object and any(isinstance(entry, float) for entry in array.flat):
            array = array.astype(np.float64)
        if array.dtype != object:
            array = np.ascontiguousarray(array, dtype=np.float64)
        key = _key(array)
        if key not in self._constant_keys:
            self._constant_keys[key] = len(self.constants)
            self.constants.append(array)
        return self._constant_keys[key]

    # arithmetic -----------------------------------------------------------------------------------------------

    def part(self, start: int, shape: tuple[int, int]) -> Value:
        """Entries ``start …`` of the parameter vector as an array of this shape."""
        return self.apply("part", [self.theta], shape, (start,))

    def join(self, pieces: Sequence[tuple[int, Value]], size: int) -> Value:
        """A vector of this size with each piece, row by row, from its start on; zero elsewhere."""
        values = [value for _, value in pieces]
        return self.apply("join", values, (size, 1), tuple(start for start, _ in pieces))

    def combine(self, inputs: Sequence[Value], entries: Sequence[Entry], offset: Sequence[Number]) -> Value:
        """The sparse affine map ``out[row] = offset[row] + sum coefficient * inputs[input].flat[lane]``."""
        shift = [exact(number) for number in offset]
        kept: list[Entry] = []
        place: dict[int, int] = {}
        for row, source, lane, coefficient in entries:
            coefficient = exact(coefficient)
            fixed = inputs[source].fixed
            if fixed is not None:
                shift[row] += coefficient * exact(fixed.flat[lane])
            elif coefficient != 0:
                kept.append((row, place.setdefault(source, len(place)), lane, coefficient))
        if not kept:
            return self.fix(np.array(shift, dtype=object).reshape(-1, 1))
        return self.apply("combine", [inputs[source] for source in place], (len(shift), 1), (tuple(kept), tuple(shift)))

    def scaled(self, value: Value, weight: Number) -> Value:
        weight = exact(weight)
        if weight == 1:
            return value
        node = self.nodes[value.index]
        if node.operation == "scaled":
            return self.scaled(Value(self, node.inputs[0]), node.parameters[0] * weight)
        return self.apply("scaled", [value], value.shape, (weight,))

    def add(self, left: Value, right: Any, left_weight: Number, right_weight: Number) -> Value:
        if isinstance(right, Value) and right.fixed is not None:
            right = right.fixed
        elif isinstance(right, Value) and left.fixed is not None:
            left, right, left_weight, right_weight = right, left.fixed, right_weight, left_weight
        if not isinstance(right, Value):
            array = np.broadcast_to(np.asarray(right), left.shape)
            if abs(right_weight) != 1:
                array, right_weight = (
                    array * (right_weight if array.dtype == object else float(right_weight)),
                    1,
                )
            sign = -1 if right_weight == -1 else 1
            shifted = self.scaled(left, left_weight)
            return self.apply("shift", [shifted], left.shape, (self.constant(sign * array),))
        left, right = self._matched(left, right)
        if left.shape != right.shape:
            raise ShapeError(f"cannot add arrays of shapes {left.shape} and {right.shape}")
        left, left_weight = self._unscaled(left, left_weight)
        right, right_weight = self._unscaled(right, right_weight)
        return self.apply("add", [left, right], left.shape, (left_weight, right_weight))

    def _unscaled(self, value: Value, weight: Number) -> tuple[Value, Number]:
        """Takes a factor out of a node, so that it becomes a weight of the sum that it enters."""
        node = self.nodes[value.index]
        if node.operation == "scaled":
            return Value(self, node.inputs[0]), exact(weight * node.parameters[0])
        return value, exact(weight)

    def _matched(self, left: Value, right: Value) -> tuple[Value, Value]:
        """Two arrays, one of which may be a single number: it is copied to the shape of the other."""
        for one, other in ((left, right), (right, left)):
            if one.shape == (1, 1) != other.shape:
                spread = self.expand(self.expand(one, 0, other.shape[0]), 1, other.shape[1])
                return (spread, other) if one is left else (other, spread)
        return left, right

    def multiply(self, left: Value, right: Any) -> Value:
        if isinstance(right, Value) and right.fixed is not None:
            right = right.fixed
        elif isinstance(right, Value) and left.fixed is not None:
            left, right = right, left.fixed
        if not isinstance(right, Value):
            array = np.broadcast_to(np.asarray(right), left.shape)
            first = array.flat[0]
            if array.strides == (0, 0) or (array == first).all():
                return self.scaled(left, first)
            return self.apply("weigh", [left], left.shape, (self.constant(array),))
        left, right = self._matched(left, right)
        if left.shape != right.shape:
            raise ShapeError(f"cannot multiply arrays of shapes {left.shape} and {right.shape} entry by entry")
        left, left_weight = self._unscaled(left, 1)
        right, right_weight = self._unscaled(right, 1)
        if left.index == right.index:
            product = self.apply("square", [left], left.shape)
        else:
            first, second = sorted([left, right], key=lambda value: value.index)
            product = self.apply("multiply", [first, second], left.shape)
        return self.scaled(product, left_weight * right_weight)

    def matmul(self, left: Any, right: Any) -> Value:
        left = left.fixed if isinstance(left, Value) and left.fixed is not None else left
        right = right.fixed if isinstance(right, Value) and right.fixed is not None else right
        if not isinstance(left, Value) and not isinstance(right, Value):
            return self.fix(np.asarray(left) @ np.asarray(right))
        if isinstance(left, Value) and isinstance(right, Value):
            self._check_inner(left.shape, right.shape)
            return self.apply("matmul", [left, right], (left.shape[0], right.shape[1]))
        if isinstance(left, Value):
            right = np.asarray(right)
            self._check_inner(left.shape, right.shape)
            return self.apply("matmul_right", [left], (left.shape[0], right.shape[1]), (self.constant(right),))
        left = np.asarray(left)
        self._check_inner(left.shape, right.shape)
        return self.apply("matmul_left", [right], (left.shape[0], right.shape[1]), (self.constant(left),))

    @staticmethod
    def _check_inner(left: tuple[int, ...], right: tuple[int, ...]) -> None:
        if len(left) != 2 or len(right) != 2 or left[1] != right[0]:
            raise ShapeError(f"cannot multiply matrices of shapes {left} and {right}: inner sizes differ")

    def sum(self, value: Value, axis: int | None = None) -> Value:
        """Sum along an axis (kept, with length one), or of everything."""
        if axis is None:
            return self.sum(self.sum(value, 0), 1)
        if value.shape[axis] == 1:
            return value
        shape = (1, value.shape[1]) if axis == 0 else (value.shape[0], 1)
        return self.apply("sum", [value], shape, (axis,))

    def expand(self, value: Value, axis: int, count: int) -> Value:
        """Copies along an axis of length one."""
        if value.shape[axis] != 1:
            raise InternalError(f"expand along axis {axis} of shape {value.shape}")
        if count == 1:
            return value
        shape = (count, value.shape[1]) if axis == 0 else (value.shape[0], count)
        return self.apply("expand", [value], shape, (axis,))

    def elementwise(self, operation: str, *inputs: Value, parameters: tuple[Any, ...] = ()) -> Value:
        """An operation whose value has the shape of its inputs."""
        return self.apply(operation, inputs, inputs[0].shape, parameters)
