"""What float64 may have taken from a number: allowances that bounds add.

A run in float64 is an orbit of exact gradient descent with a small defect at each step; so is any sequence that is
compared with it. The allowances are worst cases of the usual model ``fl(a op b) = (a op b)(1 + d)``, ``|d| <= eps/2``:
Higham, Accuracy and Stability of Numerical Algorithms (2002), section 2.2, doi:10.1137/1.9780898718027.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from eomsym.bounds.terms import tree_bounds
from eomsym.curvature.norms import lengths
from eomsym.errors import HypothesisError
from eomsym.types import Array

if TYPE_CHECKING:
    from eomsym.codegen.kernel import Kernel
    from eomsym.curvature.hessian import Neighbourhood

__all__ = ["EPS", "chord_from", "field_rounding", "outward", "steeper_terms", "step_rounding", "term_rounding"]

#: One number, or one of each case.
Number = TypeVar("Number", float, Array)
EPS = float(np.finfo(np.float64).eps)
TINY = float(np.finfo(np.float64).tiny)
#: Relative rounding of a counter term, against the sum of the magnitudes of its trees.
TERM = 256 * EPS


def outward(value: Number) -> Number:
    """A number that is not below `value` before some hundred roundings.

    Examples
    --------
    >>> outward(1.0) > 1.0
    True
    """
    return value * (1 + 512 * EPS) + TINY


def step_rounding(around: Neighbourhood, size: float, eta: float, slope: float) -> float:
    """Largest rounding error of one step of gradient descent in float64, near a point.

    Parameters
    ----------
    around : Neighbourhood
    size : float
        Length of theta after the step.
    eta : float
    slope : float
        Length of the gradient.
    """
    return EPS * (size + 2 * eta * slope) + 2 * eta * around.rounding() + 4 * TINY


def field_rounding(kernel: Kernel, around: Neighbourhood, terms: Array, eta: float) -> float:
    """Largest rounding error of the velocity of the equation of motion at a point.

    Parameters
    ----------
    kernel : Kernel
    around : Neighbourhood
    terms : ndarray, shape (K+1, n)
        The counter terms there.
    eta : float
    """
    order = kernel.order
    powers = eta ** np.arange(1.0, order + 1)
    sizes = lengths(terms)
    try:
        # Sums over trees with all signs positive: what cancels in a term is in them.
        sizes = tree_bounds(around.derivatives().at(0.0, order), order) if order else sizes
    except HypothesisError:
        sizes = 16 * sizes
    return around.rounding() + TERM * float(powers @ sizes[1:]) + 4 * EPS * float(np.linalg.norm(terms[0]))


def term_rounding(trees: Array, rounding: Number) -> Array:
    """Largest rounding errors of counter terms at a point.

    Parameters
    ----------
    trees : ndarray, shape (K+1, ...)
        Bounds on the terms by sums over trees.
    rounding : float or ndarray, shape (...)
        Largest error of the gradient: it is in a tree as often as there are leaves.

    Examples
    --------
    >>> term_rounding(np.array([1.0, 10.0]), 1e-3).round(4)
    array([0.002, 0.04 ])
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.where(trees[0] > 0, rounding / trees[0], 0.0)
        nodes = np.arange(1.0, len(trees) + 1).reshape(-1, *[1] * np.ndim(share))
        found: Array = trees * np.minimum(1.0, TERM + 2 * np.expm1(nodes * np.log1p(share)))
    return found


def chord_from(known: Array, radius: Number) -> Number:
    """Where a chord begins whose slope bounds that at a radius: there, or at a thousandth of a length of the loss.

    Parameters
    ----------
    known : ndarray, shape (k, ...)
        Bounds on the gradient and its first derivatives at the point.
    radius : float or ndarray, shape (...)

    Examples
    --------
    >>> float(chord_from(np.array([1.0, 2.0, 0.0]), 0.0)), float(chord_from(np.array([1.0, 2.0, 0.0]), 3.0))
    (0.0005, 3.0)
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        ways = known[:-1] / known[1:]
    unit: Any = 1.0
    for way in ways[::-1]:
        unit = np.where((way > 0) & np.isfinite(way), way, unit)
    found: Number = np.maximum(radius, 1e-3 * unit)
    return found


def steeper_terms(around: Neighbourhood, radius: float, eta: float, order: int) -> float | None:
    """Lipschitz constant of ``sum_(1<=k<=K) eta**k term_k`` on a ball; None where the derivatives are not known."""
    if order == 0:
        return 0.0
    try:
        known = around.derivatives()
    except HypothesisError:
        return None
    wide = chord_from(known.at(0.0, 2), radius)
    near, far = tree_bounds(known.at(wide * np.array([1.0, 1.125]), order), order).T
    with np.errstate(invalid="ignore"):  # infinite where the closed form ends
        # Power series with coefficients >= 0: a chord is steeper than the derivative.
        chords = (1 + 1e-9) * (far - near) / (0.125 * wide)
        found = float(eta ** np.arange(1.0, order + 1) @ chords[1:])
    return found if np.isfinite(found) else np.inf
