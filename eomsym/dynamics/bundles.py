"""The equation of motion from many starts at once."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eomsym import checks
from eomsym.checks import shown
from eomsym.codegen.kernel import Kernel, kernel_of
from eomsym.codegen.machines import SHORT
from eomsym.dynamics.flow import as_times, as_tolerances
from eomsym.dynamics.taylor_stepper import MOST_STEPS, PAIR
from eomsym.dynamics.trajectory import with_rounding
from eomsym.errors import InputError, ShapeError, SizeError
from eomsym.losses.objective import Objective
from eomsym.optimisers.base import Method

if TYPE_CHECKING:
    from eomsym.codegen.backends.series import Integration

__all__ = ["Bundle", "integrate_many"]

Array = NDArray[np.float64]

#: Trajectories of a thread are integrated by so many.
CHUNK = 256


@dataclass(frozen=True)
class Bundle:
    """Trajectories from many starts.

    Attributes
    ----------
    times : ndarray, shape (m,)
    thetas : ndarray, shape (s, m, n)
        NaN where a trajectory did not get.
    errors : ndarray, shape (s,)
        Estimated global errors: the largest Euclidean distance from a run at a ten times looser tolerance, and no
        less than the rounding of the parameters; NaN for a trajectory that did not reach the end.
    stopped : ndarray, shape (s,)
        Time at which a trajectory ended; the last of the times where all is well.
    evaluations : int
        Taylor series computed, of all runs together.
    """

    times: Array
    thetas: Array
    errors: Array
    stopped: Array
    evaluations: int

    @property
    def complete(self) -> NDArray[np.bool_]:
        """Which trajectories reached the end, shape (s,)."""
        whole: NDArray[np.bool_] = self.stopped == self.times[-1]
        return whole


def integrate_many(
    loss: Objective | Sequence[Objective] | Kernel,
    starts: Any,
    *,
    eta: float,
    time: ArrayLike,
    order: int | None = None,
    method: Method | None = None,
    rtol: float = 1e-12,
    atol: float = 1e-14,
    threads: int | None = None,
) -> Bundle:
    """Integrate from many starts, several side by side in vector registers, over threads.

    Parameters
    ----------
    loss : Loss, Field, DeepLinear, Network, a list of them, or Kernel
    starts : array_like, shape (s, n)
    eta : float
    time : float, or array_like, shape (m,)
        As for :func:`eomsym.flow`; one number ``T`` stands for ``(0, T)``.
    order : int, optional
        Of the equation; that of the kernel by default.
    method : Method, optional
    rtol, atol : float
        As for :func:`eomsym.flow`.
    threads : int, optional
        One for each core by default.

    Returns
    -------
    Bundle
        A trajectory that fails is marked and does not stop the others.

    Raises
    ------
    SizeError
        The loss is too long for the compiled stepper.
    InputError, ShapeError
        The starts do not fit, or an argument cannot be used.

    Examples
    --------
    >>> import eomsym as eom
    >>> bundle = integrate_many(eom.Loss("x**2/2", variables="x"), [[1.0], [2.0]], eta=0.1, time=1.0, order=0)
    >>> bool(np.allclose(bundle.thetas[:, -1, 0], np.exp(-1) * np.array([1, 2]), atol=1e-13))
    True
    """
    kernel = kernel_of(loss, order, method)
    rate, times = checks.positive(eta, "eta"), as_times(time)
    rtol, atol = as_tolerances(rtol, atol)
    stepper = kernel.stepper(8, SHORT)
    if stepper is None:
        raise SizeError(
            f"the equation of motion of {kernel.loss.name} to order {kernel.order} is too long for the compiled Taylor "
            "stepper; integrate its trajectories one by one with eomsym.flow, or take a lower order"
        )
    if not isinstance(starts, Sequence | np.ndarray) or any(isinstance(row, str | int | float) for row in starts):
        raise ShapeError(f"starts={shown(starts)}: expected an array of shape (s, {kernel.size}), a start in each row")
    points = kernel.points(starts)
    if not len(points):
        raise InputError("starts is empty: expected an array of shape (s, n) with s >= 1")
    if threads is None:
        threads = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if isinstance(threads, bool) or not isinstance(threads, int) or threads < 1:
        raise InputError(f"threads must be an integer >= 1, got {shown(threads)}")

    def work(part: Array) -> Integration:
        both = np.repeat(part, 2, axis=0)
        return stepper.run(both, np.tile(PAIR, len(part)), rate, times, (rtol, atol), MOST_STEPS)

    pieces = max(threads, -(-len(points) // CHUNK)) if threads > 1 else 1
    edges = np.linspace(0, len(points), min(pieces, len(points)) + 1).astype(int)
    if threads == 1 or len(edges) == 2:
        found = [work(points)]
    else:
        with ThreadPoolExecutor(threads) as pool:
            found = list(pool.map(work, [points[a:b] for a, b in pairwise(edges)]))
    return _bundle(times, found)


def _bundle(times: Array, found: list[Integration]) -> Bundle:
    states = np.concatenate([part.states for part in found])
    status, steps, reached, stopped = np.concatenate([part.result for part in found]).T
    good = status == 1
    if not good.all():
        states[np.arange(len(times)) >= np.where(good, len(times), reached)[:, None]] = np.nan
    difference = states[0::2] - states[1::2]
    errors = with_rounding(np.sqrt((difference * difference).sum(axis=2).max(axis=1)), states[0::2])
    ends = np.where(good[0::2], stopped[1::2], stopped[0::2])
    whole = good[0::2] & good[1::2]
    return Bundle(
        times, states[0::2], np.where(whole, errors, np.nan), np.where(whole, times[-1], ends), int(steps.sum())
    )
