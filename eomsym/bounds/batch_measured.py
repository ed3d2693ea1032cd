"""`eomsym.bounds.measured` for many cases at once: the same theorem, arrays in place of numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.integrate import DOP853

from eomsym.bounds.measured import WEIGHT, embedded_error
from eomsym.bounds.rounding import EPS, TERM, TINY, chord_from, outward
from eomsym.bounds.terms import tree_bounds
from eomsym.curvature.families import Family, Neighbourhoods
from eomsym.types import Array

__all__ = ["MeasuredWalk", "step_rounding"]

#: One step of a flow is cut into so many parts at most; a single motion may have eight times as many.
MOST_PARTS = 32


class MeasuredWalk:
    """The two distances, step by step: of centres from gradient descent, and from the exact flow.

    A step whose way is not known well enough is made again with four times as many parts; `parts` is infinite where
    the most will not do.

    Parameters
    ----------
    family : Family
    starts : ndarray, shape (m, n)
    eta : ndarray, shape (m,)
    order : int
    """

    def __init__(self, family: Family, starts: Array, eta: Array, order: int) -> None:
        self.family, self.centres, self.eta, self.order = family, starts, eta, order
        self.distance = self.error = self.rest = np.zeros(len(starts))
        self.vector = np.zeros(starts.shape)
        stiff = eta * family.around(starts).spectrum(np.zeros(len(starts))).smoothness
        self.parts = 2 ** np.ceil(1 + np.log2(np.clip(2 * stiff, 1, MOST_PARTS // 2)))
        self.parts[~np.isfinite(self.parts)] = np.inf

    def keep(self, chosen: Any) -> None:
        """Go on with some of the cases only."""
        for name in ("family", "centres", "eta", "distance", "error", "rest", "vector", "parts"):
            setattr(self, name, getattr(self, name)[chosen])

    def advance(self) -> Array:
        """The bounds after one step more, shape (m,)."""
        around = self.family.around(self.centres)
        moved, doubts = self._ways(around)
        after = self.centres + moved
        way = after - self.centres
        self._flow_step(around, moved, np.linalg.norm(way - moved, axis=1) + doubts)
        self._descent_step(around, after, way)
        self.centres = after
        return outward(self.distance + self.error)

    def _ways(self, around: Neighbourhoods) -> tuple[Array, Array]:
        """The ways of the flows in the time eta, shape (m, n), and their errors; NaN where they are not known."""
        moved, doubts = np.full(self.centres.shape, np.nan), np.full(len(self.eta), np.nan)
        rounding = _rounding(around, self.centres, self.eta, self.order)
        parts = self.parts.copy()
        while np.isfinite(parts).any():
            count = int(np.min(parts))
            these = np.flatnonzero(parts == count)
            some, points, eta = self.family[these], self.centres[these], self.eta[these]
            ways, errors = _moves(some, points, eta, self.order, count)
            changes = 2 * np.linalg.norm(ways - _moves(some, points, eta, self.order, count // 2)[0], axis=1)
            good = np.maximum(changes, errors) <= 1e-14 * np.linalg.norm(ways, axis=1) + rounding[these]
            moved[these[good]], doubts[these[good]] = ways[good], (changes + errors + rounding[these])[good]
            self.parts[these] = np.where(good, count, 4.0 * count if 4 * count <= MOST_PARTS else np.inf)
            parts[these] = np.where(good, np.inf, self.parts[these])
        return moved, doubts

    def _flow_step(self, around: Neighbourhoods, moved: Array, jump: Array) -> None:
        """The distance from the exact flow."""
        radius = self.error + 1.5 * np.linalg.norm(moved, axis=1)
        growth = around.spectrum(radius).growth + _steeper(around, radius, self.eta, self.order)
        self.error = outward(np.exp(self.eta * growth) * self.error + jump)

    def _descent_step(self, around: Neighbourhoods, after: Array, way: Array) -> None:
        """The distance from gradient descent: a part that is a vector, and one that is bounded in the norm."""
        eta, distance, gradient = self.eta, self.distance, around.gradients
        defect, slope = way + eta[:, None] * gradient, np.linalg.norm(gradient, axis=1)
        rounding = EPS * (np.linalg.norm(way, axis=1) + 2 * eta * slope) + 2 * eta * around.rounding()
        ball, centre = around.spectrum(distance), around.spectrum(np.zeros(len(eta)))
        length = np.linalg.norm(after, axis=1) + 2 * distance
        rounding = rounding + step_rounding(around, length, eta, slope + ball.smoothness * distance)
        plain = ball.amplification(eta) * distance + np.linalg.norm(defect, axis=1) + rounding
        lost = (8 + 8 * eta * centre.smoothness * self.family.size) * EPS * np.linalg.norm(self.vector, axis=1)
        curved = eta * around.third(distance) * distance**2 / 2
        self.rest = centre.amplification(eta) * self.rest + curved + rounding + lost
        self.vector = self.vector - eta[:, None] * around.hessian_vectors(self.vector) + defect
        self.distance = outward(np.minimum(plain, np.linalg.norm(self.vector, axis=1) + self.rest))


def step_rounding(around: Neighbourhoods, size: Array, eta: Array, slope: Array) -> Array:
    """As `eomsym.bounds.rounding.step_rounding`."""
    return EPS * (size + 2 * eta * slope) + 2 * eta * around.rounding() + 4 * TINY


def _moves(family: Family, points: Array, eta: Array, order: int, parts: int) -> tuple[Array, Array]:
    """The way of each flow in the time eta, by equal steps of DOP853, and its estimated error."""
    h = (eta / parts)[:, None]
    moved, errors = np.zeros_like(points), np.zeros(len(points))
    slopes = np.empty((len(DOP853.B), *points.shape))
    for _ in range(parts):
        for i, row in enumerate(DOP853.A[: len(slopes)]):
            slopes[i] = family.field(points + (moved + h * np.tensordot(row[:i], slopes[:i], 1)), eta, order)
        moved = moved + h * np.tensordot(DOP853.B, slopes, 1)
        errors = errors + embedded_error(h * slopes)
    return moved, errors


def _rounding(around: Neighbourhoods, points: Array, eta: Array, order: int) -> Array:
    """Largest errors of the ways of one step by rounding, shape (m,)."""
    nothing = np.zeros(len(eta))
    stiff = eta * around.spectrum(nothing).smoothness
    powers = eta ** np.arange(1.0, order + 1)[:, None]
    series = np.sum(powers * tree_bounds(around.known.at(nothing, order), order)[1:], axis=0)
    speeds = np.linalg.norm(around.gradients, axis=1)
    field = around.rounding() + TERM * series + 4 * EPS * speeds
    lengths = np.linalg.norm(points, axis=1)
    found: Array = EPS * lengths + 8 * EPS * (stiff * lengths + eta * speeds) + WEIGHT * eta * field * (1 + stiff)
    return found


def _steeper(around: Neighbourhoods, radius: Array, eta: Array, order: int) -> Array:
    """As `eomsym.bounds.rounding.steeper_terms`."""
    if order == 0:
        return np.zeros_like(radius)
    wide = chord_from(around.known.at(np.zeros_like(radius), 2), radius)
    both = tree_bounds(around.known.at(wide[:, None] * np.array([1.0, 1.125]), order), order)
    chords = (1 + 1e-9) * (both[..., 1] - both[..., 0]) / (0.125 * wide)
    found: Array = np.sum(eta ** np.arange(1.0, order + 1)[:, None] * chords[1:], axis=0)
    return np.where(np.isfinite(found), found, np.inf)
