"""Bounds on all derivatives of a loss around a point."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import factorial

import numpy as np
from numpy.typing import ArrayLike

from eomsym.types import Array

__all__ = ["Derivatives"]


@dataclass(frozen=True, eq=False)
class Derivatives:
    """Bounds on g and on all its derivatives around a point, along complex directions.

    Attributes
    ----------
    known : ndarray, shape (m,)
        Entry j is at least the norm of the j-th derivative at the point.
    majorant : callable, optional
        From radii, shape (k,), and a number `top` to bounds, shape (top+1, k), on the derivatives ``0 … top`` on the
        balls of these radii: those of a power series with coefficients >= 0, so that each row is the derivative of the
        row before. Without it, the derivatives from the m-th on vanish.
    valid : float
        Radius of the real ball in which g has these derivatives: where g is analytic in pieces, the piece.

    Examples
    --------
    ``g = x**2`` at 1, and on the ball of radius 1:

    >>> Derivatives(np.array([1.0, 2.0, 2.0])).at(1.0, 3)
    array([4., 4., 2., 0.])
    """

    known: Array
    majorant: Callable[[Array, int], Array] | None = None
    valid: float = np.inf

    def at(self, distance: ArrayLike, top: int) -> Array:
        """Bounds on the derivatives ``0 … top`` on the ball of this radius, by Taylor's formula.

        Parameters
        ----------
        distance : float or array_like, shape (k,)
        top : int

        Returns
        -------
        ndarray, shape (top+1,) or (top+1, k)
            Infinite where the majorant ends.
        """
        r = np.asarray(distance, dtype=np.float64)
        radii = r.ravel()
        out = np.zeros((top + 1, radii.size))
        change = self.known
        if self.majorant is not None:
            out = self.majorant(radii, top)
            change = np.minimum(change - self.majorant(np.zeros(1), len(change) - 1)[:, 0], 0.0)
        with np.errstate(over="ignore", invalid="ignore"):
            for i, number in enumerate(change):
                for j in range(min(i, top) + 1):
                    out[j] += number * radii ** (i - j) / factorial(i - j)
        out[np.isnan(out)] = np.inf
        return np.maximum(out, 0.0).reshape(top + 1, *r.shape)  # a difference may be rounded to below zero
