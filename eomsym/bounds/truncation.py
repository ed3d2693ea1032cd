"""How large the defect of one step can be.

One step of the equation of motion of order K misses gradient descent by its *defect*. It is bounded by the maximum
principle in the learning rate and by the counter terms that are left out; see derivations/best_truncation.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import exprel

from eomsym import checks
from eomsym.bounds.bound import Bound, Hypothesis, require
from eomsym.bounds.terms import tree_bounds
from eomsym.checks import shown
from eomsym.curvature.derivatives import Derivatives
from eomsym.errors import HypothesisError, InputError
from eomsym.types import Array

__all__ = ["defect_bound", "exponential_bound", "step_defect", "times_powers"]

GROWTHS = 12
HIGHEST = 17
TINY = float(np.finfo(np.float64).tiny)
#: Terms below this may have lost summands that vanish.
FAINT = 1e-290
#: ``c = 2/(2 ln 2 - 1)``.
CONSTANT = 2 / (2 * np.log(2) - 1)
#: At least ``e (2 + (ln 2) c/2 sup_N sum_(i<N) (i/N)**i)``; the supremum is 1.0022, at N = 6.
GAMMA = 10.35
SOURCE = "eomsym, derivations/best_truncation, after Hairer, Lubich, Wanner (2006), theorems IX.7.5 and IX.7.6"


def defect_bound(terms: ArrayLike, radius: ArrayLike, eta: float) -> float:
    """Largest distance after one step between the equation of motion and gradient descent from the same point.

    As a function of a complex learning rate z the distance has a zero of order K + 2. The motion moves no faster than
    ``S(r) = sum_(k<=K) |z|**k |term_k|`` as long as it is in the ball of radius r, so for ``|z| <= eps`` it reaches the
    radius R not before ``int_0^R dr/S(r)``. If that is at least ``eps``, the distance is at most
    ``(eta/eps)**(K+2) (R + eps |g|)`` for ``eta <= eps`` by the maximum principle. The best ``eps`` is taken.

    Parameters
    ----------
    terms : array_like, shape (K+1,) or (K+1, m)
        Bounds on the counter terms ``0 … K`` on the complex ball of radius r around the point.
    radius : float or array_like, shape (m,)
        ``r``, increasing if there are several.
    eta : float

    Returns
    -------
    float

    Raises
    ------
    HypothesisError
        If `eta` is too large for the balls.
    InputError
        If the radii do not increase.

    Examples
    --------
    For ``g = x`` at 1 the terms are ``x/(k+1)``, on the ball of radius 2 at most ``3/(k+1)``. The distance at order 1
    is about ``eta**3/3``:

    >>> 1e-9 / 3 < defect_bound([3.0, 1.5], 2.0, eta=1e-3) < 5e-8
    True

    References
    ----------
    E. Hairer, C. Lubich, G. Wanner (2006), theorem IX.7.6, doi:10.1007/3-540-30666-8, the proof; there with one ball.
    """
    rate, balls = checks.positive(eta, "eta"), np.atleast_1d(np.asarray(radius, dtype=np.float64))
    if not (np.diff(balls, prepend=0.0) > 0).all():
        raise InputError(f"radius={shown(radius)}: expected a positive number, or several that increase")
    known = np.asarray(terms, dtype=np.float64).reshape(-1, len(balls))
    # What holds on a ball holds on those in it.
    known = np.maximum(np.minimum.accumulate(known[:, ::-1], axis=1)[:, ::-1], TINY)
    widths = np.diff(balls, prepend=0.0)
    widest = max(float(np.sum(widths / known[0])) / rate, 1.0)
    circles = rate * widest ** np.linspace(0.0, 1.0, 60)
    with np.errstate(over="ignore", invalid="ignore"):
        speed = np.zeros((len(circles), len(balls)))
        for row in known[::-1]:
            speed = speed * circles[:, None] + row
        times = np.cumsum(widths / speed, axis=1)
        arrived = times >= circles[:, None]
        stays = arrived[:, -1]
        require(
            bool(stays.any()),
            f"a disc |z| <= eps, eps >= eta, in which the motion of order {len(known) - 1} stays in the balls",
            f"eta |g|/r = {float(np.min(rate * known[0] / balls)):.3g} and more with the counter terms",
            "use a smaller eta",
        )
        last = np.argmax(arrived, axis=1)[stays]
        eps, rows = circles[stays], np.flatnonzero(stays)
        before = np.where(last > 0, times[rows, last - 1], 0.0)
        away = np.where(last > 0, balls[last - 1], 0.0) + (eps - before) * speed[rows, last]
        found = (rate / eps) ** (len(known) + 1) * (away + eps * known[0, 0])
    return float(np.min(found))


def step_defect(
    derivatives: Derivatives | ArrayLike,
    distance: float,
    eta: float,
    order: int,
    measured: ArrayLike = (),
    highest: int = 15,
) -> float:
    """Largest distance after one step between the equation of motion of order K and gradient descent, from all points
    of a ball.

    The motion of a higher order J is compared with gradient descent by `defect_bound`, and with the motion of order K
    by the fundamental theorem: at the time s their fields differ by ``sum_(K<k<=J) eta**k |term_k|`` on the small ball
    that both cannot have left by then. The best J is taken.

    Parameters
    ----------
    derivatives : Derivatives or array_like, shape (m,)
        Bounds on g and all its derivatives at the centre, along complex directions; those that are left out are zero.
    distance : float
        Radius of the ball.
    eta : float
    order : int
        ``K``.
    measured : array_like, shape (m,)
        Norms of the first counter terms at the centre, which sharpen the bound.
    highest : int
        J goes up to it, or to ``K + 1`` if that is more; at most 17.

    Returns
    -------
    float

    Raises
    ------
    HypothesisError
        If `eta` is too large, or the order is above 16.

    Examples
    --------
    For ``g = x`` at 1 the true distance at order 1 is ``eta**3/3 + …``:

    >>> 1e-9 / 3 < step_defect([1.0, 1.0], 0.0, eta=1e-3, order=1) < 1e-9 / 2.9
    True
    """
    known = derivatives
    if not isinstance(known, Derivatives):
        known = Derivatives(np.asarray(known, dtype=np.float64))
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):  # what is not finite bounds nothing
        return _step_defect(known, distance, eta, order, np.asarray(measured, dtype=np.float64), highest)


def _step_defect(known: Derivatives, distance: float, eta: float, order: int, exact: Array, highest: int) -> float:
    top = min(max(highest, order + 1), HIGHEST)
    if order >= HIGHEST:
        raise HypothesisError(
            f"no bound: needed the trees of one order more, which are too many from order {HIGHEST + 1} on, got order "
            f"{order}; use a lower order"
        )
    steepest = float(known.at(distance, 0)[0])
    if not np.isfinite(steepest):
        raise HypothesisError(
            f"no bound: needed a bounded gradient on the complex ball of radius {distance:.3g}, got none: the closed "
            "form ends before; use a smaller eta or fewer steps"
        )
    radii = (eta * steepest or 1.0) * np.geomspace(0.05, 1000.0, 48)

    def ways(radius: ArrayLike) -> Array:
        """``eta**(k+1) |term_k|`` on balls: with ``eta g`` for g no power of eta alone is too large for float64."""
        return tree_bounds(eta * known.at(radius, top), top)

    wide, inner = ways(distance + radii), ways(distance)
    seen = min(len(exact), top + 1)
    exact = times_powers(exact[:seen], eta)
    series = inner
    for _ in range(GROWTHS):  # of a ball that the motions cannot leave within one step
        reach = 1.2 * float(np.sum(series[: int(np.argmin(series)) + 1]))  # before it diverges
        ball = distance + reach
        near, far = ways(ball * np.array([1.0, 1.125])).T
        # Power series in the radius with coefficients >= 0: convex, and a chord is steeper than the derivative.
        steeper = (far - near) / (0.125 * ball) if ball > 0 else np.zeros_like(near)
        mean = (inner + near) / 2  # over the way from `distance` to `ball`, at least
        for bounds, radius in ((mean, (distance + ball) / 2), (near, ball)):
            bounds[:seen] = np.minimum(bounds[:seen], exact + radius * steeper[:seen])
        travelled = np.cumsum(near)
        if travelled[int(np.argmin(series))] <= reach or not np.isfinite(reach):
            break
        series = near
    best = np.inf
    refusal: HypothesisError | None = None
    for last in range(order, top + 1):
        stays = ball <= known.valid and travelled[last] <= reach
        if not stays and (last > order or known.valid < np.inf):
            continue
        try:
            defect = defect_bound(wide[: last + 1], radii, 1.0)
        except HypothesisError as error:
            refusal = error
            continue
        if last > order:
            left_out = slice(order + 1, last + 1)
            growth = float(np.sum(steeper[: last + 1]))
            # The field that is left out grows with time and what is still to be amplified by falls: the mean of the
            # product is at most the product of the means.
            defect += float(exprel(growth)) * float(np.sum(mean[left_out]))
        best = min(best, defect)
    if not np.isfinite(best):
        raise refusal or HypothesisError(
            f"no bound: needed one step to stay in the ball of radius {known.valid:.3g} in which the closed form "
            f"holds, got {ball:.3g}; use a smaller eta"
        )
    return best


def times_powers(terms: Array, eta: float | Array) -> Array:
    """``eta**(k+1) terms[k]``, and above it where a term may be less than float64 has digits for.

    Parameters
    ----------
    terms : ndarray, shape (k,) or (k, m)
    eta : float or ndarray, shape (m,)

    Examples
    --------
    >>> times_powers(np.array([1.0, 2.0]), 0.1).round(9)
    array([0.1 , 0.02])
    """
    ways: Array = np.maximum(terms, FAINT)
    for k in range(len(ways)):
        ways[k:] *= eta
    return ways


def exponential_bound(bound: float, radius: float, eta: float) -> Bound:
    """The order that suits a learning rate, and the exponentially small error of one step there.

    With ``h_0 = R/(e c M)``, ``c = 2/(2 ln 2 - 1)``, and ``N = floor(h_0/eta)`` terms, one step of the equation of
    motion is within ``10.35 eta M exp(-h_0/eta)`` of gradient descent.

    Parameters
    ----------
    bound : float
        ``M``, at least ``|g|`` on the complex ball of radius `radius` around the point.
    radius : float
        ``R``.
    eta : float
        At most ``h_0``.

    Returns
    -------
    Bound
        `values` has the one entry ``10.35 eta M exp(-h_0/eta)``; the order ``N - 1`` stands in its hypotheses.

    Raises
    ------
    HypothesisError
        If ``eta > h_0``.

    Examples
    --------
    >>> print(exponential_bound(1.0, 1.0, eta=0.01))
    bound 8.493e-05: distance after one step of the equation of motion of order 6 from gradient descent
      given eta <= h_0 = R/(e c M) (eta = 0.01, h_0 = 0.07105)
      given |g| <= M on the complex ball of radius R (M = 1, R = 1)
      from eomsym, derivations/best_truncation, after Hairer, Lubich, Wanner (2006), theorems IX.7.5 and IX.7.6
    """
    size, outer, rate = checks.positive(bound, "bound"), checks.positive(radius, "radius"), checks.positive(eta, "eta")
    limit = outer / (np.e * CONSTANT * size)
    hypotheses = (
        require(rate <= limit, "eta <= h_0 = R/(e c M)", f"eta = {rate:.4g}, h_0 = {limit:.4g}", "use a smaller eta"),
        Hypothesis("|g| <= M on the complex ball of radius R", f"M = {size:.4g}, R = {outer:.4g}"),
    )
    order = int(limit / rate) - 1
    value = GAMMA * rate * size * np.exp(-limit / rate)
    claim = f"distance after one step of the equation of motion of order {order} from gradient descent"
    return Bound(claim, np.array([value]), np.array([rate]), hypotheses, SOURCE)
