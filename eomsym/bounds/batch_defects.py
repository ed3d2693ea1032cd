"""`eomsym.bounds.truncation.step_defect` for many cases at once: the same theorem, arrays in place of numbers."""

from __future__ import annotations

import numpy as np
from scipy.special import exprel

from eomsym.bounds.terms import tree_bounds
from eomsym.bounds.truncation import GROWTHS, HIGHEST, TINY, times_powers
from eomsym.curvature.families import BatchTaylor
from eomsym.types import Array

__all__ = ["batch_step_defects"]

RADII = np.geomspace(0.05, 1000.0, 48)
#: Cases side by side: their tables stay in the cache of a core.
SIDE_BY_SIDE = 64


def batch_step_defects(
    known: BatchTaylor, distances: Array, etas: Array, order: int, measured: Array, highest: int = 15
) -> Array:
    """Largest distances after one step between the equation of motion of order K and gradient descent.

    Parameters
    ----------
    known : BatchTaylor
        Bounds on g and its derivatives at m centres.
    distances, etas : ndarray, shape (m,)
        Radius of the ball of starting points, learning rate.
    order : int
        ``K``, at most 16.
    measured : ndarray, shape (l, m)
        Norms of the first counter terms at the centres.
    highest : int
        As for `eomsym.bounds.truncation.step_defect`.

    Returns
    -------
    ndarray, shape (m,)
        Infinite where there is no bound.

    Examples
    --------
    For ``g = x`` at 1 the true distance at order 1 is ``eta**3/3 + …``:

    >>> rates = np.array([1e-3])
    >>> found = batch_step_defects(BatchTaylor(np.ones((2, 1))), np.zeros(1), rates, 1, np.ones((0, 1)))
    >>> 1e-9 / 3 < float(found[0]) < 1e-9 / 2.9
    True
    """
    out = np.full(len(distances), np.inf)
    fine = np.flatnonzero(np.isfinite(known.known).all(axis=0) & np.isfinite(distances))
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):  # what is not finite bounds nothing
        for begin in range(0, len(fine), SIDE_BY_SIDE):
            some = fine[begin : begin + SIDE_BY_SIDE]
            out[some] = _defects(known[some], distances[some], etas[some], order, measured[:, some], highest)
    out[np.isnan(out)] = np.inf
    return out


def _defects(known: BatchTaylor, distance: Array, eta: Array, order: int, exact: Array, highest: int) -> Array:
    top = min(max(highest, order + 1), HIGHEST)
    steepest = known.at(distance, 0)[0]
    radii = np.where(eta * steepest > 0, eta * steepest, 1.0)[:, None] * RADII
    # With eta g for g, as of one case: terms are ways, and the learning rate is 1.
    wide = tree_bounds(eta[:, None] * known.at(distance[:, None] + radii, top), top)
    reach, travelled, mean, steeper = _reached(known, distance, eta, times_powers(exact, eta), top)
    crossing = _Crossing(wide, radii)
    best = np.full(len(distance), np.inf)
    for last in range(top + 1):
        crossing.add(last)
        if last < order:
            continue
        defect = crossing.defect(last)
        stays = (distance + reach <= known.valid) & (travelled[last] <= reach)
        if last > order:
            growth = np.sum(steeper[: last + 1], axis=0)
            defect = defect + exprel(growth) * np.sum(mean[order + 1 : last + 1], axis=0)
        defect[~stays & ((last > order) | np.isfinite(known.valid)) | np.isnan(defect)] = np.inf
        best = np.minimum(best, defect)
    return best


def _reached(
    known: BatchTaylor, distance: Array, eta: Array, exact: Array, top: int
) -> tuple[Array, Array, Array, Array]:
    """Of the ball that the motions cannot leave within one step: how far it reaches beyond `distance`, how far each
    order moves, means of the terms on the way there, and how fast they change."""
    shape = top + 1, len(eta)
    reach, (travelled, mean, steeper) = np.full(shape[1], np.inf), np.full((3, *shape), np.inf)
    inner = tree_bounds(eta * known.at(distance, top), top)
    ways, left = inner.copy(), np.arange(shape[1])
    exact = exact[: top + 1]
    for growth in range(GROWTHS):
        part, rate, near_by = known[left], eta[left], distance[left]
        smallest = np.argmin(ways, axis=0)
        lanes = np.arange(len(left))
        further = 1.2 * np.cumsum(ways, axis=0)[smallest, lanes]
        ball = near_by + further
        both = tree_bounds(rate[:, None] * part.at(ball[:, None] * np.array([1.0, 1.125]), top), top)
        near, far = both[..., 0], both[..., 1]
        chords = np.where(ball > 0, (far - near) / (0.125 * np.where(ball > 0, ball, 1.0)), 0.0)
        between = (inner[:, left] + near) / 2
        seen = len(exact)
        between[:seen] = np.minimum(between[:seen], exact[:, left] + (near_by + ball) / 2 * chords[:seen])
        near[:seen] = np.minimum(near[:seen], exact[:, left] + ball * chords[:seen])
        way = np.cumsum(near, axis=0)
        done = (way[smallest, lanes] <= further) | ~np.isfinite(further) | (growth == GROWTHS - 1)
        at = left[done]
        reach[at] = further[done]
        travelled[:, at], mean[:, at], steeper[:, at] = way[:, done], between[:, done], chords[:, done]
        left, ways = left[~done], near[:, ~done]
        if not len(left):
            break
    return reach, travelled, mean, steeper


class _Crossing:
    """`eomsym.bounds.truncation.defect_bound` for the learning rate 1, with one counter term after the other."""

    def __init__(self, terms: Array, balls: Array) -> None:
        # What holds on a ball holds on those in it.
        self.terms = np.maximum(np.minimum.accumulate(terms[..., ::-1], axis=-1)[..., ::-1], TINY)
        self.balls = balls
        self.widths = np.diff(balls, axis=1, prepend=0.0)
        widest = np.maximum(np.sum(self.widths / self.terms[0], axis=1), 1.0)
        self.circles = widest[:, None] ** np.linspace(0.0, 1.0, 60)
        self.speed = np.zeros((*self.circles.shape, balls.shape[1]))
        self.power = np.ones_like(self.circles)

    def add(self, order: int) -> None:
        """Take in the term of an order."""
        self.speed += self.power[..., None] * self.terms[order][:, None, :]
        self.power = self.power * self.circles

    def defect(self, order: int) -> Array:
        """The bounds for the motion of the order that was reached, shape (m,); infinite where there is none."""
        eps = self.circles
        times = np.cumsum(self.widths[:, None, :] / self.speed, axis=2)
        arrived = times >= eps[..., None]
        last = np.argmax(arrived, axis=2)
        rows, columns = np.ogrid[: last.shape[0], : last.shape[1]]
        inside = np.maximum(last - 1, 0)
        before = np.where(last > 0, times[rows, columns, inside], 0.0)
        away = np.where(last > 0, self.balls[rows, inside], 0.0) + (eps - before) * self.speed[rows, columns, last]
        found = eps ** -(order + 2.0) * (away + eps * self.terms[0, :, :1])
        found[~arrived[..., -1]] = np.inf
        smallest: Array = np.min(found, axis=1)
        return smallest
