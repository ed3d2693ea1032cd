"""The fundamental theorem: how far a curve with a known defect is from a solution."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import exprel

from eomsym.bounds.bound import require
from eomsym.checks import shown
from eomsym.errors import InputError
from eomsym.types import Array

__all__ = ["fundamental_theorem"]


def fundamental_theorem(times: ArrayLike, growth: ArrayLike, defect: ArrayLike, initial: float = 0.0) -> Array:
    """Distance of a curve with a known defect from a solution.

    For ``theta' = h(theta)`` and a curve with ``|z' - h(z)| <= delta(t)``, and ``m(t)`` at least the largest
    eigenvalue of the symmetric part of ``Dh`` on the segment from ``theta(t)`` to ``z(t)``::

        |theta(t) - z(t)| <= exp(mu(t)) (initial + int_0^t exp(-mu(s)) delta(s) ds),      mu(t) = int_0^t m.

    Parameters
    ----------
    times : array_like, shape (k+1,)
        Increasing, from 0 on.
    growth, defect : array_like, shape (k,)
        Bounds on ``m`` and ``delta`` between two times.
    initial : float
        ``|theta(0) - z(0)|``.

    Returns
    -------
    ndarray, shape (k+1,)

    Raises
    ------
    HypothesisError
        If ``m`` or ``delta`` is not integrable (infinite or NaN), or ``delta < 0``.
    InputError
        If the shapes do not fit or the times do not increase.

    Examples
    --------
    >>> bool(np.isclose(fundamental_theorem([0.0, 1.0], growth=[0.5], defect=[0.1])[-1], 0.1 * (np.exp(0.5) - 1) / 0.5))
    True

    References
    ----------
    E. Hairer, S. P. Nørsett, G. Wanner, Solving Ordinary Differential Equations I (1993), theorem I.10.6,
    doi:10.1007/978-3-540-78862-1. O. Elkabetz and N. Cohen (2021), arXiv:2107.06608, theorem 1.
    """
    knots = np.asarray(times, dtype=np.float64)
    m = np.asarray(growth, dtype=np.float64)
    delta = np.asarray(defect, dtype=np.float64)
    if knots.ndim != 1 or len(knots) < 2 or not (np.diff(knots) > 0).all():
        raise InputError(f"times must be two or more increasing numbers such as [0, 0.1, 0.2], got {shown(times)}")
    if m.shape != (len(knots) - 1,) or delta.shape != m.shape:
        raise InputError(
            f"growth and defect have shapes {m.shape} and {delta.shape}, expected {(len(knots) - 1,)}: one number "
            "between each two times"
        )
    require(bool(np.isfinite(m).all()), "m(t) integrable", f"at most {np.max(m):.4g}")
    require(bool((delta >= 0).all() and np.isfinite(delta).all()), "a finite defect >= 0",
            f"from {np.min(delta):.4g} to {np.max(delta):.4g}")  # fmt: skip
    require(0 <= initial < np.inf, "a finite distance at the start", f"{initial:.4g}")
    values = np.empty(len(knots))
    values[0] = initial
    for i, (h, rate, size) in enumerate(zip(np.diff(knots), m, delta, strict=True)):
        values[i + 1] = np.exp(rate * h) * values[i] + size * h * exprel(rate * h)
    return values
