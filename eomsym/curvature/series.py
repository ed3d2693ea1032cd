"""Bounds on all derivatives of a loss of a product, from bounds on the coefficients of the product; one case or many.

See derivations/all_derivatives.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from eomsym.types import Array

__all__ = ["SoftmaxSeries", "exponential", "minus_log_of_one_minus", "squared_error_derivatives"]


def squared_error_derivatives(product: Array, residual: Array | float, second: Array | float) -> Array:
    """Bounds on the gradient of half the mean square of a product, and on all its derivatives, at a point.

    Parameters
    ----------
    product : ndarray, shape (d+1,) or (d+1, m)
        Bounds on the coefficients of the product along a direction, from the first power on; entry 0 is 0.
    residual, second : float or ndarray, shape (m,)
        Mean length of the residuals times the inputs, and second moment of the inputs.

    Returns
    -------
    ndarray, shape (2d,) or (2d, m)

    Examples
    --------
    ``(w - 1)**2/2`` at 0:

    >>> squared_error_derivatives(np.array([0.0, 1.0]), 1.0, 1.0)
    array([1., 1.])
    """
    depth = len(product) - 1
    height = np.zeros((2 * depth + 1, *product.shape[1:]))
    height[: depth + 1] = residual * product
    for k in range(1, depth + 1):
        height[k : k + depth + 1] += second / 2 * product[k] * product
    return np.array([height[j] * math.factorial(j) for j in range(1, 2 * depth + 1)])


@dataclass(frozen=True, eq=False)
class SoftmaxSeries:
    """A power series that majorises the gradient of the cross-entropy of each of many networks.

    The j-th derivative of log-sum-exp is a joint cumulant of j centred variables of size at most ``sqrt(2)`` and
    variance at most v, and the sum over partitions that defines it is at most the coefficient of ``x**j/j!`` in
    ``-log(1 - v/2 (exp(y) - 1 - y))``, ``y = sqrt(2) x``.

    Attributes
    ----------
    product : ndarray, shape (d+1, m)
        As of `squared_error_derivatives`.
    residual, variance, spread, longest : ndarray, shape (m,)
        Mean length of residuals times inputs; the largest variance of a coordinate; second moment of the inputs,
        weighted by the variances; the longest input.
    """

    product: Array
    residual: Array
    variance: Array
    spread: Array
    longest: Array

    def __getitem__(self, chosen: Any) -> SoftmaxSeries:
        rest = (self.residual, self.variance, self.spread, self.longest)
        return SoftmaxSeries(self.product[:, chosen], *(x[chosen] for x in rest))

    @np.errstate(all="ignore")
    def at(self, radii: Array, top: int) -> Array:
        """Derivatives of the majorant at radii of shape (m, r): shape (top+1, m, r), infinite where it ends."""
        moved = np.zeros((top + 2, *radii.shape))  # the product at radius r + u, as a series in u
        for k, coefficient in enumerate(self.product):
            for j in range(min(k, top + 1) + 1):
                moved[j] += coefficient[:, None] * math.comb(k, j) * radii ** (k - j)
        residual, variance, spread, longest = (
            x[:, None] for x in (self.residual, self.variance, self.spread, self.longest)
        )
        height = residual * moved
        y = math.sqrt(2) * longest * moved
        inside = variance / 2 * (exponential(y) - y)
        inside[0] -= variance / 2
        curved = spread / (variance * longest**2) * minus_log_of_one_minus(inside)
        height += np.where(longest > 0, curved, 0.0)
        height[:, ~(inside[0] < 1)] = np.inf
        factorials = np.array([float(math.factorial(j + 1)) for j in range(top + 1)])
        found: Array = factorials[:, None, None] * height[1:]
        return found


def exponential(y: Array) -> Array:
    """``exp(y)`` of power series, shape (terms, ...)."""
    out = np.zeros_like(y)
    out[0] = np.exp(y[0])
    for n in range(1, len(y)):
        out[n] = sum(k * y[k] * out[n - k] for k in range(1, n + 1)) / n
    return out


def minus_log_of_one_minus(x: Array) -> Array:
    """``-log(1 - x)`` of power series, shape (terms, ...): infinite or NaN where ``x[0] >= 1``."""
    out = np.zeros_like(x)
    out[0] = -np.log1p(-x[0])
    for n in range(1, len(x)):
        out[n] = (x[n] + sum(k * out[k] * x[n - k] for k in range(1, n)) / n) / (1 - x[0])
    return out
