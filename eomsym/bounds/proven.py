"""The distance of gradient descent from its equation of motion a priori: from closed forms along the run.

Let ``y_k`` be the equation of motion at time ``k eta`` and ``d_k = y_(k+1) - y_k + eta g(y_k)`` its defect as an orbit
of gradient descent. Then ::

    |y_(k+1) - theta_(k+1)|  <=  a_k |y_k - theta_k| + |d_k|,      a_k = sup |I - eta A(q)|

over the segment from ``y_k`` to ``theta_k``, because one step of gradient descent has the derivative ``I - eta A``.
Nothing is integrated: all balls lie around the run of gradient descent, which is known. At order 0 the defect of a step
is at most ``eta**2 beta gamma/2``; at order K it is bounded by `eomsym.bounds.truncation.step_defect`. The run in
float64 is an orbit with small defects too: their effect is carried along and added. See derivations/fundamental_theorem
and derivations/best_truncation.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from eomsym.bounds.rounding import TERM, outward, step_rounding, term_rounding
from eomsym.bounds.terms import tree_bounds
from eomsym.bounds.truncation import step_defect
from eomsym.curvature.hessian import Curvature, Neighbourhood
from eomsym.curvature.norms import lengths
from eomsym.dynamics.patience import Patience, watched
from eomsym.errors import HypothesisError
from eomsym.types import Array

if TYPE_CHECKING:
    from eomsym.codegen.kernel import Kernel

__all__ = ["proven_distances"]

ENLARGEMENTS = 60


def proven_distances(
    kernel: Kernel,
    known: Curvature,
    thetas: Array,
    eta: float,
    order: int,
    limit: float = np.inf,
    patience: Patience | None = None,
) -> Array:
    """Bounds on the distance along a run of gradient descent, up to the first that is above a limit.

    Parameters
    ----------
    kernel : Kernel
        To the order ``order + 1``, at order 0 any.
    known : Curvature
    thetas : ndarray, shape (k+1, n)
    eta : float
    order : int
    limit : float
        Of the distance.
    patience : Patience, optional
        How long it may take.

    Returns
    -------
    ndarray, shape (k+1,) or shorter

    Raises
    ------
    HypothesisError
        If the distance grows without limit or leaves the domain of the curvature: then there is no bound.
    Stopped
        If it takes longer than it may.

    Examples
    --------
    >>> import eomsym as eom
    >>> from eomsym.curvature import curvature_of
    >>> loss = eom.Loss("x**2/2", variables="x")
    >>> thetas = np.array([[1.0], [0.9], [0.81]])
    >>> proven_distances(eom.compile(loss, 0), curvature_of(loss), thetas, 0.1, 0).round(4)
    array([0.    , 0.0056, 0.0101])
    """
    values = [0.0]
    distance = drift = 0.0  # of the motion, and of exact gradient descent, from the run in float64
    for k, theta in enumerate(watched(thetas[:-1], patience)):
        around = known.at(theta)
        gradient = kernel.gradient(theta)
        slope = float(np.linalg.norm(gradient))
        if order == 0:
            defect = _euler_defect(around, distance, eta, _curved(kernel, around, theta, gradient))
        else:
            sizes = lengths(kernel.terms(theta))
            trees = tree_bounds(around.derivatives().at(0.0, order + 1), order + 1)
            sizes += term_rounding(trees, around.rounding())
            defect = step_defect(around.derivatives(), distance, eta, order, sizes)
        rounding = step_rounding(around, float(np.linalg.norm(thetas[k + 1])), eta, slope)
        distance = outward(around.spectrum(distance).amplification(eta) * distance + defect + rounding)
        drift = outward(around.spectrum(drift).amplification(eta) * drift + rounding)
        values.append(outward(distance + drift))
        if not np.isfinite(values[-1]):
            raise HypothesisError(f"no bound: needed a finite tube, got {values[-1]} after {k + 1} steps; use fewer")
        if values[-1] > limit:
            break
    return np.array(values)


def _curved(kernel: Kernel, around: Neighbourhood, theta: Array, gradient: Array) -> float:
    """At least ``|A g|`` at a point."""
    smoothness = around.spectrum(0.0).smoothness
    rounding = TERM * len(theta) * smoothness * float(np.linalg.norm(gradient)) + smoothness * around.rounding()
    return float(lengths(kernel.hessian_vector(theta, gradient))) + rounding


def _euler_defect(around: Neighbourhood, distance: float, eta: float, curved: float) -> float:
    """``eta**2/2 sup |A g|`` on a ball that gradient flow cannot leave within one step."""
    radius = distance + 1.1 * eta * around.spectrum(distance).slope
    for _ in range(ENLARGEMENTS):
        ball = around.spectrum(radius)
        if distance + eta * ball.slope <= radius:
            found = ball.smoothness * ball.slope
            third = around.third(radius)
            if third is not None:  # the derivative of A g is A A + D A[., g]
                found = min(found, curved + radius * (ball.smoothness**2 + third * ball.slope))
            return eta * (eta * found) / 2
        radius = distance + 1.1 * eta * ball.slope
        if not np.isfinite(radius):
            break
    raise HypothesisError(
        f"no bound: needed a ball that gradient flow cannot leave within one step, got radii up to {radius:.3g}; "
        "use a smaller eta or fewer steps"
    )
