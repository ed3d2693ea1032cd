"""Products of tables over arrays of JAX: entry by entry, and of matrices."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

__all__ = ["convolution", "plus", "product"]

Entries = list[Any]


def plus(a: Any, b: Any) -> Any:
    """The sum of what may be None, which is zero."""
    if a is None or b is None:
        return b if a is None else a
    return a + b


def convolution(
    d: int, pieces: Sequence[tuple[float, int, Entries, Entries]], shares: np.ndarray | None, square: bool
) -> Entries:
    """Degree d of products, lane by lane.

    Parameters
    ----------
    d : int
    pieces : sequence of (float, int, list, list)
        A weight, the degree k of the first factor, and the entries of degree k of the first factor and d - k of the
        second.
    shares : ndarray or None
        Weights of the one sum that is wanted.
    square : bool
        Whether the factors are one table.
    """
    found: Entries = [None] * (d + 1 if shares is None else 1)
    for weight, k, left, right in pieces:
        if shares is not None:
            for x, y in _weighted(left, right, shares, 0 < k < d):
                found[0] = plus(found[0], _times(weight, x * y))
            continue
        for p, x in enumerate(left):
            for q, y in enumerate(right):
                if x is None or y is None or (square and 2 * k == d and p > q):
                    continue
                twice = 2 if square and 2 * k == d and p < q else 1
                found[p + q] = plus(found[p + q], _times(twice * weight, x * y))
    return found


def _times(weight: float, x: Any) -> Any:
    return x if weight == 1 else weight * x


def _weighted(left: Entries, right: Entries, shares: np.ndarray, inner: bool) -> list[tuple[Any, Any]]:
    """Pairs of factors whose products make up the weighted sum of all products: as many as the shorter one has entries.

    Where one factor is of degree 0, the other one is a sum already.
    """
    if not inner:
        return [(x, y) for x in left for y in right if x is not None and y is not None]
    if len(left) > len(right):
        return [(x, y) for y, x in _weighted(right, left, shares, inner)]
    found = []
    for p, x in enumerate(left):
        total = None
        for q, y in enumerate(right):
            if y is not None and shares[p + q] != 0:
                total = plus(total, _times(float(shares[p + q]), y))
        if x is not None and total is not None:
            found.append((x, total))
    return found


def product(
    d: int,
    left: tuple[list[Entries], bool],
    right: tuple[list[Entries], bool],
    shares: np.ndarray | None,
) -> Entries:
    """Degree d of products of matrices.

    Parameters
    ----------
    d : int
    left, right : (list of lists, bool)
        Entries of degrees 0..d, and whether each stands there transposed.
    shares : ndarray or None
        Weights of the one sum that is wanted.
    """
    found: Entries = [None] * (d + 1 if shares is None else 1)
    for k in range(d + 1):
        x, y = left[0][k], right[0][d - k]
        if shares is not None and 0 < k < d:
            for a, b in _weighted(x, y, shares, True):
                found[0] = plus(found[0], _dot(a, b, left[1], right[1]))
            continue
        for p, a in enumerate(x):
            for q, b in enumerate(y):
                if a is not None and b is not None:
                    place = p + q if shares is None else 0
                    found[place] = plus(found[place], _dot(a, b, left[1], right[1]))
    return found


def _dot(x: Any, y: Any, turn_left: bool, turn_right: bool) -> Any:
    import jax

    if x.ndim == 3:
        return jax.numpy.matmul(x, y)
    axes = ((0 if turn_left else 1,), (1 if turn_right else 0,))
    return jax.lax.dot_general(x, y, (axes, ((), ())))
