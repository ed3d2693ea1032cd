"""Distances of gradient descent from its equation of motion, of thousands of cases at once.

The theorems of `eomsym.bounds.proven` and `eomsym.bounds.measured` with arrays in place of numbers: each case has its
own loss, start and learning rate, and a compiled kernel serves all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike

from eomsym import checks
from eomsym.bounds.batch_defects import batch_step_defects
from eomsym.bounds.batch_measured import MeasuredWalk, step_rounding
from eomsym.bounds.batch_tubes import BatchTube
from eomsym.bounds.bound import checked_certificate
from eomsym.bounds.proven import ENLARGEMENTS
from eomsym.bounds.rounding import EPS, TERM, outward, term_rounding
from eomsym.bounds.terms import tree_bounds
from eomsym.curvature.families import Family, Neighbourhoods, PolynomialFamily
from eomsym.curvature.norms import lengths
from eomsym.dynamics.descent import MOST_STEPS, checked_steps
from eomsym.errors import InputError, ShapeError
from eomsym.losses.expression import Loss
from eomsym.types import Array

__all__ = ["Walk", "checked_cases", "checked_numbers", "followed", "many_distances", "walk_of"]


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
    From 400 cases on the terms are compiled as closed forms, a second or two for each new shape and order.

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
    found = np.full((len(thetas), count + 1), np.inf)
    found[:, 0] = 0.0
    walk = walk_of(kind, family, thetas, rates, degree)
    for k, (places, values) in enumerate(followed(walk, np.full(len(thetas), count), np.inf), 1):
        found[places, k] = values
    found[np.isnan(found)] = np.inf
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


class Walk(Protocol):
    """Bounds for many cases, step by step."""

    def advance(self) -> Array:
        """The bounds after one step more, shape (m,); what is no number or infinite is no bound."""

    def keep(self, chosen: Any) -> None:
        """Go on with some of the cases only, chosen by a mask."""


@np.errstate(all="ignore")
def walk_of(kind: str, family: Family, starts: Array, eta: Array, order: int) -> Walk:
    """The walk of a certificate."""
    walks: dict[str, Callable[..., Walk]] = {
        "measured": MeasuredWalk,
        "proven": _TubeWalk,
        "closed_form": _ClosedFormWalk,
    }
    return walks[kind](family, starts, eta, order)


def followed(walk: Walk, steps: Array, limits: Array | float) -> Iterator[tuple[Any, Array]]:
    """Walk each case so many steps, but no further than to the first bound above its limit.

    Parameters
    ----------
    walk : Walk
        Of m cases.
    steps : ndarray of int, shape (m,)
    limits : ndarray, shape (m,), or float

    Yields
    ------
    places : ndarray of int
        The cases that are still on their way.
    values : ndarray
        Their bounds after one step more.
    """
    places, limits = np.arange(len(steps)), np.broadcast_to(limits, steps.shape)
    done = 0
    while len(places):
        with np.errstate(all="ignore"):  # what is not finite ends here
            values = walk.advance()
        yield places, values
        done += 1
        going = (values <= limits[places]) & np.isfinite(values) & (steps[places] > done)
        if not going.all():
            places = places[going]
            walk.keep(going)


class _ClosedFormWalk:
    """As `eomsym.bounds.proven.proven_distances`."""

    def __init__(self, family: Family, starts: Array, eta: Array, order: int) -> None:
        self.family, self.thetas, self.eta, self.order = family, starts, eta, order
        self.distance = self.drift = np.zeros(len(starts))

    def keep(self, chosen: Any) -> None:
        self.family, self.thetas, self.eta = self.family[chosen], self.thetas[chosen], self.eta[chosen]
        self.distance, self.drift = self.distance[chosen], self.drift[chosen]

    def advance(self) -> Array:
        eta, distance = self.eta, self.distance
        around = self.family.around(self.thetas)
        if self.order == 0:
            defect = _euler_defects(around, distance, eta)
        else:
            sizes = lengths(self.family.terms(self.thetas, self.order + 1)).T
            trees = tree_bounds(around.known.at(np.zeros(len(eta)), self.order + 1), self.order + 1)
            sizes = sizes + term_rounding(trees, around.rounding())
            defect = batch_step_defects(around.known, distance, eta, self.order, sizes)
        self.thetas, rounding = _descended(around, self.thetas, eta)
        self.distance = outward(around.spectrum(distance).amplification(eta) * distance + defect + rounding)
        self.drift = outward(around.spectrum(self.drift).amplification(eta) * self.drift + rounding)
        return outward(self.distance + self.drift)


class _TubeWalk:
    """As `eomsym.bounds.tubes.tube_distances`."""

    def __init__(self, family: Family, starts: Array, eta: Array, order: int) -> None:
        self.tube, self.thetas, self.drift = BatchTube(family, starts, eta, order), starts, np.zeros(len(starts))

    def keep(self, chosen: Any) -> None:
        self.tube.keep(chosen)
        self.thetas, self.drift = self.thetas[chosen], self.drift[chosen]

    def advance(self) -> Array:
        family, eta = self.tube.family, self.tube.eta
        around = family.around(self.thetas)
        self.thetas, rounding = _descended(around, self.thetas, eta)
        self.drift = outward(around.spectrum(self.drift).amplification(eta) * self.drift + rounding)
        self.tube.advance()
        apart = np.linalg.norm(self.tube.centres - self.thetas, axis=1)
        return outward(apart * (1 + family.size * EPS) + self.drift + self.tube.radii)


def _descended(around: Neighbourhoods, thetas: Array, eta: Array) -> tuple[Array, Array]:
    """A step of gradient descent, and its rounding."""
    after = thetas - eta[:, None] * around.gradients
    slope = np.linalg.norm(around.gradients, axis=1)
    return after, step_rounding(around, np.linalg.norm(after, axis=1), eta, slope)


def _euler_defects(around: Neighbourhoods, distance: Array, eta: Array) -> Array:
    """``eta**2/2 sup |A g|`` on balls that gradient flow cannot leave within one step; infinite where there is none."""
    gradients = around.gradients
    smoothness = around.spectrum(np.zeros_like(distance)).smoothness
    slope = np.linalg.norm(gradients, axis=1)
    curved = lengths(around.hessian_vectors(gradients))
    curved = curved + TERM * gradients.shape[1] * smoothness * slope + smoothness * around.rounding()
    radius = distance + 1.1 * eta * around.spectrum(distance).slope
    defect, open_ = np.full(len(distance), np.inf), np.isfinite(radius)
    for _ in range(ENLARGEMENTS):
        ball = around.spectrum(radius)
        held = open_ & (distance + eta * ball.slope <= radius)
        third = around.third(radius)
        # The derivative of A g is A A + D A[., g].
        found = np.minimum(ball.smoothness * ball.slope, curved + radius * (ball.smoothness**2 + third * ball.slope))
        defect = np.where(held, eta * (eta * found) / 2, defect)
        open_ = open_ & ~held
        radius = np.where(open_, distance + 1.1 * eta * ball.slope, radius)
        open_ = open_ & np.isfinite(radius)
        if not open_.any():
            break
    return defect
