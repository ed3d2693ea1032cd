"""Distances of gradient descent from its equation of motion, of thousands of cases at once.

The theorems of `eomsym.bounds.proven` and `eomsym.bounds.measured` with arrays in place of numbers: each case has its
own loss, start and learning rate, and a compiled kernel serves all of them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.integrate import DOP853

from eomsym import checks
from eomsym.bounds.batch_defects import batch_step_defects
from eomsym.bounds.batch_tubes import BatchTube
from eomsym.bounds.bound import checked_certificate
from eomsym.bounds.measured import WEIGHT
from eomsym.bounds.proven import ENLARGEMENTS
from eomsym.bounds.rounding import EPS, TERM, TINY, outward
from eomsym.bounds.terms import tree_bounds
from eomsym.curvature.families import Family, Neighbourhoods, PolynomialFamily
from eomsym.dynamics.descent import MOST_STEPS, checked_steps
from eomsym.errors import InputError, ShapeError
from eomsym.losses.expression import Loss
from eomsym.types import Array

__all__ = ["checked_cases", "checked_numbers", "many_distances"]

#: One step of a flow is cut into so many parts at most; a single motion may have eight times as many.
MOST_PARTS = 32


def many_distances(
    loss: Loss | Family,
    starts: ArrayLike,
    *,
    eta: ArrayLike,
    steps: int,
    order: int = 0,
    certificate: str = "measured",
) -> Array:
    """Bound the distance of gradient descent from its equation of motion for many starts, or many losses, at once.

    What `eomsym.bounds.distance` says of each case, some hundred times faster; for polynomials and small networks.

    Parameters
    ----------
    loss : Loss, PolynomialFamily or NetworkFamily
        A polynomial; or as many polynomials or networks of one shape as there are starts.
    starts : array_like, shape (m, n)
    eta : float or array_like, shape (m,)
        Learning rate.
    steps : int
    order : int
        ``K`` of the equation of motion; 0 is gradient flow.
    certificate : {"measured", "proven", "closed_form"}
        As of `eomsym.bounds.distance`.

    Returns
    -------
    ndarray, shape (m, steps+1)
        The bounds at the times ``0, eta, …``; infinite from where there is none on: the distance grows without limit,
        something diverges, or the motion would have to be followed by more than 32 parts (proven: 64 cells) of a step.

    Raises
    ------
    InputError
        If an argument cannot be used, or the loss is no polynomial.
    ShapeError
        If the starts do not fit the loss.

    Examples
    --------
    >>> import eomsym as eom
    >>> loss = eom.Loss("(x*y - 1)**2/2", variables="x y")
    >>> found = many_distances(loss, [[0.5, 0.5], [0.3, 0.6]], eta=[0.1, 0.2], steps=2, certificate="closed_form")
    >>> found.round(4)
    array([[0.    , 0.0014, 0.0025],
           [0.    , 0.0171, 0.037 ]])
    >>> single = eom.bounds.distance(loss, [0.3, 0.6], eta=0.2, steps=2, certificate="closed_form")
    >>> bool(np.isclose(found[1, 2], single.value, rtol=1e-6))
    True

    References
    ----------
    O. Elkabetz and N. Cohen, Continuous vs. Discrete Optimization of Deep Neural Networks, NeurIPS 2021,
    arXiv:2107.06608, theorem 2; here its discrete twin, of derivations/fundamental_theorem.
    """
    kind = checked_certificate(certificate, ("measured", "proven", "closed_form"))
    degree, count = checks.order(order, 16), checks.count(steps, "steps", 1, MOST_STEPS)
    family, thetas = checked_cases(loss, starts)
    rates = checked_numbers(eta, "eta", len(thetas))
    checked_steps(count, thetas.size, float(rates.max(initial=0.0)))
    with np.errstate(all="ignore"):  # what is not finite is reported as infinite
        values = {"measured": _measured, "proven": _tubes, "closed_form": _closed_forms}[kind](
            family, thetas, rates, count, degree
        )
    values[np.isnan(values)] = np.inf
    found: Array = np.maximum.accumulate(np.where(np.isinf(values), np.inf, 0.0), axis=1) + values
    return found


def checked_cases(loss: Loss | Family, starts: ArrayLike) -> tuple[Family, Array]:
    """The family of a loss, and a start for each of its losses.

    Raises
    ------
    InputError, ShapeError
        As of `many_distances`.
    """
    thetas = checks.array(starts, "starts")
    if thetas.ndim != 2:
        raise ShapeError(f"starts of shape {thetas.shape}: expected numbers of shape (m, n), a start in each row")
    family = loss if isinstance(loss, Family) else PolynomialFamily.of(loss, len(thetas))
    if thetas.shape != (len(family), family.size):
        raise ShapeError(f"starts of shape {thetas.shape}: expected {(len(family), family.size)}, one for each loss")
    return family, thetas


def checked_numbers(given: ArrayLike, name: str, count: int) -> Array:
    """Positive numbers, shape (m,), from one or from so many.

    Raises
    ------
    InputError
        If they are none.
    """
    numbers = checks.array(given, name)
    numbers = np.full(count, numbers) if numbers.ndim == 0 else numbers
    if numbers.shape != (count,) or not (numbers > 0).all():
        raise InputError(f"{name}={checks.shown(given)}: expected positive numbers, one or {count}")
    return numbers


def _step_rounding(around: Neighbourhoods, size: Array, eta: Array, slope: Array) -> Array:
    """As `eomsym.bounds.rounding.step_rounding`."""
    return EPS * (size + 2 * eta * slope) + 2 * eta * around.rounding() + 4 * TINY


# a priori -------------------------------------------------------------------------------------------------------------


def _closed_forms(family: Family, thetas: Array, eta: Array, steps: int, order: int) -> Array:
    """As `eomsym.bounds.proven.proven_distances`."""
    values = np.zeros((len(thetas), steps + 1))
    distance = drift = np.zeros(len(thetas))
    for k in range(steps):
        around = family.around(thetas)
        after = thetas - eta[:, None] * around.gradients
        slope = np.linalg.norm(around.gradients, axis=1)
        if order == 0:
            defect = _euler_defects(around, distance, eta)
        else:
            sizes = np.linalg.norm(family.terms(thetas, order + 1), axis=2).T
            trees = tree_bounds(around.known.at(np.zeros(len(thetas)), order + 1), order + 1)
            sizes = sizes + TERM * trees + around.rounding()
            defect = batch_step_defects(around.known, distance, eta, order, sizes)
        rounding = _step_rounding(around, np.linalg.norm(after, axis=1), eta, slope)
        distance = outward(around.spectrum(distance).amplification(eta) * distance + defect + rounding)
        drift = outward(around.spectrum(drift).amplification(eta) * drift + rounding)
        values[:, k + 1] = outward(distance + drift)
        thetas = np.where(np.isfinite(after), after, np.nan)
    return values


def _euler_defects(around: Neighbourhoods, distance: Array, eta: Array) -> Array:
    """``eta**2/2 sup |A g|`` on balls that gradient flow cannot leave within one step; infinite where there is none."""
    gradients = around.gradients
    smoothness = around.spectrum(np.zeros_like(distance)).smoothness
    slope = np.linalg.norm(gradients, axis=1)
    curved = np.linalg.norm(around.hessian_vectors(gradients), axis=1)
    curved = curved + TERM * gradients.shape[1] * smoothness * slope + smoothness * around.rounding()
    radius = distance + 1.1 * eta * around.spectrum(distance).slope
    defect, open_ = np.full(len(distance), np.inf), np.isfinite(radius)
    for _ in range(ENLARGEMENTS):
        ball = around.spectrum(radius)
        held = open_ & (distance + eta * ball.slope <= radius)
        third = around.third(radius)
        # The derivative of A g is A A + D A[., g].
        found = np.minimum(ball.smoothness * ball.slope, curved + radius * (ball.smoothness**2 + third * ball.slope))
        defect = np.where(held, eta**2 * found / 2, defect)
        open_ = open_ & ~held
        radius = np.where(open_, distance + 1.1 * eta * ball.slope, radius)
        open_ = open_ & np.isfinite(radius)
        if not open_.any():
            break
    return defect


def _tubes(family: Family, thetas: Array, eta: Array, steps: int, order: int) -> Array:
    """As `eomsym.bounds.tubes.tube_distances`."""
    values = np.zeros((len(thetas), steps + 1))
    tube, drift = BatchTube(family, thetas, eta, order), np.zeros(len(thetas))
    for k in range(steps):
        around = family.around(thetas)
        after = thetas - eta[:, None] * around.gradients
        slope = np.linalg.norm(around.gradients, axis=1)
        rounding = _step_rounding(around, np.linalg.norm(after, axis=1), eta, slope)
        drift = outward(around.spectrum(drift).amplification(eta) * drift + rounding)
        tube.advance()
        apart = np.linalg.norm(tube.centres - after, axis=1)
        values[:, k + 1] = outward(apart * (1 + family.size * EPS) + drift + tube.radii)
        thetas = np.where(np.isfinite(after), after, np.nan)
    return values


# a posteriori ---------------------------------------------------------------------------------------------------------


def _measured(family: Family, starts: Array, eta: Array, steps: int, order: int) -> Array:
    """As `eomsym.bounds.measured.measured_distances`."""
    values = np.full((len(starts), steps + 1), np.inf)
    values[:, 0] = 0.0
    smoothness = family.around(starts).spectrum(np.zeros(len(starts))).smoothness
    parts = 2 * np.clip(np.ceil(2 * eta * smoothness), 1, MOST_PARTS // 2)
    parts[~np.isfinite(parts)] = np.inf
    while np.isfinite(parts).any():
        count = int(np.min(parts))
        these = np.flatnonzero(parts == count)
        some, rate = family[these], eta[these]
        centres, moves = _motions(some, starts[these], rate, steps, order, count)
        arounds = [some.around(centres[:, k]) for k in range(steps)]
        doubts, good = _doubts(some, arounds, centres, moves, rate, order, count)
        values[these[good]] = _walk(some, arounds, centres, moves, doubts, rate, order)[good]
        parts[these] = np.where(good, np.inf, 4.0 * count if 4 * count <= MOST_PARTS else np.inf)
    return values


def _moves(family: Family, points: Array, eta: Array, order: int, parts: int) -> Array:
    """The way of each flow in the time eta, by equal steps of DOP853."""
    h = (eta / parts)[:, None]
    moved = np.zeros_like(points)
    slopes = np.empty((len(DOP853.B), *points.shape))
    for _ in range(parts):
        for i, row in enumerate(DOP853.A[: len(slopes)]):
            slopes[i] = family.field(points + (moved + h * np.tensordot(row[:i], slopes[:i], 1)), eta, order)
        moved = moved + h * np.tensordot(DOP853.B, slopes, 1)
    return moved


def _motions(family: Family, starts: Array, eta: Array, steps: int, order: int, parts: int) -> tuple[Array, Array]:
    """The motions at the times ``k eta``, shape (m, steps+1, n), and their ways in each step."""
    centres = np.empty((len(starts), steps + 1, family.size))
    moves = np.empty((len(starts), steps, family.size))
    centres[:, 0] = starts
    for k in range(steps):
        moves[:, k] = _moves(family, centres[:, k], eta, order, parts)
        centres[:, k + 1] = centres[:, k] + moves[:, k]
    return centres, moves


def _doubts(
    family: Family, arounds: list[Neighbourhoods], centres: Array, moves: Array, eta: Array, order: int,
    parts: int,
) -> tuple[Array, Any]:  # fmt: skip
    """Errors of the ways, shape (m, steps), and for which cases they are small enough."""
    doubts, good = np.empty(moves.shape[:2]), np.isfinite(moves).all(axis=(1, 2))
    count, steps, n = moves.shape
    points = centres[:, :-1].reshape(-1, n)
    again = _moves(family[np.repeat(np.arange(count), steps)], points, np.repeat(eta, steps), order, parts // 2)
    changes = 2 * np.linalg.norm(moves - again.reshape(moves.shape), axis=2)
    for k, around in enumerate(arounds):
        points = centres[:, k]
        stiff = eta * around.spectrum(np.zeros(len(eta))).smoothness
        terms = family.terms(points, order)
        powers = eta ** np.arange(1.0, order + 1)[:, None]
        series = np.sum(powers * tree_bounds(around.known.at(np.zeros(count), order), order)[1:], axis=0)
        speeds = np.linalg.norm(terms[:, 0], axis=1)
        field = around.rounding() + TERM * series + 4 * EPS * speeds
        lengths = np.linalg.norm(points, axis=1)
        rounding = EPS * lengths + 8 * EPS * (stiff * lengths + eta * speeds) + WEIGHT * eta * field * (1 + stiff)
        good &= changes[:, k] <= 1e-14 * np.linalg.norm(moves[:, k], axis=1) + rounding
        doubts[:, k] = changes[:, k] + rounding
    return doubts, good


def _walk(
    family: Family, arounds: list[Neighbourhoods], centres: Array, moves: Array, doubts: Array, eta: Array,
    order: int,
) -> Array:  # fmt: skip
    """The two distances, step by step: of the centres from gradient descent, and from the exact flow."""
    count, steps, n = moves.shape
    distance = error = rest = np.zeros(count)
    vector = np.zeros((count, n))
    values = np.zeros((count, steps + 1))
    here = np.zeros(count)
    for k, around in enumerate(arounds):
        jump = np.linalg.norm(centres[:, k + 1] - centres[:, k] - moves[:, k], axis=1) + doubts[:, k]
        radius = error + 1.5 * np.linalg.norm(moves[:, k], axis=1)
        growth = around.spectrum(radius).growth + _steeper(around, radius, eta, order)
        error = outward(np.exp(eta * growth) * error + jump)
        gradient = around.gradients
        defect = centres[:, k + 1] - centres[:, k] + eta[:, None] * gradient
        slope = np.linalg.norm(gradient, axis=1)
        rounding = EPS * (np.linalg.norm(centres[:, k + 1] - centres[:, k], axis=1) + 2 * eta * slope)
        rounding = rounding + 2 * eta * around.rounding()
        ball, centre = around.spectrum(distance), around.spectrum(here)
        length = np.linalg.norm(centres[:, k + 1], axis=1) + 2 * distance
        rounding = rounding + _step_rounding(around, length, eta, slope + ball.smoothness * distance)
        plain = ball.amplification(eta) * distance + np.linalg.norm(defect, axis=1) + rounding
        lost = (8 + 8 * eta * centre.smoothness * n) * EPS * np.linalg.norm(vector, axis=1)
        rest = centre.amplification(eta) * rest + eta * around.third(distance) * distance**2 / 2 + rounding + lost
        vector = vector - eta[:, None] * around.hessian_vectors(vector) + defect
        distance = outward(np.minimum(plain, np.linalg.norm(vector, axis=1) + rest))
        values[:, k + 1] = outward(distance + error)
    return values


def _steeper(around: Neighbourhoods, radius: Array, eta: Array, order: int) -> Array:
    """As `eomsym.bounds.rounding.steeper_terms`."""
    if order == 0:
        return np.zeros_like(radius)
    wide = np.maximum(radius, 1e-6)
    both = tree_bounds(around.known.at(wide[:, None] * np.array([1.0, 1.125]), order), order)
    chords = (both[..., 1] - both[..., 0]) / (0.125 * wide)
    found: Array = np.sum(eta ** np.arange(1.0, order + 1)[:, None] * chords[1:], axis=0)
    return np.where(np.isfinite(found), found, np.inf)
