"""Learning rates that keep gradient descent near its equation of motion, for thousands of cases at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from eomsym import checks
from eomsym.bounds.batches import Walk, checked_cases, checked_numbers, followed, walk_of
from eomsym.bounds.bound import checked_certificate
from eomsym.curvature.families import Family
from eomsym.dynamics.descent import MOST_STEPS
from eomsym.losses.expression import Loss
from eomsym.types import Array

__all__ = ["many_step_sizes"]


def many_step_sizes(
    loss: Loss | Family,
    starts: ArrayLike,
    *,
    time: ArrayLike,
    epsilon: ArrayLike,
    order: int = 0,
    certificate: str = "measured",
    most_steps: int = 100,
) -> Array:
    """Find a large learning rate for each of many starts, or many losses, as `eomsym.bounds.step_size` for one.

    Parameters
    ----------
    loss : Loss, PolynomialFamily or NetworkFamily
        As of `eomsym.bounds.many_distances`.
    starts : array_like, shape (m, n)
    time, epsilon : float or array_like, shape (m,)
        Gradient descent is to stay within the distance `epsilon` up to this time.
    order : int
        ``K`` of the equation of motion; 0 is gradient flow.
    certificate : {"measured", "proven", "closed_form"}
    most_steps : int
        No more are tried.

    Returns
    -------
    ndarray, shape (m,)
        Rates ``time/k`` for which `eomsym.bounds.many_distances` stays below `epsilon`, so that one step less, or 2 %
        fewer, do not; NaN where there is none.

    Raises
    ------
    InputError, ShapeError
        As of `eomsym.bounds.many_distances`.

    Examples
    --------
    >>> import eomsym as eom
    >>> loss = eom.Loss("(x*y - 1)**2/2", variables="x y")
    >>> rates = many_step_sizes(loss, [[0.5, 0.5], [0.3, 0.6]], time=2.0, epsilon=[0.02, 0.05], certificate="proven")
    >>> rates.round(4)
    array([0.1818, 0.4   ])
    """
    kind = checked_certificate(certificate, ("measured", "proven", "closed_form"))
    degree, limit = checks.order(order, 16), checks.count(most_steps, "most_steps", 1, MOST_STEPS)
    family, thetas = checked_cases(loss, starts)
    duration = checked_numbers(time, "time", len(thetas))
    limits = checked_numbers(epsilon, "epsilon", len(thetas))

    def fewest(kind: str, first: Any) -> Any:
        def largest(some: Any, steps: Any) -> Any:
            walk = walk_of(kind, family[some], thetas[some], duration[some] / steps, degree)
            return _largest(walk, steps, limits[some])

        return _fewest_steps(largest, limits, first, 1 / (degree + 1), limit)

    good = np.ones(len(thetas), int)
    if kind == "proven":  # about what the measured bounds need, which cost a tenth
        good = np.maximum(fewest("measured", good), 1)
    good = fewest(kind, good)
    rates: Array = np.where(good > 0, duration / np.maximum(good, 1), np.nan)
    return rates


def _largest(walk: Walk, steps: Any, limits: Any) -> Any:
    """The largest bounds of a walk of so many steps; of what is above its limit before the end an estimate."""
    found, reached = np.zeros(len(steps)), np.zeros(len(steps), int)
    for places, values in followed(walk, steps, limits):
        reached[places] += 1
        # A distance grows about as time does.
        early = np.where(values > limits[places], steps[places] / reached[places], 1.0)
        found[places] = np.maximum(found[places], early * np.where(np.isnan(values), np.inf, values))
    return found


def _fewest_steps(largest: Callable[[Any, Any], Any], limits: Any, first: Any, power: float, most: int) -> Any:
    """For many cases a number of steps with which the largest bound is at most its limit, and such that 2 % fewer, or
    one less, do not hold; 0 where none is found. `first` is tried first.

    Bounds are about proportional to ``steps**(-1/power)``: that gives the number to try next. Where it has not helped
    much, the next one is half as large again, or halves what is left.
    """
    count = len(limits)
    steps, good, failed = first.copy(), np.zeros(count, int), np.zeros(count, int)
    left = np.arange(count)
    while len(left):
        tried, held, missed = steps[left], good[left], failed[left]
        values = largest(left, tried)
        fine = values <= limits[left]
        good[left] = np.where(fine, tried, held)
        failed[left] = np.where(fine, missed, tried)
        little = np.where(held > 0, 2 * (good[left] - failed[left]) > held - missed, failed[left] < 1.5 * missed)
        held, missed = good[left], failed[left]
        with np.errstate(all="ignore"):
            wanted = np.ceil(tried * (values / limits[left]) ** power)
        plain = np.where(held > 0, (held + missed) // 2, np.ceil(1.5 * missed))
        wanted = np.where(np.isfinite(wanted) & ~little, np.minimum(wanted, 4 * tried), plain)
        steps[left] = np.clip(wanted, missed + 1, np.where(held > 0, held - 1, most))
        none = (held == 0) & (missed == most)
        done = (held > 0) & (held - missed <= np.maximum(1, held // 50))
        left = left[~(none | done)]
    return good
