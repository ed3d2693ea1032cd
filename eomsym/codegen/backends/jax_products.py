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
    d: int,
    pieces: Sequence[tuple[float, int, Entries, Entries]],
    shares: np.ndarray | None,
    square: bool,
    early: bool = False,
) -> Entries:
    """Degree d of products, lane by lane.

    Parameters
    ----------
    d : int
    pieces : sequence of (float, int, list, list)
        A weight, the degree k of the first factor, and the entries of degree k of the first factor and d - k of the
        second.
    shares : ndarray, shape (sums, d + 1), or None
        Weights of the sums that are wanted; None for all entries.
    square : bool
        Whether the factors are one table.
    early : bool
        Whether of degree d - 1 there are two sums, of which the second is for the product with degree 1.
    """
    found: Entries = [None] * (d + 1 if shares is None else len(shares))
    for weight, k, left, right in pieces:
        if shares is not None:
            for row, known in enumerate(_summed(d, k, left, right, shares, early)):
                for x, y in known:
                    found[row] = plus(found[row], _times(weight, x * y))
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


def _summed(
    d: int, k: int, left: Entries, right: Entries, shares: np.ndarray, early: bool
) -> list[list[tuple[Any, Any]]]:
    """For each row of weights, pairs of factors whose products make up the weighted sum of all products.

    Of degree d, the factors are such sums already.
    """
    if early and k in (1, d - 1):
        return [[(x, y) for x, y in zip(left[1:], right[1:], strict=True) if x is not None and y is not None]]
    if 0 < k < d:
        return [_weighted(left, right, row) for row in shares]
    pairs = zip(left * len(shares), right, strict=True) if k == 0 else zip(left, right * len(shares), strict=True)
    return [[(x, y)] if x is not None and y is not None else [] for x, y in pairs]


def _weighted(left: Entries, right: Entries, shares: np.ndarray) -> list[tuple[Any, Any]]:
    """As many pairs as the factor with fewer entries has."""
    if len(left) > len(right):
        return [(x, y) for y, x in _weighted(right, left, shares)]
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
    early: bool = False,
) -> Entries:
    """Degree d of products of matrices.

    Parameters
    ----------
    d : int
    left, right : (list of lists, bool)
        Entries of degrees 0..d, and whether each stands there transposed.
    shares : ndarray, shape (sums, d + 1), or None
        Weights of the sums that are wanted; None for all entries.
    early : bool
        Whether of degree d - 1 there are two sums, of which the second is for the product with degree 1.
    """
    found: Entries = [None] * (d + 1 if shares is None else len(shares))
    for k in range(d + 1):
        x, y = left[0][k], right[0][d - k]
        if shares is not None:
            for row, known in enumerate(_summed(d, k, x, y, shares, early)):
                for a, b in known:
                    found[row] = plus(found[row], _dot(a, b, left[1], right[1]))
            continue
        for p, a in enumerate(x):
            for q, b in enumerate(y):
                if a is not None and b is not None:
                    found[p + q] = plus(found[p + q], _dot(a, b, left[1], right[1]))
    return found


def _dot(x: Any, y: Any, turn_left: bool, turn_right: bool) -> Any:
    import jax

    if x.ndim == 3:
        return jax.numpy.matmul(x, y)
    axes = ((0 if turn_left else 1,), (1 if turn_right else 0,))
    return jax.lax.dot_general(x, y, (axes, ((), ())))
