"""Runge-Kutta-Chebyshev: an explicit integrator of order 2 for stiff fields with real negative eigenvalues.

A step of s stages is stable up to ``h lambda = 0.65 (s**2 - 1)``: twice as many stages, a step four times as long. The
motion of a network under a learning rate that is not tiny is of this kind: one sharp direction, in which nothing
happens any more, forbids long steps to every ordinary explicit integrator.

References
----------
B. P. Sommeijer, L. F. Shampine, J. G. Verwer, RKC: an explicit solver for parabolic PDEs, J. Comput. Appl. Math. 88
(1998), 315-326, doi:10.1016/S0377-0427(97)00219-7, equations (2.1)-(2.8).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["local_error", "stability", "stages_for", "step"]

Array = NDArray[np.float64]

#: Damping of the stability polynomial.
EPSILON = 2.0 / 13.0


def stability(stages: int) -> float:
    """Length of the stability interval of a step.

    Parameters
    ----------
    stages : int
        2 or more.

    Examples
    --------
    >>> round(stability(10), 1)
    64.6
    """
    return 2.0 / 3.0 * (stages**2 - 1) * (1.0 - 2.0 / 15.0 * EPSILON)


def stages_for(stiffness: float) -> int:
    """Fewest stages for which a step with this ``h * lambda`` is stable, 2 or more.

    Examples
    --------
    >>> stages_for(60.0), stability(10) > 60 > stability(9)
    (10, True)
    """
    return max(2, math.ceil(math.sqrt(1.0 + max(stiffness, 0.0) / stability(2) * 3.0)))


class _Coefficients(NamedTuple):
    """Coefficients of the stages: of the one before, the one before that, their velocity, and the first velocity."""

    first: float
    mu: Array
    nu: Array
    velocity: Array
    gamma: Array


@lru_cache(maxsize=256)
def _coefficients(stages: int) -> _Coefficients:
    s = stages
    w0 = 1.0 + EPSILON / s**2
    t, d, dd = np.zeros(s + 1), np.zeros(s + 1), np.zeros(s + 1)  # Chebyshev polynomials and derivatives at w0
    t[:2], d[1] = (1.0, w0), 1.0
    for j in range(2, s + 1):
        t[j] = 2 * w0 * t[j - 1] - t[j - 2]
        d[j] = 2 * w0 * d[j - 1] - d[j - 2] + 2 * t[j - 1]
        dd[j] = 2 * w0 * dd[j - 1] - dd[j - 2] + 4 * d[j - 1]
    w1 = d[s] / dd[s]
    b = np.zeros(s + 1)
    b[2:] = dd[2:] / d[2:] ** 2
    b[:2] = b[2]
    a = 1.0 - b * t
    mu, nu, velocity, gamma = (np.zeros(s + 1) for _ in range(4))
    for j in range(2, s + 1):
        mu[j] = 2 * b[j] * w0 / b[j - 1]
        nu[j] = -b[j] / b[j - 2]
        velocity[j] = 2 * b[j] * w1 / b[j - 1]
        gamma[j] = -a[j - 1] * velocity[j]
    return _Coefficients(b[1] * w1, mu, nu, velocity, gamma)


def step(velocity: Callable[[Array], Array], state: Array, slope: Array, h: float, stages: int) -> Array:
    """One step.

    Parameters
    ----------
    velocity : callable
        Autonomous field.
    state, slope : ndarray, shape (n,)
        Where the step begins, and the velocity there.
    h : float
    stages : int
        2 or more; ``stages - 1`` evaluations.

    Returns
    -------
    ndarray, shape (n,)

    Examples
    --------
    >>> y = step(lambda y: -100 * y, np.ones(1), np.array([-100.0]), 0.5, 10)
    >>> bool(abs(y[0]) < 1)
    True
    """
    first, mu, nu, share, gamma = _coefficients(stages)
    before, now = state, state + first * h * slope
    for j in range(2, stages + 1):
        after = (1.0 - mu[j] - nu[j]) * state + mu[j] * now + nu[j] * before
        after += h * (share[j] * velocity(now) + gamma[j] * slope)
        before, now = now, after
    return now


def local_error(state: Array, slope: Array, after: Array, slope_after: Array, h: float) -> Array:
    """Estimated error of one step: equation (2.8), 9/5 of the leading error where there are many stages.

    Parameters
    ----------
    state, slope, after, slope_after : ndarray, shape (n,)
        Both ends of the step, and the velocities there.
    h : float

    Returns
    -------
    ndarray, shape (n,)

    Examples
    --------
    >>> one, h = np.ones(1), 0.1
    >>> after = step(lambda y: -y, one, -one, h, 8)
    >>> estimate = local_error(one, -one, after, -after, h)[0]
    >>> bool(0.5 < estimate / (np.exp(-h) - after[0]) < 2)
    True
    """
    found: Array = 0.8 * (state - after) + 0.4 * h * (slope + slope_after)
    return found
