"""The distance of gradient descent from its equation of motion a posteriori: with measured defects.

Let ``y_k`` be any numbers near the equation of motion at the times ``k eta``. Their defects as an orbit of gradient
descent, ``d_k = y_(k+1) - y_k + eta g(y_k)``, are known, and so are their jumps as an orbit of the flow, what they miss
``flow(y_k)`` by: rounding, and the error of an integrator whose steps are so short that halving them changes nothing
and methods of lower orders agree. Two theorems carry on: the discrete one for ``|y_k - theta_k|``, and the fundamental
one for the distance of ``y_k`` from the exact flow. The rounding of the run, of the flow and of the bound itself is a
part of the defects.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.integrate import DOP853

from eomsym.bounds.rounding import EPS, field_rounding, outward, steeper_terms, step_rounding
from eomsym.dynamics.patience import Patience, watched
from eomsym.errors import DivergenceError, HypothesisError, InputError, TableError
from eomsym.types import Array

if TYPE_CHECKING:
    from eomsym.codegen.kernel import Kernel
    from eomsym.curvature.hessian import Curvature, Neighbourhood

__all__ = ["measured_distances"]

#: One step of the flow is cut into so many parts at most.
MOST_PARTS = 256
#: Sum of the magnitudes of the weights of the Runge-Kutta method: how much it can amplify rounding.
WEIGHT = float(np.abs(DOP853.B).sum())


def measured_distances(
    kernel: Kernel,
    known: Curvature,
    start: Array,
    eta: float,
    steps: int,
    limit: float = np.inf,
    patience: Patience | None = None,
) -> tuple[Array, float]:
    """Bounds on the distance at the times ``0, eta, …``, up to the first above a limit.

    Parameters
    ----------
    kernel : Kernel
        Of the order of the equation of motion.
    known : Curvature
    start : ndarray, shape (n,)
    eta : float
    steps : int
    limit : float
        Of the distance.
    patience : Patience, optional
        How long it may take.

    Returns
    -------
    values : ndarray, shape (steps+1,) or shorter
    error : float
        The part of the last one that is due to the flow, not to the distance.

    Raises
    ------
    HypothesisError
        If the distance leaves the domain of the curvature, or the flow cannot be computed well enough.
    DivergenceError
        If the equation of motion diverges.
    Stopped
        If it takes longer than it may.
    """
    centres, moves, doubts, around = _motion(kernel, known, start, eta, steps, patience)
    jumps = np.linalg.norm(centres[1:] - centres[:-1] - moves, axis=1) + doubts
    gradients = kernel.gradient(centres[:-1])
    defects = centres[1:] - centres[:-1] + eta * gradients
    walk = _Walk(kernel, eta)
    values = [0.0]
    for k in watched(range(steps), patience):
        walk.flow_step(around[k], centres[k], float(np.linalg.norm(moves[k])), float(jumps[k]))
        walk.descent_step(around[k], centres[k], centres[k + 1], gradients[k], defects[k])
        values.append(outward(walk.distance + walk.error))
        if not np.isfinite(values[-1]):
            raise HypothesisError(f"no bound: needed a finite tube, got {values[-1]} after {k + 1} steps; use fewer")
        if values[-1] > limit:
            break
    return np.array(values), walk.error


class _Walk:
    """The two distances, step by step: of the centres from gradient descent, and from the exact flow."""

    def __init__(self, kernel: Kernel, eta: float) -> None:
        self.kernel, self.eta = kernel, eta
        self.distance = self.error = self.rest = 0.0
        self.vector = np.zeros(kernel.size)

    def flow_step(self, around: Neighbourhood, centre: Array, moved: float, jump: float) -> None:
        """The error of the centres grows like two solutions of the flow part, and by the jump."""
        eta = self.eta
        radius = self.error + 1.5 * moved
        growth = around.spectrum(radius).growth
        further = steeper_terms(around, radius, eta, self.kernel.order)
        if further is None:  # not known: twice what it is at the centre
            columns = [self.kernel.jacobian_vector(centre, direction, eta) for direction in np.eye(len(centre))]
            first = [self.kernel.hessian_vector(centre, direction) for direction in np.eye(len(centre))]
            further = 2 * float(np.linalg.norm(np.array(columns) + np.array(first)))
        with np.errstate(over="ignore"):
            self.error = outward(float(np.exp(eta * (growth + further))) * self.error + jump)

    def descent_step(self, around: Neighbourhood, centre: Array, after: Array, gradient: Array, defect: Array) -> None:
        """The defects are propagated as vectors, ``e <- (I - eta A) e + d``.

        Only what that leaves out, ``eta/2 sup |DA| |e|**2``, is bounded in the norm; without a bound on the third
        derivative all of it.
        """
        eta, distance = self.eta, self.distance
        slope = float(np.linalg.norm(gradient))
        # Of the defect itself, and of the run in float64.
        rounding = EPS * (float(np.linalg.norm(after - centre)) + 2 * eta * slope) + 2 * eta * around.rounding()
        ball = around.spectrum(distance)
        length = float(np.linalg.norm(after)) + 2 * distance
        rounding += step_rounding(around, length, eta, slope + ball.smoothness * distance)
        size = float(np.linalg.norm(defect)) + rounding
        plain = ball.amplification(eta) * distance + size
        third = around.third(distance)
        if third is not None:
            here = around.spectrum(0.0)
            long = float(np.linalg.norm(self.vector))
            lost = (8 + 8 * eta * here.smoothness * len(centre)) * EPS * long
            self.rest = here.amplification(eta) * self.rest + eta * third * distance**2 / 2 + rounding + lost
            self.vector = self.vector - eta * self.kernel.hessian_vector(centre, self.vector) + defect
            plain = min(plain, float(np.linalg.norm(self.vector)) + self.rest)
        self.distance = outward(plain)


def _motion(
    kernel: Kernel, known: Curvature, start: Array, eta: float, steps: int, patience: Patience | None = None
) -> tuple[Array, Array, Array, list[Neighbourhood]]:
    """The motion at the times ``k eta``, its way in each step, the error of that, and what is known around it."""
    stiff = eta * known.at(start).spectrum(0.0).smoothness
    parts = 2 * int(np.clip(np.ceil(2 * stiff), 1, MOST_PARTS // 4))
    while True:
        centres, moves, errors = np.empty((steps + 1, len(start))), np.empty((steps, len(start))), np.empty(steps)
        centres[0] = start
        for k in watched(range(steps), patience):
            way, lost = _move(kernel, centres[k : k + 1], eta, parts)
            moves[k], errors[k] = way[0], lost[0]
            centres[k + 1] = centres[k] + moves[k]
            if not np.isfinite(moves[k]).all():
                break
        else:
            around = [known.at(centre) for centre in centres[:steps]]
            rounding = _rounding(kernel, around, centres[:steps], eta, patience)
            # Of order eight: where halving changes little, the error is far below the change. Both may err alike by
            # chance, where steps are long; the embedded estimate, which is too large, does not agree by chance too.
            changes = 2 * np.linalg.norm(moves - _move(kernel, centres[:steps], eta, parts // 2)[0], axis=1)
            most = 1e-6 if parts >= MOST_PARTS else 1e-14
            if (np.maximum(changes, errors) <= most * np.linalg.norm(moves, axis=1) + rounding).all():
                return centres, moves, changes + errors + rounding, around
        if parts >= MOST_PARTS:
            raise DivergenceError(
                f"the equation of motion of order {kernel.order} cannot be followed beyond step {k} of {steps} with "
                f"eta = {eta:.3g}; use a smaller eta, a lower order or fewer steps",
                k + 1,
            )
        parts *= 4


def _rounding(
    kernel: Kernel, around: list[Neighbourhood], points: Array, eta: float, patience: Patience | None = None
) -> Array:
    """What rounding may do to the way of one step from each point."""
    stiff = eta * np.array([here.spectrum(0.0).smoothness for here in watched(around, patience)])
    terms = kernel.terms(points)
    pairs = zip(watched(around, patience), terms, strict=True)
    fields = [field_rounding(kernel, here, row, eta) for here, row in pairs]
    lengths, speeds = np.linalg.norm(points, axis=1), np.linalg.norm(terms[:, 0], axis=1)
    ends: Array = EPS * lengths + 8 * EPS * (stiff * lengths + eta * speeds)
    return ends + WEIGHT * eta * np.array(fields) * (1 + stiff)


def embedded_error(steps: Array) -> Array:
    """Estimated errors of a step of DOP853, shape (m,), from the methods of the orders 5 and 3 that are embedded in it.

    Parameters
    ----------
    steps : ndarray, shape (12, m, n)
        The time of the step times the slopes of the stages.

    Examples
    --------
    Where all slopes are one there is no error:

    >>> bool(embedded_error(np.ones((12, 1, 1)))[0] < 1e-15)
    True

    References
    ----------
    E. Hairer, S. P. Nørsett, G. Wanner, Solving Ordinary Differential Equations I (1993), section II.10,
    doi:10.1007/978-3-540-78862-1.
    """
    fifth, third = (np.linalg.norm(np.tensordot(row[:-1], steps, 1), axis=1) for row in (DOP853.E5, DOP853.E3))
    both = np.hypot(fifth, 0.1 * third)
    found: Array = fifth * (fifth / np.where(both > 0, both, 1.0))
    return found


def _move(kernel: Kernel, points: Array, eta: float, parts: int) -> tuple[Array, Array]:
    """The way of the flow from each point in the time `eta`, by equal steps of an explicit Runge-Kutta method, and its
    estimated error."""
    h = eta / parts
    moved, errors = np.zeros_like(points), np.zeros(len(points))
    slopes = np.empty((len(DOP853.B), *points.shape))
    try:
        for _ in range(parts):
            for i, row in enumerate(DOP853.A[: len(slopes)]):
                slopes[i] = kernel.field(points + (moved + h * np.tensordot(row[:i], slopes[:i], 1)), eta)
            moved = moved + h * np.tensordot(DOP853.B, slopes, 1)
            errors = errors + embedded_error(h * slopes)
    except (TableError, InputError):  # not finite any more
        return np.full_like(points, np.nan), errors
    return moved, errors
