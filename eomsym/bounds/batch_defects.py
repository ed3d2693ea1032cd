"""`eomsym.bounds.truncation.step_defect` for many cases at once: the same theorem, arrays in place of numbers."""

from __future__ import annotations

from functools import cache
from types import ModuleType

import numpy as np
from scipy.special import exprel

from eomsym.bounds.terms import tree_bounds
from eomsym.bounds.truncation import GROWTHS, HIGHEST, TINY, times_powers
from eomsym.codegen.source import IMPORTS, decorated
from eomsym.codegen.store import load
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
    crossings = _crossings(wide, radii, order)
    best = np.full(len(distance), np.inf)
    for last in range(order, top + 1):
        defect = crossings[last]
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


def _crossings(wide: Array, balls: Array, order: int) -> Array:
    """`eomsym.bounds.truncation.defect_bound` for the learning rate 1, of the motions of this order and of all higher
    ones, shape (k, m); infinite where there is none.

    Parameters
    ----------
    wide : ndarray, shape (k, m, r)
        Bounds on the counter terms on the balls.
    balls : ndarray, shape (m, r)
    """
    # What holds on a ball holds on those in it.
    terms = np.maximum(np.minimum.accumulate(wide[..., ::-1], axis=-1)[..., ::-1], TINY)
    widths = np.diff(balls, axis=1, prepend=0.0)
    widest = np.maximum(np.sum(widths / terms[0], axis=1), 1.0)
    circles = widest[:, None] ** np.linspace(0.0, 1.0, 60)
    out = np.full(terms.shape[:2], np.inf)
    _compiled().cross(terms, np.ascontiguousarray(balls), widths, circles, order, out)
    return out


@cache
def _compiled() -> ModuleType:
    tables = "float64[:, :, ::1], float64[:, ::1], float64[:, ::1], float64[:, ::1], int64, float64[:, ::1]"
    function = decorated(cross, entry=True, types=f"void({tables})")
    return load(
        f'"""Bounds of one step on many discs."""\n\nfrom __future__ import annotations\n\n{IMPORTS}\n\n\n{function}\n'
    )


def cross(terms: Array, balls: Array, widths: Array, circles: Array, order: int, out: Array) -> None:
    """For each case the smallest bound by a disc, of the orders from `order` on, shape (k, m).

    A motion of order `last` arrives at the radius R at the time ``int_0^R dr/S(r)``; see
    `eomsym.bounds.truncation.defect_bound`.
    """
    speed = np.empty(balls.shape[1])
    for case in range(balls.shape[0]):
        for eps in circles[case]:
            speed[:] = 0.0
            power = 1.0
            for last in range(terms.shape[0]):
                speed += power * terms[last, case]
                power *= eps
                if last < order:
                    continue
                time = away = 0.0
                for ball in range(speed.size):
                    after = time + widths[case, ball] / speed[ball]
                    if after >= eps:
                        away += (eps - time) * speed[ball]
                        found = eps ** -(last + 2.0) * (away + eps * terms[0, case, 0])
                        if found < out[last, case]:
                            out[last, case] = found
                        break
                    time, away = after, balls[case, ball]
