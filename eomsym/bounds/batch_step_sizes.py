"""Learning rates that keep gradient descent near its equation of motion, for thousands of cases at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from eomsym import checks
from eomsym.bounds.batches import checked_cases, checked_numbers, many_distances
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
    family, thetas = checked_cases(loss, starts)
    duration = checked_numbers(time, "time", len(thetas))
    limits = checked_numbers(epsilon, "epsilon", len(thetas))
    limit = checks.count(most_steps, "most_steps", 1, MOST_STEPS)

    def held(some: Any, steps: Any) -> Any:
        """Whether bounds with so many steps stay below epsilon; a call for each number of steps."""
        found = np.zeros(len(some), bool)
        for count in np.unique(steps):
            here = steps == count
            these = some[here]
            values = many_distances(
                family[these], thetas[these], eta=duration[these] / count, steps=int(count), order=order,
                certificate=certificate,
            )  # fmt: skip
            found[here] = values.max(axis=1) <= limits[these]
        return found

    good = _fewest_steps(held, len(thetas), limit)
    rates: Array = np.where(good > 0, duration / np.maximum(good, 1), np.nan)
    return rates


def _fewest_steps(held: Callable[[Any, Any], Any], count: int, limit: int) -> Any:
    """As `eomsym.bounds.step_sizes._fewest_steps` from one step on, for many cases; 0 where none holds."""
    steps, good, failed = np.ones(count, int), np.zeros(count, int), np.zeros(count, int)
    left = np.arange(count)
    while len(left):
        fine = held(left, steps[left])
        good[left[fine]] = steps[left[fine]]
        failed[left[~fine]] = steps[left[~fine]]
        none = (good[left] == 0) & (failed[left] == limit)
        done = (good[left] > 0) & (good[left] - failed[left] <= np.maximum(1, good[left] // 50))
        left = left[~(none | done)]
        more = np.minimum(np.ceil(1.5 * failed[left]).astype(int), limit)
        steps[left] = np.where(good[left] > 0, (good[left] + failed[left]) // 2, more)
    return good
