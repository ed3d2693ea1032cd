"""`eomsym.bounds.tubes` for many cases at once: the same theorems, arrays in place of numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from eomsym.bounds.rounding import EPS, TERM, TINY, outward
from eomsym.bounds.terms import tree_bounds
from eomsym.bounds.tubes import MOST_CELLS, NODES, RADII, STEEP, ZERO, _gauss
from eomsym.curvature.families import Family, Neighbourhoods
from eomsym.types import Array

__all__ = ["BatchTube"]

COUNTS = np.unique(np.round(np.geomspace(1, MOST_CELLS, 40)))
#: A step of gradient descent is cut into so many cells at most; a single one may be cut into more.
MOST = 64
#: Cases side by side: their tables stay in the cache of a core.
SIDE_BY_SIDE = 128


@dataclass(frozen=True, eq=False)
class _Cells:
    """As `eomsym.bounds.tubes._Cell`, with a row for each case."""

    around: Neighbourhoods
    radii: Array
    speed: Array
    steep: Array
    bend: Array
    haze: Array

    def at(self, name: str, place: Array) -> Array:
        """A number of each case, at its own radius."""
        found: Array = getattr(self, name)[np.arange(len(place)), place]
        return found


class BatchTube:
    """The motions of many cases as centres, shape (m, n), and radii, shape (m,): at each time the exact motion is in
    the ball. A radius is infinite from where there is no bound on.

    Parameters
    ----------
    family : Family
    starts : ndarray, shape (m, n)
    eta : ndarray, shape (m,)
    order : int
    """

    def __init__(self, family: Family, starts: Array, eta: Array, order: int) -> None:
        self.family, self.eta, self.order = family, eta, order
        self.centres, self.radii = starts.copy(), np.zeros(len(starts))

    def keep(self, chosen: Any) -> None:
        """Go on with some of the cases only."""
        self.family, self.eta = self.family[chosen], self.eta[chosen]
        self.centres, self.radii = self.centres[chosen], self.radii[chosen]

    def advance(self) -> None:
        """One time eta."""
        lefts, cells = self.eta.copy(), np.zeros(len(self.eta))
        lefts[~np.isfinite(self.radii)] = 0.0
        while (lefts > 0).any():
            active = np.flatnonzero(lefts > 0)
            for begin in range(0, len(active), SIDE_BY_SIDE):
                some = active[begin : begin + SIDE_BY_SIDE]
                lefts[some] = self._cell(some, lefts[some], cells[some])
            cells[active] += 1

    def _cell(self, some: Any, left: Array, before: Array) -> Array:
        """One cell of some cases; returns what is left of the step."""
        centre, eta = self.centres[some], self.eta[some]
        cells = _cells(self.family[some], centre, eta, self.order)
        count, reach, truncation = self._cut(cells, some, left, before)
        h = left / count
        after = centre + self._move(some, h)
        radius = self._grown(cells, some, h, reach, truncation, after)
        fine = np.isfinite(radius) & np.isfinite(after).all(axis=1)
        self.radii[some] = np.where(fine, radius, np.inf)
        self.centres[some] = np.where(fine[:, None], after, centre)
        return np.where(fine & (count > 1), left - h, 0.0)

    def _cut(self, cells: _Cells, some: Array, left: Array, before: Array) -> tuple[Array, Array, Array]:
        """Into how many cells to cut what is left, which ball the first one stays in, and its error."""
        *_, rows = _gauss()
        radius, lanes = self.radii[some], np.arange(len(some))
        lengths = np.linalg.norm(self.centres[some], axis=1)
        tolerance = np.maximum(EPS * (lengths + left * cells.speed[:, 0]) / 4 + TINY, EPS * radius)
        # The longest cells that stay in one of the balls, and whose error is small enough by one of them.
        balls = np.minimum(cells.radii, np.reshape(cells.around.known.valid, (-1, 1)))
        staying = ((balls - radius[:, None]) / (rows * cells.speed)).max(axis=1)
        ratio = np.minimum((tolerance[:, None] * rows / (2 * cells.radii)) ** (1 / ZERO), 1 - EPS)
        longest = np.minimum(staying, (cells.radii / (rows * cells.speed) * ratio).max(axis=1))
        place = np.searchsorted(COUNTS, left / longest * (1 + 1e-12))
        count = COUNTS[np.minimum(place, len(COUNTS) - 1)]
        h = (left / count)[:, None]
        inside = radius[:, None] + rows * h * cells.speed <= balls
        ratio = rows * h * cells.speed / cells.radii
        errors = np.where(ratio < 1, 2 * cells.radii / rows * ratio**ZERO, np.inf).min(axis=1)
        held = inside.any(axis=1) & (place < len(COUNTS)) & (count <= MOST - before)
        reach = np.argmax(inside, axis=1)
        return count, reach, np.where(held & np.isfinite(cells.speed[lanes, reach]), errors, np.inf)

    def _move(self, some: Array, h: Array) -> Array:
        """The ways within the cells, by sweeps of the method of Gauss."""
        matrix, weights, _ = _gauss()
        centre, eta = self.centres[some], np.tile(self.eta[some], NODES)
        stages = self.family[np.tile(some, NODES)]
        slopes = np.broadcast_to(self.family[some].field(centre, self.eta[some], self.order), (NODES, *centre.shape))
        for _ in range(ZERO - 2):
            points = centre + h[:, None] * np.tensordot(matrix, slopes, 1)
            slopes = stages.field(points.reshape(-1, centre.shape[1]), eta, self.order).reshape(points.shape)
        moved: Array = h[:, None] * np.tensordot(weights, slopes, 1)
        return moved

    def _grown(
        self, cells: _Cells, some: Array, h: Array, reach: Array, truncation: Array, after: Array
    ) -> Array:  # fmt: skip
        """The radii after the cells."""
        *_, rows = _gauss()
        eta, speed, steep = self.eta[some], cells.at("speed", reach), cells.at("steep", reach)
        ball = cells.around.spectrum(cells.at("radii", reach))
        growth = ball.growth + steep
        bent = np.flatnonzero(eta * steep > STEEP)
        if len(bent):
            growth[bent] = np.minimum(growth[bent], self._growth(cells, some, reach, bent))
        size = np.linalg.norm(self.centres[some], axis=1) + np.linalg.norm(after, axis=1)
        lipschitz = ball.smoothness + steep
        shaken = cells.at("haze", reach) + lipschitz * EPS * (size + (NODES + 4) * h * speed)
        passed = np.minimum(2 * rows * h * lipschitz, 700.0)
        rounding = h * shaken * np.exp(passed) + EPS * (size + (NODES + 8) * h * speed + 4 * eta * speed)
        found: Array = outward(np.exp(h * growth) * self.radii[some] + truncation + rounding)
        return found

    def _growth(self, cells: _Cells, some: Array, reach: Array, chosen: Any) -> Array:
        """Logarithmic norms of the derivatives of the velocities on balls, of those that are chosen."""
        these = some[chosen]
        jacobians = self.family[these].jacobians(self.centres[these], self.eta[these], self.order)
        fine = np.isfinite(jacobians).all(axis=(1, 2))
        top = np.full(len(these), np.inf)
        top[fine] = np.linalg.eigvalsh((jacobians[fine] + jacobians[fine].transpose(0, 2, 1)) / 2)[:, -1]
        radii, steep, bend = (cells.at(name, reach)[chosen] for name in ("radii", "steep", "bend"))
        found: Array = top + 1e-10 * (np.abs(jacobians).sum(axis=(1, 2)) + steep) + radii * bend
        return found


def _cells(family: Family, centre: Array, eta: Array, order: int) -> _Cells:
    """As `eomsym.bounds.tubes._cell`."""
    around = family.around(centre)
    moves = np.linalg.norm(family.field(centre, eta, order), axis=1)
    sizes = np.linalg.norm(centre, axis=1) + eta * moves
    radii = RADII * np.where(sizes > 0, sizes, 1.0)[:, None]
    width, m = 0.25 * radii, len(RADII)
    balls = np.concatenate([np.zeros((len(eta), 1)), radii, radii + width, radii + 2 * width], axis=1)
    powers = eta ** np.arange(order + 1.0)[:, None]
    series = powers[..., None] * tree_bounds(around.known.at(balls, order), order)
    total, tail = series.sum(axis=0), series[1:].sum(axis=0)
    still, here, near, far = total[:, :1], total[:, 1 : m + 1], total[:, m + 1 : 2 * m + 1], total[:, 2 * m + 1 :]
    first = tail[:, 1 : m + 1]
    steep = (tail[:, m + 1 : 2 * m + 1] - first) / width
    bend = (far - 2 * near + here + 16 * EPS * far) / width**2
    haze = 2 * around.rounding()[:, None] + TERM * first + 4 * EPS * series[0, :, 1 : m + 1]
    velocity = moves[:, None] + haze
    speed = np.minimum(here, velocity + (here - still) + 16 * EPS * here)
    bounds = [np.where(np.isnan(x), np.inf, x) for x in (speed, steep, bend, haze)]
    # What holds on a ball holds on those in it.
    tight = [np.minimum.accumulate(x[:, ::-1], axis=1)[:, ::-1] * (1 + 1e-9) + TINY for x in bounds]
    return _Cells(around, radii, *tight)
