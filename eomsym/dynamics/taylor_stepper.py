"""The equation of motion of small losses, integrated by its Taylor series in time, all in compiled code.

The truncated equation is a program of additions, multiplications and functions; Taylor arithmetic turns it into its
own series in time, to a degree that the tolerance asks for, and the steps are as long as the series allows. Each
trajectory runs twice side by side, with a ten times looser tolerance the second time: the distance between the two is
the reported error, as in :mod:`eomsym.dynamics.flow`.

References
----------
À. Jorba and M. Zou, A software package for the numerical integration of ODEs by means of high-order Taylor methods,
Experiment. Math. 14 (2005), 99-117, doi:10.1080/10586458.2005.10128904.
"""

from __future__ import annotations

import math
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from eomsym.codegen.machines import SHORT
from eomsym.dynamics.curve import Curve, TaylorCurve
from eomsym.errors import DivergenceError, InputError, SizeError

if TYPE_CHECKING:
    from eomsym.codegen.backends.series import Integration, Stepper
    from eomsym.codegen.kernel import Kernel

__all__ = ["Bundle", "SeriesOverflow", "integrate", "integrate_many"]

Array = NDArray[np.float64]

#: How much tighter the run is that is the answer.
TIGHTENING = 10.0
MOST_STEPS = 200_000
#: Trajectories of a thread are integrated by so many.
CHUNK = 256

#: A longer series costs little, and the verification of an order needs a reference far below its tolerance.
SHARPER = 20.0

_PAIR = np.array([1 / TIGHTENING, 1.0]) / SHARPER
_TIGHTEST = float(_PAIR[0])


class SeriesOverflow(DivergenceError):
    """The Taylor coefficients at the start are not finite: the velocity is not, or a unit of time is far too long."""


@dataclass(frozen=True)
class Bundle:
    """Trajectories from many starts.

    Attributes
    ----------
    times : ndarray, shape (m,)
    thetas : ndarray, shape (s, m, n)
        NaN where a trajectory did not get.
    errors : ndarray, shape (s,)
        Estimated global errors: the largest Euclidean distance from a run at a ten times looser tolerance; NaN for a
        trajectory that did not reach the end.
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


def integrate(
    stepper: Stepper, start: Array, eta: float, times: Array, rtol: float, atol: float, *, keep: bool = False
) -> tuple[Array, float, int, Curve | None]:
    """Integrate from one start, with a measured error.

    Parameters
    ----------
    stepper : Stepper
        From ``kernel.stepper()``.
    start : ndarray, shape (n,)
    eta : float
    times : ndarray, shape (m,)
        Increasing or decreasing.
    rtol, atol : float
        Tolerance of one step of the looser of two runs, relative to the largest parameter, and absolute.
    keep : bool
        Whether to return the solution between the times too.

    Returns
    -------
    states : ndarray, shape (m, n)
        Of the run that is ten times tighter.
    error : float
        Largest Euclidean distance between the runs.
    evaluations : int
        Taylor series computed, by both runs.
    curve : TaylorCurve or None

    Raises
    ------
    SeriesOverflow
        The Taylor coefficients at the start are not finite.
    DivergenceError
        The solution leaves the finite numbers, with the time at which it does.
    """
    both = np.empty((2, len(start)))
    both[:] = start
    found = stepper.run(both, _PAIR, eta, times, (rtol, atol), MOST_STEPS, keep=keep, tightest=_TIGHTEST)
    (status, steps, *_), (other, more, *_) = found.result.tolist()
    if not status == other == 1:
        raise _failure(found.result[0 if status != 1 else 1], times)
    tight = found.states[0]
    difference = tight - found.states[1]
    last = difference[-1]
    error = math.sqrt(last @ last if len(times) == 2 else (difference * difference).sum(axis=1).max())
    curve = TaylorCurve(found.pieces, found.coefficients, error) if keep else None
    return tight, error, int(steps + more), curve


def _failure(result: Array, times: Array) -> DivergenceError:
    """What went wrong, and when."""
    status, _, reached, when = int(result[0]), result[1], int(result[2]), float(result[3])
    if status == 2:
        return SeriesOverflow(
            "the Taylor coefficients at the start are not finite; choose another start, or another unit of time", 1
        )
    if status == 5:
        return DivergenceError(
            f"the field is too stiff: {MOST_STEPS} steps only reach time {when:.6g} of {times[-1]:.6g}; "
            "take a smaller eta or order",
            reached,
        )
    return DivergenceError(
        f"the solution leaves the finite numbers at about time {when:.6g}; "
        f"integrate to an earlier time than {times[-1]:.6g}, or take a smaller eta or order",
        reached,
    )


def integrate_many(
    kernel: Kernel,
    starts: Any,
    *,
    eta: float,
    times: Array,
    rtol: float = 1e-12,
    atol: float = 1e-14,
    threads: int | None = None,
) -> Bundle:
    """Integrate from many starts, several side by side in vector registers, over threads.

    Parameters
    ----------
    kernel : Kernel
    starts : array_like, shape (s, n)
    eta : float
    times : ndarray, shape (m,)
    rtol, atol : float
        As for `integrate`.
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
    InputError
        The starts do not fit, or `threads` is less than 1.

    Examples
    --------
    >>> import eomsym as eom
    >>> kernel = eom.compile(eom.Loss("x**2/2", variables="x"), 0)
    >>> bundle = integrate_many(kernel, [[1.0], [2.0]], eta=0.1, times=np.array([0.0, 1.0]))
    >>> bool(np.allclose(bundle.thetas[:, -1, 0], np.exp(-1) * np.array([1, 2]), atol=1e-13))
    True
    """
    stepper = kernel.stepper(8, SHORT)
    if stepper is None:
        raise SizeError(
            f"the equation of motion of {kernel.loss.name} to order {kernel.order} is too long for the compiled Taylor "
            "stepper; integrate its trajectories one by one with eomsym.flow, or take a lower order"
        )
    points = kernel.points(starts)
    if not len(points):
        raise InputError("starts is empty: expected an array of shape (s, n) with s >= 1")
    if threads is None:
        threads = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if isinstance(threads, bool) or not isinstance(threads, int) or threads < 1:
        raise InputError(f"threads must be an integer >= 1, got {threads!r}")

    def work(part: Array) -> Integration:
        both = np.repeat(part, 2, axis=0)
        return stepper.run(both, np.tile(_PAIR, len(part)), eta, times, (rtol, atol), MOST_STEPS)

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
    errors = np.sqrt((difference * difference).sum(axis=2).max(axis=1))
    ends = np.where(good[0::2], stopped[1::2], stopped[0::2])
    whole = good[0::2] & good[1::2]
    return Bundle(
        times, states[0::2], np.where(whole, errors, np.nan), np.where(whole, times[-1], ends), int(steps.sum())
    )
