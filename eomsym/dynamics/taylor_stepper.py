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
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from eomsym.dynamics.curve import Curve, TaylorCurve
from eomsym.dynamics.patience import Patience
from eomsym.dynamics.trajectory import with_rounding
from eomsym.errors import DivergenceError

if TYPE_CHECKING:
    from eomsym.codegen.backends.series import Stepper

__all__ = ["SeriesOverflow", "integrate"]

Array = NDArray[np.float64]

#: How much tighter the run is that is the answer.
TIGHTENING = 10.0
MOST_STEPS = 200_000
#: After so many steps it is seen how long the rest will take.
ENOUGH = 50
#: A longer series costs little, and the verification of an order needs a reference far below its tolerance.
SHARPER = 20.0

PAIR = np.array([1 / TIGHTENING, 1.0]) / SHARPER
_TIGHTEST = float(PAIR[0])


class SeriesOverflow(DivergenceError):
    """The Taylor coefficients at the start are not finite: the velocity is not, or a unit of time is far too long."""


def integrate(
    stepper: Stepper,
    start: Array,
    eta: float,
    times: Array,
    rtol: float,
    atol: float,
    *,
    keep: bool = False,
    patience: Patience | None = None,
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
    patience : Patience, optional
        How long it may take; not with `keep`.

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
    Stopped
        It takes longer than it may.
    """
    both = np.empty((2, len(start)))
    both[:] = start
    look = None if patience is None else _look(patience, times)
    found = stepper.run(both, PAIR, eta, times, (rtol, atol), MOST_STEPS, keep=keep, tightest=_TIGHTEST, look=look)
    (status, steps, *_), (other, more, *_) = found.result.tolist()
    if not status == other == 1:
        raise _failure(found.result[0 if status != 1 else 1], times)
    tight = found.states[0]
    difference = tight - found.states[1]
    last = difference[-1]
    error = math.sqrt(last @ last if len(times) == 2 else (difference * difference).sum(axis=1).max())
    curve = TaylorCurve(found.pieces, found.coefficients, float(with_rounding(error, tight))) if keep else None
    return tight, error, int(steps + more), curve


def _look(patience: Patience, times: Array) -> Callable[[Array], None]:
    """What looks at the clock, at each call with a result so far; once now."""
    begin, end, before = float(times[0]), float(times[-1]), patience.spent

    def look(result: Array) -> None:
        # What is done, or has failed, needs no more time.
        going = [row for row in result.tolist() if row[0] == 0]
        _, steps, reached, when = min(going, key=lambda row: abs(row[3] - begin))
        share = (when - begin) / (end - begin)
        where = f"time {when:.6g} of {end:.6g}"
        patience.check(share, where, int(reached), before=before, foresee=steps > ENOUGH)

    if before > patience.limit:
        patience.check(0.0, f"time {begin:.6g} of {end:.6g}", 1)
    return look


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
            "take a shorter time, or a smaller eta or order",
            reached,
        )
    return DivergenceError(
        f"the solution leaves the finite numbers at about time {when:.6g}; "
        f"integrate to an earlier time than {times[-1]:.6g}, or take a smaller eta or order",
        reached,
    )
