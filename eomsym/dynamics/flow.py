"""Gradient flow and the equation of motion, integrated with a measured error.

Tolerances of an adaptive integrator bound the error of one step, not of the path. So everything here is integrated
twice. The better of the two solutions is the answer, and the distance between them is its reported error; it is really
the error of the other one, about ten times that of the answer. See :mod:`eomsym.dynamics.pairs`, and for small losses
:mod:`eomsym.dynamics.taylor_stepper`.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import brentq

from eomsym import checks
from eomsym.checks import shown
from eomsym.codegen.kernel import Kernel, kernel_of
from eomsym.dynamics import taylor_stepper
from eomsym.dynamics.events import Event, checked_events, follow
from eomsym.dynamics.pairs import TIGHTENING, Pair
from eomsym.dynamics.patience import Patience, Stopped
from eomsym.dynamics.reach import reach
from eomsym.dynamics.trajectory import Trajectory, with_rounding
from eomsym.errors import DivergenceError, InputError
from eomsym.losses.objective import Objective
from eomsym.optimisers.base import Method
from eomsym.types import Array

__all__ = ["flow", "integrate"]


# scipy refuses less than 100 eps for the tighter run.
SMALLEST_RTOL = TIGHTENING * 100 * float(np.finfo(np.float64).eps)


def flow(
    loss: Objective | Sequence[Objective] | Kernel,
    start: Any,
    *,
    time: ArrayLike,
    eta: float | None = None,
    order: int | None = None,
    method: Method | None = None,
    rtol: float = 1e-12,
    atol: float = 1e-14,
    events: Sequence[Event] = (),
    limit: float | None = None,
) -> Trajectory:
    """Integrate the equation of motion ``theta' = -(terms[0] + eta terms[1] + ... + eta**order terms[order])``.

    At order 0 this is gradient flow, whatever ``eta``. Small losses are integrated by their Taylor series in compiled
    code (:mod:`eomsym.dynamics.taylor_stepper`), networks by DOP853 (Dormand and Prince, order 8) with dense output of
    order 7 between its steps, and where stability bounds its steps by stabilised ones of order 4
    (:mod:`eomsym.dynamics.pairs`). The error is measured, see `Trajectory.error`.

    Parameters
    ----------
    loss : Loss, Field, DeepLinear, Network, a list of them, or Kernel
        One for each batch of an `Epoch`.
    start : array_like, shape (n,), or dict
        Parameters at the first time; for a method that keeps memories as states also all states by name.
    time : float, or array_like, shape (m,)
        One number ``T`` stands for ``(0, T)``. Times increase or decrease; decreasing ones go backwards.
    eta : float, optional
        Learning rate of the discrete optimiser, positive; gradient flow needs none.
    order : int, optional
        Order of the equation of motion; that of the kernel by default.
    method : Method, optional
        Gradient descent by default, or that of the kernel.
    rtol, atol : float
        Relative and absolute tolerance of one step of the looser of the two runs.
    events : sequence of Event
        Functions of the parameters whose changes of sign are reported, and may end the path.
    limit : float, optional
        Seconds of CPU time of this process that it may take, such as where the flow of a network slides along a kink;
        what will clearly take longer is given up early. Without it, as many steps as may be made.

    Returns
    -------
    Trajectory
        With its measured `error`.

    Raises
    ------
    InputError
        If ``eta``, ``time``, ``order`` or a tolerance cannot be used.
    ShapeError
        If ``start`` does not fit the loss.
    DivergenceError
        If the solution leaves the finite numbers, or the field is too stiff; the message says at what time,
        and ``.step`` is the index of the first entry of ``time`` that was not reached. Or the limit is reached.

    Examples
    --------
    The modified flow of order 1 of a quadratic loss has rate ``1 + eta/2``:

    >>> import numpy as np
    >>> import eomsym as eom
    >>> loss = eom.Loss("x**2/2", variables="x")
    >>> path = eom.flow(loss, [1.0], eta=0.1, time=[0.0, 1.0, 2.0], order=1)
    >>> bool(np.allclose(path.thetas[:, 0], np.exp(-1.05 * path.times), atol=1e-12))
    True
    >>> path.error < 1e-11
    True

    References
    ----------
    Hairer, Nørsett, Wanner (1993), Solving Ordinary Differential Equations I, sections II.4, II.5 and II.10,
    doi:10.1007/978-3-540-78862-1.
    """
    kernel = kernel_of(loss, order, method)
    theta = kernel.point(start)
    if eta is None and kernel.order > 0:
        raise InputError(f"an equation of motion of order {kernel.order} needs a learning rate, such as eta=0.01")
    rate = 0.0 if eta is None else checks.positive(eta, "eta")
    times = as_times(time)
    patience = None if limit is None else Patience(checks.positive(limit, "limit", 60.0))

    try:
        if found := checked_events(events):
            return _flow_with(kernel, theta, rate, times, (rtol, atol, patience), found)
        thetas, error, evaluations = _motion(kernel, theta, rate, times, rtol, atol, patience)
    except Stopped:
        raise
    except DivergenceError as failure:
        note = reach(kernel, theta, rate, float(times[-1] - times[0])).note if kernel.order > 0 else ""
        raise DivergenceError(f"{failure}; {note}" if note else str(failure), failure.step) from failure
    return Trajectory(times, thetas, kernel, rate, float(with_rounding(error, thetas)), evaluations)


def _flow_with(
    kernel: Kernel,
    start: Array,
    rate: float,
    times: Array,
    tolerances: tuple[float, float, Patience | None],
    events: tuple[Event, ...],
) -> Trajectory:
    """A flow that looks for events: between the times asked for, and then by Brent's method."""
    error, evaluations = 0.0, 0

    def states(state: Array, marks: Array) -> Array:
        nonlocal error, evaluations
        found, doubt, spent = _motion(kernel, state, rate, marks, *tolerances)
        error, evaluations = max(error, doubt), evaluations + spent
        return found

    def advance(state: Array, first: int, last: int) -> list[Array]:
        return list(states(state, times[first : last + 1])[1:])

    def locate(state: Array, record: int, function: Callable[[Array], float]) -> tuple[float, Array]:
        begin, end = times[record], times[record + 1]

        def at(time: float) -> Array:
            return states(state, np.array([begin, time]))[-1] if time != begin else state

        zero = float(brentq(lambda t: function(at(t)), begin, end, xtol=1e-12 * abs(end - begin)))
        return zero, at(zero)

    found, crossings, end = follow(advance, locate, lambda state: state, start, len(times) - 1, events)
    marks = times[: len(found)]
    if end is not None:
        found, marks = [*found, end[1]], np.append(marks, end[0])
    thetas = np.array(found)
    error = float(with_rounding(error, thetas))
    return Trajectory(marks, thetas, kernel, rate, error, evaluations, events=tuple(crossings))


def _motion(
    kernel: Kernel,
    theta: Array,
    eta: float,
    times: Array,
    rtol: float,
    atol: float,
    patience: Patience | None = None,
) -> tuple[Array, float, int]:
    """Integrate by what is fastest for the kernel, with a measured error."""
    stepper = kernel.stepper(2)
    if stepper is not None:
        loose, least = as_tolerances(rtol, atol, len(theta))
        # A motion of length 1e-16 in time has Taylor coefficients beyond the finite numbers, and no other trouble.
        with contextlib.suppress(taylor_stepper.SeriesOverflow):
            tight = float(np.min(least))
            return taylor_stepper.integrate(stepper, theta, eta, times, loose, tight, patience=patience)[:3]

    def velocity(theta: Array) -> Array:
        out: Array = kernel.field(theta, eta)
        return out

    return integrate(velocity, theta, times, rtol, atol, patience)


def as_tolerances(rtol: Any, atol: Any, size: int | None = None) -> tuple[float, Any]:
    """Two tolerances as floats, the absolute one also as a vector of them.

    Parameters
    ----------
    rtol : float
    atol : float or array_like, shape (size,)
    size : int, optional
        Without it there is one absolute tolerance.

    Returns
    -------
    rtol : float
    atol : float or ndarray, shape (size,)

    Raises
    ------
    InputError
        float64 cannot give `rtol`, or a tolerance is not positive.

    Examples
    --------
    >>> as_tolerances(1e-12, [1e-14, 1e-9], 2)
    (1e-12, array([1.e-14, 1.e-09]))
    """
    relative, absolute = _reals(rtol), _reals(atol)
    if relative is None or relative.ndim or not SMALLEST_RTOL <= relative < 1:
        raise InputError(
            f"rtol={shown(rtol)}: expected a number from {SMALLEST_RTOL:.1e} to 1; float64 cannot do better"
        )
    fits = absolute is not None and absolute.shape in ((), () if size is None else (size,))
    if absolute is None or not fits or not ((absolute > 0) & (absolute < np.inf)).all():
        several = "" if size is None else f", or {size} of them"
        raise InputError(f"atol={shown(atol)}: expected a positive number{several}; type atol=1e-14")
    return float(relative), absolute if absolute.ndim else float(absolute)


def _reals(given: Any) -> Array | None:
    try:
        return checks.reals(given)
    except (TypeError, ValueError, OverflowError):
        return None


def integrate(
    velocity: Callable[[Array], Array],
    start: Array,
    times: Array,
    rtol: float,
    atol: float | Array,
    patience: Patience | None = None,
) -> tuple[Array, float, int]:
    """Integrate any autonomous field twice, by what suits it.

    Parameters
    ----------
    velocity : callable
        From state ``(n,)`` to its derivative ``(n,)``.
    start : ndarray, shape (n,)
    times : ndarray, shape (m,)
        As from `as_times`.
    rtol : float
        Relative tolerance of the looser run.
    atol : float or ndarray, shape (n,)
        Its absolute tolerance.
    patience : Patience, optional
        How long it may take; without it, as many steps as it may make.

    Returns
    -------
    states : ndarray, shape (m, n)
        Of the better solution.
    error : float
        Largest Euclidean distance between the two.
    evaluations : int

    Raises
    ------
    InputError
        If a tolerance cannot be used.
    DivergenceError
        As for `flow`.
    Stopped
        If it takes longer than it may.

    Examples
    --------
    >>> import numpy as np
    >>> states, error, evaluations = integrate(lambda y: -y, np.ones(1), np.array([0.0, 1.0]), 1e-10, 1e-12)
    >>> abs(states[-1, 0] - np.exp(-1)) < error < 1e-9
    True
    """
    pair = Pair(velocity, start, times, *as_tolerances(rtol, atol, len(start)), patience)
    return pair.states[0], pair.error, pair.evaluations


def as_times(times: ArrayLike) -> Array:
    """Return ``times`` as a strictly monotone float64 vector of two entries or more.

    Parameters
    ----------
    times : array_like, shape (m,), or float
        One number ``T`` stands for ``(0, T)``.

    Returns
    -------
    ndarray, shape (m,)

    Raises
    ------
    InputError
        If that cannot be done.

    Examples
    --------
    >>> as_times(2)
    array([0., 2.])
    """
    if type(times) is float and times != 0.0 and math.isfinite(times):  # a short way for what is mostly given
        return np.array((0.0, times))
    try:
        vector = checks.reals(times)
    except (TypeError, ValueError, OverflowError) as error:
        raise InputError(f"time={shown(times)}: expected numbers, such as [0.0, 0.5, 1.0]") from error
    if vector.ndim == 0:
        vector = np.array([0.0, float(vector)])
    gaps = np.diff(vector, axis=0)
    if (
        vector.ndim != 1
        or len(vector) < 2
        or not np.all(np.isfinite(vector))
        or not (np.all(gaps > 0) or np.all(gaps < 0))
    ):
        raise InputError(
            f"time={shown(times)}: expected two or more finite numbers, all increasing or all decreasing, "
            "such as [0.0, 0.5, 1.0]"
        )
    return vector


def check_positive(name: str, value: float) -> float:
    """As `eomsym.checks.positive`."""
    return checks.positive(value, name)
