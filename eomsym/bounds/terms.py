"""How large counter terms can be: by Cauchy's estimates, and by trees.

Let ``|g| <= M`` on the complex ball of radius R around a point. Cauchy's estimate for the derivative along ``f_k``,
on balls that shrink by ``delta`` from one term to the next, turns the recursion of the modified equation,

    f_j = -sum_(i=2..j) 1/i! sum_(k_1+…+k_i = j) D_(k_1) … D_(k_(i-1)) f_(k_i),

into ``|f_j| <= delta c_j (M/delta)**j`` with numbers ``c_j`` whose generating function solves ``1 + 2b - exp(b) = z``.
See derivations/best_truncation. Where the derivatives of g are bounded one by one, as in derivations/all_derivatives,
the sum over trees is sharper.
"""

from __future__ import annotations

from fractions import Fraction
from functools import lru_cache
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike

from eomsym import checks
from eomsym.checks import shown
from eomsym.errors import InputError
from eomsym.exact.coefficients import universal
from eomsym.optimisers.linear import GradientDescent
from eomsym.types import Array

__all__ = ["cauchy_numbers", "term_bounds", "tree_bounds"]


@lru_cache(maxsize=8)
def cauchy_numbers(top: int) -> tuple[Fraction, ...]:
    """The numbers ``c_1 … c_top``: coefficients of the solution ``b(z)`` of ``1 + 2b - exp(b) = z``.

    Parameters
    ----------
    top : int

    Returns
    -------
    tuple of Fraction

    Examples
    --------
    >>> [str(c) for c in cauchy_numbers(5)]
    ['1', '1/2', '2/3', '13/12', '59/30']
    """
    # b' (2 - exp b) = 1 with exp(b) = 1 + 2b - z, so b' = 1/(1 - 2b + z): compare coefficients of b' (1 - 2b + z) = 1.
    b = [Fraction(0), Fraction(1)]
    for n in range(1, top):
        total = sum((2 * (n - i + 1) * b[n - i + 1] * b[i] for i in range(1, n + 1)), Fraction(0))
        b.append((total - n * b[n]) / (n + 1))
    return tuple(b[1 : top + 1])


def term_bounds(bound: float, radius: float, order: int, inner: float | None = None) -> Array:
    """Bounds on the counter terms ``0 … order`` of gradient descent on a ball.

    Parameters
    ----------
    bound : float
        ``M``, at least ``|g|`` on the complex ball of radius `radius`.
    radius : float
        ``R``.
    order : int
    inner : float, optional
        Radius ``r < R`` of the ball on which the terms are bounded; ``R/2`` by default.

    Returns
    -------
    ndarray, shape (order+1,)
        ``|term_k| <= c_(k+1) M (k M/(R - r))**k``.

    Raises
    ------
    InputError
        If a number cannot be used.

    Examples
    --------
    >>> term_bounds(1.0, 2.0, 2).round(6)
    array([1.      , 0.5     , 2.666667])

    References
    ----------
    E. Hairer, C. Lubich, G. Wanner, Geometric Numerical Integration (2006), theorem IX.7.5,
    doi:10.1007/3-540-30666-8; here with exact coefficients in place of ``ln 2 (c j/R)**(j-1)``.
    """
    size, outer = checks.positive(bound, "bound"), checks.positive(radius, "radius")
    inside = outer / 2 if inner is None else inner
    if not 0 <= inside < outer:
        raise InputError(f"inner={shown(inner)}: expected a number from 0 to radius = {outer:g}")
    numbers = np.array([float(c) for c in cauchy_numbers(checks.order(order) + 1)])
    k = np.arange(order + 1.0)
    bounds: Array = numbers * size * (k * size / (outer - inside)) ** k
    return bounds


def tree_bounds(derivatives: ArrayLike, order: int) -> Array:
    """Bounds on the counter terms ``0 … order`` of gradient descent from bounds on the derivatives of g.

    The sum over all trees, with the exact coefficient of each and a factor for each of its nodes.

    Parameters
    ----------
    derivatives : array_like, shape (top+1, ...)
        Row j is at least the norm of the j-th derivative of g; derivatives that are left out are zero.
    order : int

    Returns
    -------
    ndarray, shape (order+1, ...)

    Examples
    --------
    For ``g = x**2`` at 1 the derivatives are 1, 2 and 2, and all trees have the same sign:

    >>> tree_bounds([1.0, 2.0, 2.0], 2).round(6)
    array([1. , 1. , 1.5])
    """
    known = np.asarray(derivatives, dtype=np.float64)
    flat = known.reshape(len(known), -1)
    flat = flat[: int(np.max(np.flatnonzero(flat.any(axis=1)), initial=0)) + 1]  # fewer derivatives, fewer trees
    exponents, weights, starts = _profiles(checks.order(order), len(flat))
    with np.errstate(divide="ignore", over="ignore"):
        logarithms = np.clip(np.log(flat), -1e6, 1e6)  # infinity times 0 is no number
        products = np.exp(exponents @ logarithms)
    bounds = [weights[i:j] @ products[i:j] for i, j in pairwise(starts)]
    return np.array(bounds).reshape(order + 1, *known.shape[1:])


@lru_cache(maxsize=32)
def _profiles(order: int, kinds: int) -> tuple[Array, Array, tuple[int, ...]]:
    """How many nodes of a tree have 0, 1, …, ``kinds - 1`` children, one row for each possible answer, and the sum of
    ``|alpha(t)|/symmetry(t)`` over the trees with this answer. Rows of term k are ``starts[k] … starts[k + 1] - 1``.

    Trees with a node of more children are left out. There are few answers: 684 for the 376,464 trees to order 15.
    """
    table = universal(order + 1, GradientDescent())
    left, right = table.left, table.right
    children = np.arange(1, order + 1)
    # A number in mixed radix for each answer: at most order // j nodes have j children.
    radix = order // children + 1
    place = np.concatenate([[0], np.cumprod(np.concatenate([[1], radix]))[:-1]])  # leaves follow from the rest
    degree = np.zeros(len(left), dtype=np.int64)
    code = np.zeros(len(left), dtype=np.int64)
    sizes = np.abs(table.numerators.astype(np.float64)) / (float(table.denominator) * table.symmetry)
    exponents, weights, starts = [], [], [0]
    for nodes in range(1, order + 2):
        here = table.forest.of_size(nodes)
        if nodes > 1:
            before, branch = left[here], right[here]
            degree[here] = degree[before] + 1
            code[here] = code[before] + code[branch] + place[degree[here]] - place[degree[before]]
        answers, which = np.unique(code[here], return_inverse=True)
        total = np.bincount(which, weights=sizes[here])
        counts = answers[:, None] // place[1:] % radix
        counts = np.concatenate([nodes - counts.sum(axis=1, keepdims=True), counts], axis=1)
        kept = (total > 0) & (counts[:, kinds:] == 0).all(axis=1)
        wide = np.zeros((int(kept.sum()), kinds))
        wide[:, : counts.shape[1]] = counts[kept, :kinds]
        exponents.append(wide)
        weights.append(total[kept])
        starts.append(starts[-1] + len(wide))
    return np.concatenate(exponents), np.concatenate(weights), tuple(starts)
