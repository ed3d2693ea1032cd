"""How far gradient descent is from gradient flow and from the equation of motion of any order.

The continuous theorem (`fundamental_bound`) and its discrete twin. Let ``y_k`` be the equation of
motion at time ``k eta`` and ``d_k = y_(k+1) - y_k + eta g(y_k)`` its defect as an orbit of gradient descent. Then ::

    |y_(k+1) - theta_(k+1)|  <=  a_k |y_k - theta_k| + |d_k|,      a_k = sup |I - eta A(q)|

over the segment from ``y_k`` to ``theta_k``, because one step of gradient descent has the derivative ``I - eta A``.
`distance_bound` bounds defects from the run of gradient descent alone; `measured_bound` measures them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import exprel

from eomsym.bounds.bound import Bound, Hypothesis, require
from eomsym.bounds.truncation import step_defect
from eomsym.codegen.kernel import checked_order
from eomsym.curvature.closed_form import checked_curvature
from eomsym.curvature.hessian import Curvature, Neighbourhood, as_kernel
from eomsym.dynamics.descent import checked_count, descend
from eomsym.dynamics.flow import check_positive, flow
from eomsym.errors import HypothesisError, InputError

if TYPE_CHECKING:
    from eomsym.codegen.kernel import Kernel
    from eomsym.losses.objective import Objective

__all__ = ["distance_bound", "distances", "fundamental_bound", "measured_bound"]

Array = NDArray[np.float64]
ENLARGEMENTS = 60


# the continuous theorem -----------------------------------------------------------------------------------------------


def fundamental_bound(times: ArrayLike, growth: ArrayLike, defect: ArrayLike, initial: float = 0.0) -> Bound:
    """Distance of a curve with a known defect from a solution: the fundamental theorem.

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
    Bound
        Its values at all `times`.

    Raises
    ------
    HypothesisError
        If ``m`` or ``delta`` is not integrable (infinite or NaN), or ``delta < 0``.
    InputError
        If the shapes do not fit or the times do not increase.

    Examples
    --------
    >>> bound = fundamental_bound([0.0, 1.0], growth=[0.5], defect=[0.1])
    >>> bool(np.isclose(bound.value, 0.1 * (np.exp(0.5) - 1) / 0.5))
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
        raise InputError(f"times must be two or more increasing numbers such as [0, 0.1, 0.2], got {times!r}")
    if m.shape != (len(knots) - 1,) or delta.shape != m.shape:
        raise InputError(
            f"growth and defect have shapes {m.shape} and {delta.shape}, expected {(len(knots) - 1,)}: one number "
            "between each two times"
        )
    hypotheses = (
        require(bool(np.isfinite(m).all()), "m(t) integrable", f"at most {np.max(m):.4g}"),
        require(bool((delta >= 0).all() and np.isfinite(delta).all()), "a finite defect >= 0",
                f"from {np.min(delta):.4g} to {np.max(delta):.4g}"),
        require(0 <= initial < np.inf, "a finite distance at the start", f"{initial:.4g}"),
    )  # fmt: skip
    values = np.empty(len(knots))
    values[0] = initial
    for i, (h, rate, size) in enumerate(zip(np.diff(knots), m, delta, strict=True)):
        values[i + 1] = np.exp(rate * h) * values[i] + size * h * exprel(rate * h)
    return Bound("distance of the curve from the solution", values, knots, hypotheses,
                 "the fundamental theorem, Hairer, Nørsett, Wanner (1993), theorem I.10.6")  # fmt: skip


# the discrete theorem -------------------------------------------------------------------------------------------------


def distance_bound(
    loss: Objective,
    start: ArrayLike,
    eta: float,
    steps: int,
    order: int = 0,
    curvature: Curvature | None = None,
    *,
    initial: float = 0.0,
) -> Bound:
    """Guaranteed distance of gradient descent from gradient flow, or from the equation of motion of an order.

    Nothing is integrated: all balls lie around the run of gradient descent, which is known. At order 0 the defect of
    a step is at most ``eta**2 beta gamma/2``; at order K it is bounded by `eomsym.bounds.truncation.step_defect`.

    Parameters
    ----------
    loss : Objective
    start : array_like, shape (n,)
    eta : float
    steps : int
    order : int
        ``K`` of the equation of motion; 0 is gradient flow. From 1 on the closed form of a network or of a polynomial
        is needed.
    curvature : Curvature, optional
        The closed form of the loss by default.
    initial : float
        Distance of the start of the equation of motion from that of gradient descent.

    Returns
    -------
    Bound
        At the times ``0, eta, …``.

    Raises
    ------
    HypothesisError
        If the distance grows without limit or leaves the domain of the curvature: then there is no bound.

    Examples
    --------
    >>> import eomsym as eom
    >>> loss = eom.DeepLinear((1, 1, 1), inputs=[[1.0]], targets=[[1.0]])
    >>> bound = distance_bound(loss, [0.5, 0.5], eta=0.05, steps=10)
    >>> descent = eom.descend(loss, [0.5, 0.5], eta=0.05, steps=10)
    >>> motion = eom.flow(eom.compile(loss, 0), [0.5, 0.5], eta=0.05, time=descent.times)
    >>> true = np.linalg.norm(descent.thetas - motion.thetas, axis=1)
    >>> bool(np.all(true <= bound.values)), round(float(bound.value / true[-1]), 1)
    (True, 4.6)
    """
    rate, order = check_positive("eta", eta), checked_order(order)
    if not 0 <= initial < np.inf:
        raise InputError(f"initial={initial!r}: expected a number >= 0")
    kernel = as_kernel(loss, order and order + 1)
    known = checked_curvature(loss, curvature)
    path = descend(loss, kernel.loss.validate(start), eta=rate, steps=checked_count(steps, "steps", 1))
    values = distances(kernel, known, path.thetas, rate, order, initial)
    what = "gradient flow" if order == 0 else f"the equation of motion of order {order}"
    hypotheses = (
        Hypothesis("each ball around the run lies in the domain of the curvature", f"radii up to {values.max():.4g}"),
        Hypothesis("curvature", known.source),
    )
    source = "eomsym, derivations/fundamental_theorem" + ("" if order == 0 else " and derivations/best_truncation")
    return Bound(f"distance of gradient descent from {what} up to time {path.times[-1]:.4g}", values, path.times,
                 hypotheses, source, known.proven)  # fmt: skip


def distances(
    kernel: Kernel, known: Curvature, thetas: Array, eta: float, order: int, initial: float = 0.0, limit: float = np.inf
) -> Array:
    """The numbers of `distance_bound` along a run of gradient descent, up to the first that is above a limit.

    Parameters
    ----------
    kernel : Kernel
        To the order ``order + 1``, at order 0 any.
    known : Curvature
    thetas : ndarray, shape (k+1, n)
    eta : float
    order : int
    initial, limit : float

    Returns
    -------
    ndarray, shape (k+1,) or shorter

    Raises
    ------
    HypothesisError
        As `distance_bound`.

    Examples
    --------
    >>> import eomsym as eom
    >>> from eomsym.curvature.closed_form import curvature_of
    >>> loss = eom.Loss("x**2/2", variables="x")
    >>> thetas = eom.descend(loss, [1.0], eta=0.1, steps=2).thetas
    >>> distances(eom.compile(loss, 0), curvature_of(loss), thetas, 0.1, 0).round(4)
    array([0.    , 0.0056, 0.0101])
    """
    values = [initial]
    for k, theta in enumerate(thetas[:-1]):
        around = known.at(theta)
        distance = values[k]
        if order == 0:
            defect = _euler_defect(around, distance, eta, _curved(kernel, theta))
        else:
            sizes = np.sqrt(np.sum(kernel.terms(theta) ** 2, axis=1))
            defect = step_defect(around.derivatives(), distance, eta, order, sizes)
        values.append(around.spectrum(distance).amplification(eta) * distance + defect)
        if not np.isfinite(values[-1]):
            raise HypothesisError(f"no bound: needed a finite tube, got {values[-1]} after {k + 1} steps; use fewer")
        if values[-1] > limit:
            break
    return np.array(values)


def _curved(kernel: Kernel, theta: Array) -> float:
    """``|A g|`` at a point."""
    return float(np.linalg.norm(kernel.hessian_vector(theta, kernel.gradient(theta))))


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
            return eta**2 * found / 2
        radius = distance + 1.1 * eta * ball.slope
        if not np.isfinite(radius):
            break
    raise HypothesisError(
        f"no bound: needed a ball that gradient flow cannot leave within one step, got radii up to {radius:.3g}; "
        "use a smaller eta or fewer steps"
    )


def measured_bound(
    loss: Objective,
    start: ArrayLike,
    eta: float,
    steps: int,
    order: int = 0,
    curvature: Curvature | None = None,
    *,
    rtol: float = 1e-12,
    atol: float = 1e-14,
) -> Bound:
    """Distance of gradient descent from the equation of motion, a posteriori: with the measured defect.

    The equation of motion is integrated; what it misses the next iterate by is measured at each step, and only its
    growth is bounded. The bound holds for the numbers that the integrator returned; its own error is estimated and
    added.

    Parameters
    ----------
    loss : Objective
    start : array_like, shape (n,)
    eta : float
    steps : int
    order : int
        ``K`` of the equation of motion; 0 is gradient flow.
    curvature : Curvature, optional
        The closed form of the loss by default.
    rtol, atol : float
        Tolerances of `eomsym.flow`.

    Returns
    -------
    Bound
        At the times ``0, eta, …``.

    Raises
    ------
    HypothesisError
        If the distance leaves the domain of the curvature.

    Examples
    --------
    >>> import eomsym as eom
    >>> loss = eom.DeepLinear((1, 1, 1, 1), inputs=[[1.0]], targets=[[1.0]])
    >>> bound = measured_bound(loss, [0.3, 0.3, 0.3], eta=0.1, steps=50, order=1)
    >>> descent = eom.descend(loss, [0.3, 0.3, 0.3], eta=0.1, steps=50)
    >>> motion = eom.flow(eom.compile(loss, 1), [0.3, 0.3, 0.3], eta=0.1, time=descent.times)
    >>> true = np.linalg.norm(descent.thetas - motion.thetas, axis=1)
    >>> bool(np.all(true <= bound.values)), round(float(bound.value / true[-1]), 1)
    (True, 1.3)
    """
    rate, order = check_positive("eta", eta), checked_order(order)
    kernel = as_kernel(loss, order)
    known = checked_curvature(loss, curvature)
    times: Array = np.arange(checked_count(steps, "steps", 1) + 1.0) * rate
    path = flow(kernel, start, eta=rate, time=times, rtol=rtol, atol=atol)
    defects = path.thetas[1:] - path.thetas[:-1] + rate * kernel.gradient(path.thetas[:-1])
    values: Array = path.error + _propagate(kernel, known, path.thetas, defects, rate)
    hypotheses = (
        Hypothesis("each ball around the motion lies in the domain of the curvature", f"radius <= {values.max():.4g}"),
        Hypothesis("curvature", known.source),
    )
    note = f"the error of the integrator, about {path.error:.1e}, is an estimate and was added"
    claim = f"distance of gradient descent from the equation of motion of order {order} up to time {times[-1]:.4g}"
    source = "eomsym, derivations/fundamental_theorem"
    return Bound(claim, values, times, hypotheses, source, known.proven, (note,))


def _propagate(kernel: Kernel, known: Curvature, centres: Array, defects: Array, eta: float) -> Array:
    """Distances that defects grow to.

    Where the third derivative is bounded, the defects are propagated as vectors, ``e <- (I - eta A) e + d``, and only
    what that leaves out, ``eta/2 sup |DA| |e|**2``, is bounded in the norm.
    """
    values = np.zeros(len(centres))
    vector = np.zeros_like(centres[0])
    rest = 0.0  # |e - vector| is at most this
    for k, defect in enumerate(defects):
        around = known.at(centres[k])
        distance = values[k]
        size = float(np.linalg.norm(defect))
        plain = around.spectrum(distance).amplification(eta) * distance + size
        third = around.third(distance)
        if third is None:
            values[k + 1] = plain
        else:
            swell = around.spectrum(0.0).amplification(eta)
            rest = swell * rest + eta * third * distance**2 / 2
            vector = vector - eta * kernel.hessian_vector(centres[k], vector) + defect
            values[k + 1] = min(plain, float(np.linalg.norm(vector)) + rest)
        if not np.isfinite(values[k + 1]):
            raise HypothesisError(f"no bound: needed a finite tube, got {values[k + 1]} after {k + 1} steps; use fewer")
    return values
