"""Products of tensors: sums over pairs of axes, and the windows that convolutions see."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from eomsym.errors import InternalError
from eomsym.losses.builder import Value
from eomsym.losses.tensors import Array, Axes, Tensor, shaped

__all__ = ["contract", "windows"]


def contract(
    left: Array, right: Array, summed: tuple[Sequence[int], Sequence[int]], batch: tuple[Sequence[int], Sequence[int]]
) -> Tensor:
    """The sum over pairs of axes of products, as in ``einsum``: axes of the result are batch, left, right.

    Parameters
    ----------
    left, right : Tensor or ndarray
        At least one of them a Tensor.
    summed, batch : (axes of left, axes of right)
    """
    for k, array in enumerate((left, right)):
        alike = [b for b, a in enumerate(batch[k]) if isinstance(array, Tensor) and a not in array.axes]
        if alike and any(array.shape[batch[k][b]] != 1 for b in alike):
            return _copied_batches(left, right, summed, batch, k, alike)
    rest = [
        tuple(a for a in range(len(array.shape)) if a not in {*summed[k], *batch[k]})
        for k, array in enumerate((left, right))
    ]
    sizes = [left.shape[a] for a in batch[0]] + [left.shape[a] for a in rest[0]] + [right.shape[a] for a in rest[1]]
    edges = np.cumsum([0, len(batch[0]), len(rest[0]), len(rest[1])]).tolist()
    many, rows, columns = (tuple(range(a, b)) for a, b in pairwise(edges))
    count = math.prod(left.shape[a] for a in batch[0])
    if count == 1:
        value, turned = _product(left, right, rest, summed)
        return Tensor.of(value, sizes, columns + rows if turned else rows + columns)
    first = _stack(left, batch[0], rest[0], summed[0])
    second = _stack(right, batch[1], summed[1], rest[1])
    builder = (left if isinstance(left, Tensor) else _tensor(right)).builder
    a, b = (one if isinstance(one, Value) else builder.fix(one) for one in (first, second))
    value = builder.apply("matmuls", [a, b], (a.shape[0], b.shape[1]), (count,))
    return Tensor.of(value, sizes, many + rows + columns)


def _copied_batches(left: Array, right: Array, summed: Any, batch: Any, side: int, alike: Sequence[int]) -> Tensor:
    """The product where one factor is the same for some batches: they become free axes of the other one."""
    arrays = [left, right]
    whole = _tensor(arrays[side])
    gone = {batch[side][b] for b in alike}
    kept = [a for a in range(len(whole.shape)) if a not in gone]
    place = {a: k for k, a in enumerate(kept)}
    arrays[side] = Tensor(whole.source, tuple(whole.shape[a] for a in kept), tuple(place[a] for a in whole.axes))
    pairs, batches = [list(axes) for axes in summed], [list(axes) for axes in batch]
    pairs[side] = [place[a] for a in pairs[side]]
    freed = [batches[1 - side][b] for b in alike]
    for k in (0, 1):
        batches[k] = [a for b, a in enumerate(batches[k]) if b not in alike]
    batches[side] = [place[a] for a in batches[side]]
    found = contract(arrays[0], arrays[1], (pairs[0], pairs[1]), (batches[0], batches[1]))
    # axes of `found`: batches that are left, then free axes of left and right, freed batches among them
    free = [[a for a in range(len(array.shape)) if a not in {*pairs[k], *batches[k]}] for k, array in enumerate(arrays)]
    start = len(batches[0]) + (len(free[0]) if side == 0 else 0)
    where = {a: start + i for i, a in enumerate(free[1 - side])}
    left_over = iter(range(len(batches[0])))
    first = [where[freed[list(alike).index(b)]] if b in alike else next(left_over) for b in range(len(batch[0]))]
    return found.transposed([*first, *(a for a in range(len(found.shape)) if a not in first)])


def _tensor(array: Array) -> Tensor:
    if not isinstance(array, Tensor):
        raise InternalError("a product of two constants")
    return array


def _long(array: Array, axes: Sequence[int]) -> Axes:
    return tuple(a for a in axes if array.shape[a] != 1)


def _stack(array: Array, batch: Sequence[int], rows: Sequence[int], columns: Sequence[int]) -> Any:
    """Matrices one below the other: a node or an array."""
    if isinstance(array, Tensor):
        over = array.laid_out(_long(array, [*batch, *rows, *columns]))
        width = math.prod(array.shape[a] for a in columns)
        return shaped(over, (array.size // width, width))
    moved = np.asarray(array, dtype=np.float64).transpose([*batch, *rows, *columns])
    return moved.reshape(-1, math.prod(array.shape[a] for a in columns))


def _product(left: Array, right: Array, rest: Sequence[Axes], summed: Sequence[Sequence[int]]) -> tuple[Value, bool]:
    """The product of two matrices, and whether it is transposed: whichever moves fewer entries."""
    natural = [_natural(left, rest[0], summed[0]), _natural(right, summed[1], rest[1])]
    small = [(isinstance(array, Tensor) and 2 * array.stored) or 0 for array in (left, right)]
    straight = sum(cost for cost, way in zip(small, natural, strict=True) if way is not True)
    across = sum(cost for cost, way in zip(small, natural, strict=True) if way is not False)
    if straight <= across:
        return _matrix(left, rest[0], summed[0]) @ _matrix(right, summed[1], rest[1]), False
    return _matrix(right, rest[1], summed[1]) @ _matrix(left, summed[0], rest[0]), True


def _natural(array: Array, rows: Sequence[int], columns: Sequence[int]) -> bool | None:
    """Whether a tensor lies as this matrix (True), as its transpose (False), or as neither; None if it is constant."""
    if not isinstance(array, Tensor):
        return None
    if array.axes == _long(array, [*rows, *columns]):
        return True
    return False if array.axes == _long(array, [*columns, *rows]) else None


def _matrix(array: Array, rows: Sequence[int], columns: Sequence[int]) -> Any:
    if isinstance(array, Tensor):
        if array.axes == _long(array, [*columns, *rows]) and array.axes != _long(array, [*rows, *columns]):
            return array.matrix(_long(array, columns), _long(array, rows)).T
        return array.matrix(_long(array, rows), _long(array, columns))
    single = [a for a in range(array.ndim) if a not in {*rows, *columns}]  # a batch of one
    moved = np.asarray(array, dtype=np.float64).transpose([*single, *rows, *columns])
    return np.ascontiguousarray(moved.reshape(math.prod(array.shape[a] for a in rows), -1))


# windows ------------------------------------------------------------------------------------------------------------


def windows(
    shape: Sequence[int],
    window: Sequence[int],
    strides: Sequence[int],
    padding: Sequence[tuple[int, int]],
    dilation: Sequence[int],
    spread: Sequence[int],
) -> np.ndarray:
    """Flat places that sliding windows see, -1 in the padding.

    Parameters
    ----------
    shape : sequence of int
        All axes; windows slide over the last ``len(window)``.
    window, strides, padding, dilation : sequences
        Of the windows: their size, from one to the next, entries added (or, negative, taken away) before and after,
        and from one entry of a window to the next.
    spread : sequence of int
        From one entry of the array to the next, where zeros are put between.

    Returns
    -------
    ndarray of int
        Shape: the axes before, positions, window.

    Examples
    --------
    >>> windows((4,), (2,), (1,), [(1, 0)], (1,), (1,)).tolist()
    [[-1, 0], [0, 1], [1, 2], [2, 3]]
    """
    places = np.arange(math.prod(shape)).reshape(shape)
    first = len(shape) - len(window)
    for k, (before, after) in enumerate(padding):
        axis = first + k
        if spread[k] > 1:
            wide = list(places.shape)
            wide[axis] = (wide[axis] - 1) * spread[k] + 1
            apart = np.full(wide, -1)
            apart[(slice(None),) * axis + (slice(None, None, spread[k]),)] = places
            places = apart
        width = [(0, 0)] * places.ndim
        width[axis] = (max(before, 0), max(after, 0))
        places = np.pad(places, width, constant_values=-1)
        keep = slice(max(-before, 0), places.shape[axis] - max(-after, 0))
        places = places[(slice(None),) * axis + (keep,)]
    axes = tuple(range(first, len(shape)))
    reach = [(n - 1) * d + 1 for n, d in zip(window, dilation, strict=True)]
    seen = np.lib.stride_tricks.sliding_window_view(places, reach, axis=axes)
    steps = tuple(slice(None, None, s) for s in strides) + tuple(slice(None, None, d) for d in dilation)
    return np.ascontiguousarray(seen[(slice(None),) * first + steps])
