"""Arrays of any number of axes on the two-dimensional nodes of a program.

A :class:`Tensor` is a node, read row by row, together with the axes that it stores and their order. Transposing,
adding axes of length one and copying along an axis only change this description; entries are moved when an operation
needs them in another order. So a chain of framework operations becomes few nodes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np

from eomsym.errors import ShapeError
from eomsym.losses.builder import Builder, Value
from eomsym.losses.indices import Indices

__all__ = ["Array", "Axes", "Source", "Tensor", "concatenate", "shaped"]

#: What does not depend on the parameters is a NumPy array.
Array: TypeAlias = "Tensor | np.ndarray[Any, Any]"
Axes: TypeAlias = tuple[int, ...]


class Source:
    """The node of a tensor, made when it is first asked for.

    Attributes
    ----------
    frozen : Value or None
        For a maximum: the same, held constant.
    positive : bool
        Whether all entries are known to be positive.
    """

    __slots__ = ("_made", "_value", "frozen", "positive")

    def __init__(
        self, made: Value | Callable[[], Value], *, frozen: Value | None = None, positive: bool = False
    ) -> None:
        self._made = made
        self._value = made if isinstance(made, Value) else None
        self.frozen = frozen
        self.positive = positive

    @property
    def value(self) -> Value:
        if self._value is None:
            assert callable(self._made)
            self._value = self._made()
        return self._value


@dataclass(frozen=True, eq=False)
class Tensor:
    """An array that depends on the parameters.

    Parameters
    ----------
    source : Source
    shape : tuple of int
    axes : tuple of int
        The axes that the node stores, slowest first. Along all others entries are copies of each other.
    """

    source: Source
    shape: tuple[int, ...]
    axes: Axes

    @classmethod
    def of(cls, value: Value, shape: Sequence[int], axes: Sequence[int] | None = None, **known: Any) -> Tensor:
        """The tensor of a node that holds all entries, in the order of some axes (by default, of the shape)."""
        order = range(len(shape)) if axes is None else axes
        return cls(Source(value, **known), tuple(map(int, shape)), tuple(a for a in order if shape[a] != 1))

    @property
    def value(self) -> Value:
        """The node."""
        return self.source.value

    @property
    def builder(self) -> Builder:
        return (self.source.frozen or self.value).builder

    @property
    def size(self) -> int:
        """Number of entries."""
        return math.prod(self.shape)

    @property
    def stored(self) -> int:
        """Number of entries of the node."""
        return math.prod(self.shape[a] for a in self.axes)

    # layouts ------------------------------------------------------------------------------------------------------

    def laid_out(self, axes: Axes) -> Value:
        """A node whose entries stand in the order of these axes, which are those stored and possibly others."""
        if axes == self.axes:
            return self.value
        extra = [a for a in axes if a not in self.axes]
        kept = tuple(a for a in axes if a in self.axes)
        if kept == self.axes and extra:
            head = next(i for i, a in enumerate(axes) if a in self.axes) if kept else len(axes)
            tail = len(axes) - head - len(kept)
            if axes[head : head + len(kept)] == kept:  # copies before and after
                return self._copied(axes[:head], axes[head + len(kept) :] if tail else ())
        if not extra:
            for cut in range(1, len(axes)):
                if axes == self.axes[cut:] + self.axes[:cut]:
                    return self.matrix(self.axes[:cut], self.axes[cut:]).T
        places = self._places(axes)
        shape = (self._count(axes[:1]), self._count(axes[1:]))
        return self.builder.apply("gather", [self.value], shape, (Indices(places),))

    def matrix(self, rows: Axes, columns: Axes) -> Value:
        """The node as a matrix, its rows and columns running through the given axes."""
        value = self.laid_out(rows + columns)
        return shaped(value, (self._count(rows), self._count(columns)))

    def _count(self, axes: Sequence[int]) -> int:
        return math.prod(self.shape[a] for a in axes)

    def _copied(self, before: Axes, after: Axes) -> Value:
        builder, value = self.builder, self.value
        if after:
            value = builder.expand(shaped(value, (self.stored, 1)), 1, self._count(after))
        if before:
            total = value.shape[0] * value.shape[1]
            value = builder.expand(shaped(value, (1, total)), 0, self._count(before))
        return value

    def _places(self, axes: Axes) -> np.ndarray:
        """For each entry in the order of some axes, its place in the node."""
        own = np.arange(self.stored).reshape([self.shape[a] for a in self.axes])
        order = [self.axes.index(a) for a in axes if a in self.axes]
        sizes = [self.shape[a] if a in self.axes else 1 for a in axes]
        return np.broadcast_to(own.transpose(order).reshape(sizes), [self.shape[a] for a in axes])

    @property
    def places(self) -> np.ndarray:
        """For each entry, its place in the node; shape as that of the tensor."""
        long = tuple(a for a, n in enumerate(self.shape) if n != 1)
        return self._places(long).reshape(self.shape)

    # views ----------------------------------------------------------------------------------------------------------

    def transposed(self, permutation: Sequence[int]) -> Tensor:
        """Axis k of the result is axis ``permutation[k]``."""
        order = [int(a) % len(self.shape) for a in permutation] if self.shape else []
        place = {a: k for k, a in enumerate(order)}
        return replace(self, shape=tuple(self.shape[a] for a in order), axes=tuple(place[a] for a in self.axes))

    def broadcast(self, shape: Sequence[int], dimensions: Sequence[int] | None = None) -> Tensor:
        """Copies along new axes, and along those of length one; axis k becomes ``dimensions[k]`` (the last ones)."""
        shape = tuple(map(int, shape))
        dims = range(len(shape) - len(self.shape), len(shape)) if dimensions is None else dimensions
        place = [int(d) for d in dims]
        for a, d in enumerate(place):
            if self.shape[a] not in (1, shape[d]):
                raise ShapeError(f"cannot copy an array of shape {self.shape} to shape {shape}")
        return replace(self, shape=shape, axes=tuple(place[a] for a in self.axes))

    def reshaped(self, shape: Sequence[int]) -> Tensor:
        """The same entries, row by row, in another shape."""
        shape = tuple(map(int, shape))
        if math.prod(shape) != self.size:
            raise ShapeError(f"cannot read an array of shape {self.shape} as one of shape {shape}")
        axes = list(self.axes)
        for old, new in _groups(self.shape, shape):
            stored = [a for a in old if a in self.axes]
            if not stored:
                continue
            at = axes.index(stored[0])
            if stored != old or axes[at : at + len(old)] != old:  # not side by side: put in order first
                long = tuple(a for a, n in enumerate(self.shape) if n != 1)
                return Tensor.of(self.laid_out(long), shape)
            axes[at : at + len(old)] = [~a for a in new]  # new axes, told apart from old ones
        return replace(self, shape=shape, axes=tuple(~a for a in axes))

    def gathered(self, places: np.ndarray) -> Tensor:
        """Entries by their flat places, -1 for zero; the shape of the result is that of `places`."""
        if places.size == self.size and (places.ravel() == np.arange(self.size)).all():
            return self.reshaped(places.shape)
        own = np.where(places < 0, -1, self.places.ravel()[np.maximum(places, 0)])
        shape = (int(places.shape[0]), places.size // places.shape[0]) if places.ndim and places.size else (1, 1)
        return Tensor.of(self.builder.apply("gather", [self.value], shape, (Indices(own),)), places.shape)

    # arithmetic -----------------------------------------------------------------------------------------------------

    def mapped(self, change: Callable[[Value], Value], **known: Any) -> Tensor:
        """A function, entry by entry."""
        return replace(self, source=Source(change(self.value), **known))

    def combined(self, other: Array, change: Callable[[Value, Any], Value], **known: Any) -> Tensor:
        """An operation with another array of the same shape (or of one that NumPy broadcasts), entry by entry."""
        shape = np.broadcast_shapes(self.shape, other.shape)
        mine = self.broadcast(shape)
        if not isinstance(other, Tensor):
            return mine._with_constant(np.asarray(other), change, known)
        theirs = other.broadcast(shape)
        axes = max((mine.axes, theirs.axes), key=len)
        if not {*mine.axes, *theirs.axes} <= {*axes}:
            axes = tuple(sorted({*mine.axes, *theirs.axes}))
        left, right = mine.laid_out(axes), theirs.laid_out(axes)
        if left.shape != right.shape:
            right = shaped(right, left.shape)
        return Tensor(Source(change(left, right), **known), shape, axes)

    def _with_constant(self, array: np.ndarray, change: Callable[[Value, Any], Value], known: Any) -> Tensor:
        array = array.reshape((1,) * (len(self.shape) - array.ndim) + array.shape)
        needed = {a for a, n in enumerate(array.shape) if n != 1}
        axes = self.axes if needed <= {*self.axes} else tuple(sorted(needed | {*self.axes}))
        value = self.laid_out(axes)
        if array.size == 1:
            return Tensor(Source(change(value, array.reshape(())[()]), **known), self.shape, axes)
        whole = np.broadcast_to(array, [n if a in axes else 1 for a, n in enumerate(self.shape)])
        rest = [a for a in range(len(self.shape)) if a not in axes]
        matrix = whole.transpose([*axes, *rest]).reshape(value.shape)
        return Tensor(Source(change(value, matrix), **known), self.shape, axes)

    def __add__(self, other: Array) -> Tensor:
        return self.combined(other, lambda a, b: a + b, positive=self.source.positive and _positive(other))

    def __sub__(self, other: Array) -> Tensor:
        return self.combined(other, lambda a, b: a - b)

    def __mul__(self, other: Array) -> Tensor:
        return self.combined(other, lambda a, b: a * b, positive=self.source.positive and _positive(other))

    def __neg__(self) -> Tensor:
        return self.mapped(lambda a: -a)

    def reciprocal(self) -> Tensor:
        """One over it."""
        return self.call("reciprocal", positive=self.source.positive)

    def call(self, name: str, **known: Any) -> Tensor:
        """An elementary function by name."""
        return self.mapped(lambda a: a.call(name), **known)

    def power(self, exponent: Any) -> Tensor:
        """A fixed power."""
        return self.mapped(lambda a: a.power(exponent), positive=self.source.positive)

    def gate(self, decides: Tensor, above: Any = 1, below: Any = 0) -> Tensor:
        """It times `above` where `decides` is positive, times `below` elsewhere."""
        return self.combined(decides, lambda a, b: a.builder.elementwise("gate", a, b, parameters=(above, below)))

    # reductions -----------------------------------------------------------------------------------------------------

    def _split(self, axes: Sequence[int]) -> tuple[Axes, Axes]:
        """Stored axes that stay, and those that go."""
        gone = {int(a) % len(self.shape) for a in axes}
        return tuple(a for a in self.axes if a not in gone), tuple(a for a in self.axes if a in gone)

    def _without(self, axes: Sequence[int], kept: Axes, source: Source) -> Tensor:
        gone = {int(a) % len(self.shape) for a in axes}
        left = [a for a in range(len(self.shape)) if a not in gone]
        place = {a: k for k, a in enumerate(left)}
        return Tensor(source, tuple(self.shape[a] for a in left), tuple(place[a] for a in kept))

    def sum(self, axes: Sequence[int]) -> Tensor:
        """Sum along axes, which go."""
        if not axes:
            return self
        kept, gone = self._split(axes)
        copies = math.prod(self.shape[int(a)] for a in axes) // self._count(gone)
        value, order = self.value, self.axes
        while any(a in gone for a in order):
            tail = next((i for i, a in enumerate(reversed(order)) if a not in gone), len(order))
            head = next((i for i, a in enumerate(order) if a not in gone), len(order))
            if tail:
                value = self._summed(value, order[: len(order) - tail], order[len(order) - tail :], 1)
                order = order[: len(order) - tail]
            elif head:
                value = self._summed(value, order[:head], order[head:], 0)
                order = order[head:]
            else:
                order = tuple(a for a in order if a not in gone) + tuple(a for a in order if a in gone)
                rest = tuple(a for a in self.axes if a in order)
                value = Tensor(Source(value), self.shape, rest).laid_out(order)
        source = Source(value if copies == 1 else value * copies, positive=self.source.positive)
        return self._without(axes, kept, source)

    def _summed(self, value: Value, rows: Axes, columns: Axes, axis: int) -> Value:
        return self.builder.sum(shaped(value, (self._count(rows), self._count(columns))), axis)

    def max(self, axes: Sequence[int]) -> Tensor:
        """Largest entries along axes, which go; `frozen` is the same, held constant."""
        kept, gone = self._split(axes)
        builder = self.builder
        if not gone:
            return self._without(axes, kept, Source(self.value))
        first = self.axes[: len(gone)] == gone
        matrix = self.matrix(gone, kept) if first else self.matrix(kept, gone)
        rows, columns = matrix.shape
        frozen = builder.apply("peak", [matrix], (1, columns) if first else (rows, 1), (0 if first else 1,))

        def compared() -> Value:
            """Halves against each other, by gates."""
            found = matrix if first else matrix.T
            while found.shape[0] > 1:
                count, width = found.shape
                half = count // 2
                places = np.arange(count * width).reshape(count, width)
                low, high = (
                    builder.apply("gather", [found], (half, width), (Indices(places[start : start + half]),))
                    for start in (0, half)
                )
                apart = low - high
                largest = high + builder.elementwise("gate", apart, apart, parameters=(1, 0))
                if count % 2:
                    odd = builder.apply("gather", [found], (1, width), (Indices(places[-1:]),))
                    pieces = [(0, largest), (half * width, odd)]
                    largest = shaped(builder.join(pieces, (half + 1) * width), (half + 1, width))
                found = largest
            return found

        return self._without(axes, kept, Source(compared, frozen=frozen))

    def stopped(self) -> Tensor:
        """The same, not seen by gradients."""
        if self.source.frozen is not None:
            return replace(self, source=Source(self.source.frozen))
        return self.mapped(lambda a: a.builder.apply("stop", [a], a.shape))


def _positive(array: Array) -> bool:
    return array.source.positive if isinstance(array, Tensor) else bool((np.asarray(array) > 0).all())


def shaped(value: Value, shape: tuple[int, int]) -> Value:
    """The same entries as a matrix of another shape."""
    if value.shape == shape:
        return value
    node = value.builder.nodes[value.index]
    if node.operation == "reshape":
        return shaped(Value(value.builder, node.inputs[0]), shape)
    if node.operation == "part":
        return value.builder.apply("part", [Value(value.builder, node.inputs[0])], shape, node.parameters)
    if node.operation == "constant":
        fixed = value.fixed
        assert fixed is not None
        return value.builder.fix(fixed.reshape(shape))
    return value.builder.apply("reshape", [value], shape)


def _groups(old: tuple[int, ...], new: tuple[int, ...]) -> list[tuple[list[int], list[int]]]:
    """Axes of two shapes that hold the same entries, from left to right; axes of length one are left out."""
    left = [a for a, n in enumerate(old) if n != 1]
    right = [a for a, n in enumerate(new) if n != 1]
    found = []
    i = j = 0
    while i < len(left) and j < len(right):
        mine, theirs = [left[i]], [right[j]]
        have, want = old[left[i]], new[right[j]]
        i, j = i + 1, j + 1
        while have != want:
            if have < want:
                have *= old[left[i]]
                mine.append(left[i])
                i += 1
            else:
                want *= new[right[j]]
                theirs.append(right[j])
                j += 1
        found.append((mine, theirs))
    return found


def concatenate(builder: Builder, pieces: Sequence[Array], axis: int) -> Tensor:
    """Arrays one behind the other along an axis."""
    rank = len(pieces[0].shape)
    axis %= rank
    shape = list(pieces[0].shape)
    shape[axis] = sum(piece.shape[axis] for piece in pieces)
    order = (axis, *(a for a in range(rank) if a != axis))
    placed, start = [], 0
    for piece in pieces:
        if not isinstance(piece, Tensor):
            moved = np.asarray(piece, dtype=np.float64).transpose(order)
            value = builder.fix(moved.reshape(moved.shape[0], -1))
        else:
            value = piece.laid_out(tuple(a for a in order if piece.shape[a] != 1))
        placed.append((start, value))
        start += math.prod(piece.shape)
    size = math.prod(shape)
    joined = builder.join([(at, value) for at, value in placed if value.shape[0] * value.shape[1]], size)
    return Tensor.of(shaped(joined, (shape[axis], size // shape[axis])), shape, order)
