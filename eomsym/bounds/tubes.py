"""The distance of gradient descent from its equation of motion, proven cell by cell along the motion.

The motion is integrated in cells of time, and each cell has numbers of its own: bounds on all derivatives of the
gradient on complex balls around its centre. With ``S(r)``, a bound on the velocity on the ball of radius r, they give

* the error of the integrator: flow and numerical step are analytic functions of a complex step z, for
  ``|z| <= rho = R/(a S(R))`` neither leaves the ball of radius R, and their difference has a zero of order ``q + 1`` at
  0, so that it is at most ``2 rho S(R) (h/rho)**(q + 1)`` by the maximum principle;
* the growth of an error within the cell, by the fundamental theorem: the logarithmic norm of the derivative of the
  velocity on the ball that neither motion can leave.

So the exact motion is known to within rounding, and so is exact gradient descent along its run in float64: the bound is
their distance in float64 and the two radii. See derivations/fundamental_theorem and derivations/best_truncation.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from eomsym.bounds.rounding import EPS, TERM, TINY, outward, step_rounding
from eomsym.bounds.terms import tree_bounds
from eomsym.bounds.truncation import HIGHEST
from eomsym.curvature.hessian import DENSE
from eomsym.dynamics.patience import Patience, watched
from eomsym.errors import HypothesisError, InputError, TableError
from eomsym.types import Array

if TYPE_CHECKING:
    from eomsym.codegen.kernel import Kernel
    from eomsym.curvature.hessian import Curvature, Neighbourhood

__all__ = ["tube_distances"]

#: Nodes of the method of Gauss; with 15 sweeps it has order 16.
NODES = 8
ZERO = 2 * NODES + 1
ZEROS = np.arange(3, ZERO + 1)
#: A step of gradient descent is cut into so many cells at most.
MOST_CELLS = 512
#: Radii at which the velocity is bounded, in units of the length of the point and of a step.
RADII = np.geomspace(1e-12, 1e3, 76)
RATIO = RADII[1] / RADII[0]
#: Where counter terms may part two motions by more than this in one step, the Jacobian at the centre of a cell pays.
STEEP = 0.2


@lru_cache(maxsize=1)
def _gauss() -> tuple[Array, Array, float]:
    """Matrix, weights and the largest row sum of magnitudes of the collocation method of Gauss."""
    nodes, weights = np.polynomial.legendre.leggauss(NODES)
    x = (nodes + 1) / 2
    powers = np.arange(NODES)
    # a_ij integrates the j-th Lagrange polynomial from 0 to x_i; by Legendre polynomials, which are well conditioned.
    values = np.polynomial.legendre.legvander(nodes, NODES)
    ends = np.polynomial.legendre.legvander(np.array([-1.0]), NODES)
    integrals = np.empty((NODES, NODES))
    for k in powers:  # of P_k from -1 to x: (P_(k+1) - P_(k-1))/(2k + 1)
        below = values[:, k - 1] - ends[:, k - 1] if k else 0.0
        integrals[:, k] = (values[:, k + 1] - ends[:, k + 1] - below) / (2 * k + 1)
    projection = (2 * powers[:, None] + 1) / 2 * values[:, :NODES].T * weights
    matrix = integrals @ projection / 2
    assert np.allclose(matrix.sum(axis=1), x, rtol=1e-13)
    # The weights are positive, with sum one: for the end of a step the row sum is one.
    return matrix, weights / 2, max(float(np.abs(matrix).sum(axis=1).max()), 1.0) * (1 + 1e-12)


def tube_distances(
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
    known : Curvature
        With bounds on all derivatives.
    thetas : ndarray, shape (k+1, n)
        The run in float64.
    eta : float
    order : int
    limit : float
        Of the distance.
    patience : Patience, optional
        How long it may take.

    Returns
    -------
    ndarray, shape (k+1,) or shorter
        They hold for exact gradient descent and for the run, and for the exact motion; rounding is included.

    Raises
    ------
    HypothesisError
        If the motion runs away, or leaves the domain of the curvature.
    Stopped
        If it takes longer than it may.

    Examples
    --------
    >>> import eomsym as eom
    >>> from eomsym.curvature.closed_form import curvature_of
    >>> loss = eom.Loss("x**2/2", variables="x")
    >>> run = eom.descend(loss, [1.0], eta=0.1, steps=2).thetas
    >>> found = tube_distances(eom.compile(loss, 0), curvature_of(loss), run, 0.1, 0)
    >>> bool(0 <= found[2] - (np.exp(-0.2) - 0.81) < 1e-14)
    True

    References
    ----------
    E. Hairer, S. P. Nørsett, G. Wanner, Solving Ordinary Differential Equations I (1993), sections I.10 and II.7,
    doi:10.1007/978-3-540-78862-1; the maximum principle as in E. Hairer, C. Lubich, G. Wanner (2006), theorem IX.7.6.
    """
    if order >= HIGHEST:
        raise HypothesisError(
            f"no bound: needed the trees of the order, which are too many from order {HIGHEST} on, got order {order}; "
            "use a lower order"
        )
    values, drift = [0.0], 0.0
    tube = _Tube(kernel.at_order(order), known, eta, thetas[0])
    for k, theta in enumerate(watched(thetas[:-1], patience)):
        around = known.at(theta)
        slope = float(np.linalg.norm(kernel.gradient(theta)))
        rounding = step_rounding(around, float(np.linalg.norm(thetas[k + 1])), eta, slope)
        drift = outward(around.spectrum(drift).amplification(eta) * drift + rounding)
        tube.advance()
        apart = float(np.linalg.norm(tube.centre - thetas[k + 1]))
        values.append(outward(apart * (1 + len(theta) * EPS) + drift + tube.radius))
        if not np.isfinite(values[-1]):
            raise HypothesisError(f"no bound: needed a finite tube, got {values[-1]} after {k + 1} steps; use fewer")
        if values[-1] > limit:
            break
    return np.array(values)


@dataclass(frozen=True, eq=False)
class _Cell:
    """What is known around the centre of a cell.

    Attributes
    ----------
    around : Neighbourhood
    radii : ndarray, shape (m,)
        Of complex balls.
    speed : ndarray, shape (m,)
        ``S``, at least the velocity on each of them.
    steep : ndarray, shape (m,)
        Lipschitz constant there of the counter terms from the first on.
    bend : ndarray, shape (m,)
        Lipschitz constant of the derivative of the velocity.
    valid : float
        Radius of the real ball on which this holds.
    haze : ndarray, shape (m,)
        Rounding of the velocity in float64.
    """

    around: Neighbourhood
    radii: Array
    speed: Array
    steep: Array
    bend: Array
    valid: float
    haze: Array


def _cell(kernel: Kernel, around: Neighbourhood, centre: Array, eta: float) -> _Cell:
    """Bounds on the velocity and its derivatives, from trees with the derivatives of the gradient at each node."""
    known, order = around.derivatives(), kernel.order
    moves = float(np.linalg.norm(kernel.field(centre, eta)))
    radii = RADII * (float(np.linalg.norm(centre)) + eta * moves or 1.0)
    powers = eta ** np.arange(order + 1.0)
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        # Power series in the radius with coefficients >= 0: divided differences to the right are above derivatives.
        balls = np.concatenate([[0.0], radii, radii[-1:] * RATIO, radii[-1:] * RATIO**2])
        series = powers[:, None] * tree_bounds(known.at(balls, order), order)
        total, first = series.sum(axis=0), series[1:].sum(axis=0)
        widths, (still, here) = np.diff(balls[1:]), (total[0], total[1:-2])
        steep = np.diff(first[1:-1]) / widths[:-1]
        # Of what cancels in the second difference rounding leaves some units.
        chords = np.diff(total[1:]) / widths
        bend = 2 * (np.diff(chords) + 32 * EPS * total[3:] / widths[:-1]) / (balls[3:] - balls[1:-2])
        haze = 2 * around.rounding() + TERM * first[1:-2] + 4 * EPS * series[0, 1:-2]
        velocity = moves + haze
        speed = np.minimum(here, velocity + (here - still) + 16 * EPS * here)
    bounds = [np.where(np.isnan(x), np.inf, x) for x in (speed, steep, bend, haze)]
    # What holds on a ball holds on those in it.
    speed, steep, bend, haze = (np.minimum.accumulate(x[::-1])[::-1] * (1 + 1e-9) + TINY for x in bounds)
    return _Cell(around, radii, speed, steep, bend, known.valid, haze)


class _Tube:
    """The motion as centres and radii: at each time the exact one is in the ball."""

    def __init__(self, kernel: Kernel, known: Curvature, eta: float, start: Array) -> None:
        self.kernel, self.known, self.eta = kernel, known, eta
        self.centre, self.radius = start, 0.0

    def advance(self) -> None:
        """One time eta."""
        left, cells = self.eta, 0
        while left > 0:
            cell = _cell(self.kernel, self.known.at(self.centre), self.centre, self.eta)
            count, reach, zero, truncation = self._cut(cell, left, cells)
            h = left / count
            move = self._move(h, zero)
            after = self.centre + move
            self.radius = self._grown(cell, h, reach, truncation, after)
            self.centre = after
            left = left - h if count > 1 else 0.0
            cells += 1

    def _cut(self, cell: _Cell, left: float, before: int) -> tuple[int, int, int, float]:
        """Into how many cells to cut what is left of the step, which ball the first one stays in, the order of the zero
        that the error of the integrator is to have, and that error."""
        *_, rows = _gauss()
        tolerance = EPS * (float(np.linalg.norm(self.centre)) + left * float(cell.speed[0])) / 4 + TINY
        counts = np.unique(np.round(np.geomspace(1, MOST_CELLS, 40)))
        counts = counts[counts <= MOST_CELLS - before]
        h = left / counts[:, None]
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            inside = self.radius + rows * h * cell.speed <= np.minimum(cell.radii, cell.valid)
            ratio = rows * h * cell.speed / cell.radii  # h/rho
            sizes = np.where(ratio < 1, 2 * cell.radii / rows, np.inf)
            allowed = max(tolerance, EPS * self.radius)
            fits = inside.any(axis=1) & ((sizes * ratio**ZERO).min(axis=1) <= allowed)
        if not fits.any():
            raise HypothesisError(
                f"no bound: needed a ball that the motion of order {self.kernel.order} cannot leave within a cell of "
                f"time, got none with {MOST_CELLS} cells a step; use a smaller eta, a lower order or fewer steps"
            )
        chosen = int(np.argmax(fits))
        smaller = np.minimum(ratio[chosen], 1.0)  # where it is not below 1 the size is infinite
        errors = (sizes[chosen] * smaller ** ZEROS[:, None]).min(axis=1)
        zero = int(np.argmax(errors <= allowed))
        return int(counts[chosen]), int(np.argmax(inside[chosen])), int(ZEROS[zero]), float(errors[zero])

    def _move(self, h: float, zero: int) -> Array:
        """The way within a cell, by sweeps of the method of Gauss: each adds one to the order."""
        matrix, weights, _ = _gauss()
        try:
            slopes = np.broadcast_to(self.kernel.field(self.centre, self.eta), (NODES, len(self.centre)))
            for _ in range(zero - 2):
                slopes = self.kernel.field(self.centre + h * (matrix @ slopes), self.eta)
        except (TableError, InputError) as error:  # not finite any more
            raise HypothesisError(f"no bound: needed a finite motion, got none: {error}") from error
        moved: Array = h * (weights @ slopes)
        return moved

    def _grown(self, cell: _Cell, h: float, reach: int, truncation: float, after: Array) -> float:
        """The radius after a cell."""
        *_, rows = _gauss()
        around, speed = cell.around, float(cell.speed[reach])
        growth = around.spectrum(float(cell.radii[reach])).growth + float(cell.steep[reach])
        if self.eta * float(cell.steep[reach]) > STEEP and len(after) <= DENSE:
            growth = min(growth, self._growth(cell, reach))
        # The stages see rounded points; an error in one of them is passed on to the others.
        size = float(np.linalg.norm(self.centre)) + float(np.linalg.norm(after))
        lipschitz = around.spectrum(float(cell.radii[reach])).smoothness + float(cell.steep[reach])
        shaken = float(cell.haze[reach]) + lipschitz * EPS * (size + (NODES + 4) * h * speed)
        passed = min(2 * rows * h * lipschitz, 700.0)
        rounding = h * shaken * float(np.exp(passed)) + EPS * (size + (NODES + 8) * h * speed + 4 * self.eta * speed)
        with np.errstate(over="ignore"):
            return outward(float(np.exp(h * growth)) * self.radius + truncation + rounding)

    def _growth(self, cell: _Cell, reach: int) -> float:
        """Logarithmic norm of the derivative of the velocity on a ball: at the centre, and what it changes by."""
        directions = np.eye(len(self.centre))
        jacobian = np.array([self.kernel.jacobian_vector(self.centre, one, self.eta) for one in directions])
        top = float(np.linalg.eigvalsh((jacobian + jacobian.T) / 2)[-1])
        slack = 1e-10 * (float(np.abs(jacobian).sum()) + float(cell.steep[reach]))
        return top + slack + float(cell.radii[reach] * cell.bend[reach])
