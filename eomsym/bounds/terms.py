"""How large counter terms can be: by Cauchy's estimates, and by trees.

Let ``|g| <= M`` on the complex ball of radius R around a point. Cauchy's estimate for the derivative along ``f_k``,
on balls that shrink by ``delta`` from one term to the next, turns the recursion of the modified equation,

    f_j = -sum_(i=2..j) 1/i! sum_(k_1+…+k_i = j) D_(k_1) … D_(k_(i-1)) f_(k_i),

into ``|f_j| <= delta c_j (M/delta)**j`` with numbers ``c_j`` whose generating function solves ``1 + 2b - exp(b) = z``.
See derivations/best_truncation. Where the derivatives of g are bounded one by one, the sum over trees is sharper.
"""

from __future__ import annotations

from fractions import Fraction
from functools import lru_cache
from math import factorial

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eomsym.codegen.kernel import checked_order
from eomsym.dynamics.flow import check_positive
from eomsym.errors import InputError
from eomsym.exact.counter_terms import counter_terms

__all__ = ["cauchy_numbers", "shifted", "term_bounds", "tree_bounds"]

Array = NDArray[np.float64]


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
    size, outer = check_positive("bound", bound), check_positive("radius", radius)
    inside = outer / 2 if inner is None else inner
    if not 0 <= inside < outer:
        raise InputError(f"inner={inner!r}: expected a number from 0 to radius = {outer:g}")
    numbers = np.array([float(c) for c in cauchy_numbers(checked_order(order) + 1)])
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
    bounds = np.zeros((checked_order(order) + 1, *known.shape[1:]))
    for k in range(order + 1):
        for profile, weight in _profiles(order)[k].items():
            if len(profile) <= len(known):
                bounds[k] += weight * np.prod([known[j] ** count for j, count in enumerate(profile) if count], axis=0)
    return bounds


def shifted(derivatives: ArrayLike, radius: ArrayLike) -> Array:
    """Bounds on all derivatives on a ball, from those at its centre, by Taylor's formula.

    Parameters
    ----------
    derivatives : array_like, shape (top+1,)
        At the centre; all higher derivatives vanish.
    radius : float or array_like, shape (m,)

    Returns
    -------
    ndarray, shape (top+1,) or (top+1, m)

    Examples
    --------
    >>> shifted([1.0, 2.0, 2.0], 1.0)
    array([4., 4., 2.])
    """
    known, r = np.asarray(derivatives, dtype=np.float64), np.asarray(radius, dtype=np.float64)
    moved = np.zeros((len(known), *r.shape))
    for i in range(len(known)):
        moved[: len(known) - i] += known[i:].reshape(-1, *[1] * r.ndim) * r**i / factorial(i)
    return moved


@lru_cache(maxsize=16)
def _profiles(order: int) -> list[dict[tuple[int, ...], float]]:
    """For each term: how many nodes have 0, 1, 2, … children, and the sum of the absolute coefficients."""
    found: list[dict[tuple[int, ...], float]] = []
    for term in counter_terms(order):
        weights: dict[tuple[int, ...], float] = {}
        for tree, coefficient in term.items():
            parents = [parent for parent in tree.parents if parent >= 0]
            children = np.bincount(parents, minlength=term.order + 1) if parents else np.zeros(term.order + 1, int)
            profile = tuple(np.trim_zeros(np.bincount(children), "b").tolist())
            weights[profile] = weights.get(profile, 0.0) + abs(float(coefficient))
        found.append(weights)
    return found
