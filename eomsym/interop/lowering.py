"""What the front ends share: operations of frameworks on tensors and constants."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from eomsym.errors import ExpressionError
from eomsym.losses.builder import Builder
from eomsym.losses.contraction import contract, windows
from eomsym.losses.objective import Block
from eomsym.losses.program import Program
from eomsym.losses.tensors import Array, Tensor

__all__ = [
    "Decision",
    "add",
    "constant_tensor",
    "convolved",
    "divide",
    "entry_value",
    "integer_power",
    "larger",
    "multiplied",
    "multiply",
    "pooled",
    "power",
    "scalar_program",
    "subtract",
    "where",
]


@dataclass(frozen=True, eq=False)
class Decision:
    """A truth value that depends on the parameters: true where a tensor is positive."""

    tensor: Tensor

    @property
    def shape(self) -> tuple[int, ...]:
        """As that of the tensor."""
        return self.tensor.shape

    def inverted(self) -> Decision:
        """Its opposite."""
        return Decision(-self.tensor)


def entry_value(builder: Builder, block: Block) -> Tensor:
    """A block of the parameters as a tensor."""
    rows = block.shape[0] if block.shape else 1
    return Tensor.of(builder.part(block.start, (rows, block.size // rows)), block.shape)


def add(x: Array, y: Array) -> Array:
    """Sum."""
    return x + y if isinstance(x, Tensor) else y + x


def subtract(x: Array, y: Array) -> Array:
    """Difference."""
    return x - y if isinstance(x, Tensor) else -y + x


def multiply(x: Array, y: Array) -> Array:
    """Product."""
    return x * y if isinstance(x, Tensor) else y * x


def divide(x: Array, y: Array) -> Array:
    """Quotient."""
    if not isinstance(y, Tensor):
        return x * (1 / np.asarray(y, dtype=np.float64))
    return y.reciprocal() * x


def where(builder: Builder, chosen: Any, above: Array, below: Array) -> Array:
    """`above` where the first is true, `below` elsewhere."""
    if isinstance(chosen, Decision):
        if not isinstance(above, Tensor) and not isinstance(below, Tensor):
            apart: Array = constant_tensor(builder, np.broadcast_to(np.asarray(above) - below, chosen.shape))
        else:
            apart = above - below if isinstance(above, Tensor) else -(below - above)
        assert isinstance(apart, Tensor)
        return apart.broadcast(chosen.shape).gate(chosen.tensor) + below
    mask = np.asarray(chosen, dtype=bool)
    if mask.all() or not mask.any():
        only = above if mask.all() else below
        shape = np.broadcast_shapes(mask.shape, above.shape, below.shape)
        return only.broadcast(shape) if isinstance(only, Tensor) else np.broadcast_to(only, shape)
    if not isinstance(above, Tensor) and not isinstance(below, Tensor):
        return np.where(mask, above, below)
    parts = []
    for array, here in ((above, mask), (below, ~mask)):
        parts.append(array * here.astype(np.float64) if isinstance(array, Tensor) else np.where(here, array, 0.0))
    left, right = parts
    return left + right if isinstance(left, Tensor) else right + left


def constant_tensor(builder: Builder, array: np.ndarray) -> Tensor:
    """A constant as a tensor."""
    whole = np.ascontiguousarray(array, dtype=np.float64)
    rows = whole.shape[0] if whole.ndim else 1
    return Tensor.of(builder.fix(whole.reshape(rows, -1)), np.shape(array))  # `whole` has an axis at least


def larger(builder: Builder, left: Array, right: Array, sign: int) -> Array:
    """The larger (sign 1) or smaller (-1) of two arrays, entry by entry, by a gate."""
    if not isinstance(left, Tensor):
        left, right = right, left
    assert isinstance(left, Tensor)
    if not isinstance(right, Tensor):
        bound = np.asarray(right, dtype=np.float64)
        if (bound * sign == -np.inf).all():
            return left.broadcast(np.broadcast_shapes(left.shape, bound.shape))
        if (bound == 0).all():
            left = left.broadcast(np.broadcast_shapes(left.shape, bound.shape))
            return left.gate(left, *((1, 0) if sign == 1 else (0, 1)))
    apart = left - right
    return apart.gate(apart, *((1, 0) if sign == 1 else (0, 1))) + right


def scalar_program(builder: Builder, tensor: Tensor) -> Program:
    """The program of a tensor of one entry."""
    return builder.finish([tensor.matrix((), ())])


def integer_power(x: Tensor, exponent: int) -> Array:
    """By repeated squaring."""
    if exponent < 0:
        return integer_power(x.reciprocal(), -exponent)
    if exponent == 0:
        return np.ones(x.shape)
    half = integer_power(x, exponent // 2) if exponent > 1 else None
    square = x if half is None else half * half
    return square * x if exponent % 2 and exponent > 1 else square


def power(x: Array, y: Array) -> Array:
    """x**y, of which at least one is a tensor."""
    if isinstance(y, Tensor):
        logarithm = x.call("log") if isinstance(x, Tensor) else np.log(np.asarray(x, dtype=np.float64))
        return (y * logarithm).call("exp", positive=True)
    assert isinstance(x, Tensor)
    exponents = np.unique(np.asarray(y, dtype=np.float64))
    if exponents.size != 1:
        raise ExpressionError("a power with several exponents; use exp(y*log(x))")
    exponent = float(exponents[0])
    if exponent == int(exponent) and abs(exponent) <= 64:
        return integer_power(x, int(exponent))
    return x.power(Fraction(exponent))


def multiplied(x: Tensor, axes: Any) -> Tensor:
    """Product along axes, which go."""
    gone = sorted(int(a) % len(x.shape) for a in axes)
    rest = [a for a in range(len(x.shape)) if a not in gone]
    moved = x.transposed([*gone, *rest]).reshaped([-(-x.size // max(_size(x, rest), 1)), *(x.shape[a] for a in rest)])
    places = np.arange(moved.size).reshape(moved.shape)
    found = moved.gathered(places[0])
    for k in range(1, moved.shape[0]):
        found = found * moved.gathered(places[k])
    return found


def _size(x: Tensor, axes: list[int]) -> int:
    return int(np.prod([x.shape[a] for a in axes], dtype=np.int64))


def convolved(x: Array, kernel: Array, strides: Any, padding: Any, spread: Any, dilation: Any, groups: int) -> Tensor:
    """A convolution: x has axes (samples, channels, places), the kernel (outputs, channels of a group, window)."""
    count, channels, *_ = x.shape
    outputs, inner, *window = kernel.shape
    places = windows(x.shape, window, strides, padding, dilation, spread)
    seen: Array
    if isinstance(x, Tensor):
        seen = x.gathered(np.moveaxis(places, 0, 1)).transposed([1, 0, *range(2, places.ndim)])
    else:
        seen = np.where(places < 0, 0.0, np.ravel(x)[np.maximum(places, 0)])
    rank = len(window)
    shape = (count, groups, channels // groups, *places.shape[2:])
    over = list(range(3 + rank, 3 + 2 * rank))
    split = (groups, outputs // groups, inner, *window)
    seen = seen.reshaped(shape) if isinstance(seen, Tensor) else seen.reshape(shape)
    kernel = kernel.reshaped(split) if isinstance(kernel, Tensor) else np.asarray(kernel).reshape(split)
    axes = ([2, *range(3, 3 + rank)], [2, *over])
    found = contract(kernel, seen, axes, ((0,), (1,)))  # groups, outputs, samples, positions
    positions = found.shape[3:]
    merged = found.reshaped((outputs, count, *positions))
    return merged.transposed([1, 0, *range(2, 2 + rank)])


def pooled(x: Tensor, window: Any, strides: Any, padding: Any, dilation: Any, spread: Any, largest: bool) -> Tensor:
    """Sums, or maxima, over windows of all axes."""
    places = windows(x.shape, window, strides, padding, dilation, spread)
    rank = len(x.shape)
    last = list(range(rank, 2 * rank))
    if largest:  # the padding never wins: another entry of the window stands for it
        flat = places.reshape(*places.shape[:rank], -1)
        places = np.where(flat < 0, flat.max(axis=-1, keepdims=True), flat)
        last = [rank]
    order = [*last, *range(rank)]
    seen = x.gathered(np.ascontiguousarray(places.transpose(order)))
    axes = list(range(len(last)))
    return seen.max(axes) if largest else seen.sum(axes)
