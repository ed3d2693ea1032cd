"""The equation of motion as a function of time, with its events."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.integrate import solve_ivp

from eomsym import checks
from eomsym.checks import shown
from eomsym.codegen.kernel import Kernel, kernel_of
from eomsym.dynamics import taylor_stepper
from eomsym.dynamics.curve import Curve, DenseCurve
from eomsym.dynamics.flow import as_tolerances, flow
from eomsym.dynamics.pairs import TIGHTENING
from eomsym.errors import DivergenceError, InputError
from eomsym.losses.objective import Objective
from eomsym.optimisers.base import Method

__all__ = ["solution"]

Array = NDArray[np.float64]


def solution(
    loss: Objective | Sequence[Objective] | Kernel,
    start: Any,
    *,
    time: float,
    eta: float | None = None,
    order: int | None = None,
    method: Method | None = None,
    rtol: float = 1e-12,
    atol: float = 1e-14,
) -> Curve:
    """Integrate the equation of motion and keep the solution between the steps.

    Parameters
    ----------
    loss : Loss, Field, DeepLinear, Network, a list of them, or Kernel
    start : array_like, shape (n,), or dict
    time : float
        Where to end; negative goes backwards.
    eta, order, method, rtol, atol
        As for :func:`eomsym.flow`.

    Returns
    -------
    Curve
        Callable with a time, or many; ``crossings`` and ``first`` find events. Between the steps of a network it is a
        polynomial of degree 7, and its error may be ten times that of the steps.

    Raises
    ------
    InputError, ShapeError, DivergenceError
        As for :func:`eomsym.flow`.

    Examples
    --------
    When does gradient flow of ``x**2/2`` from 1 reach one half?

    >>> import eomsym as eom
    >>> path = solution(eom.Loss("x**2/2", variables="x"), [1.0], time=2.0, order=0)
    >>> event = path.first(lambda theta: theta[0] - 0.5)
    >>> bool(abs(event.time - np.log(2)) < 1e-12), event.direction
    (True, -1)
    """
    kernel = kernel_of(loss, order, method)
    if isinstance(time, bool) or not isinstance(time, (int, float)) or not np.isfinite(time) or time == 0:
        raise InputError(f"time={shown(time)}: expected a number other than 0, such as time=1.0")
    if eta is None and kernel.order > 0:
        raise InputError(f"an equation of motion of order {kernel.order} needs a learning rate, such as eta=0.01")
    rate = 0.0 if eta is None else checks.positive(eta, "eta")
    rtol, atol = as_tolerances(rtol, atol)
    theta, times = kernel.point(start), np.array([0.0, float(time)])
    stepper = kernel.stepper(2)
    if stepper is not None:
        curve = taylor_stepper.integrate(stepper, theta, rate, times, rtol, atol, keep=True)[3]
        assert curve is not None
        return curve
    measured = flow(kernel, theta, eta=eta, time=times, rtol=rtol, atol=atol)
    found = solve_ivp(
        lambda _, y: kernel.field(y, rate), times, theta, method="DOP853", dense_output=True,
        rtol=rtol / TIGHTENING, atol=atol / TIGHTENING,
    )  # fmt: skip
    if not found.success:
        raise DivergenceError(f"the solution cannot be continued beyond time {found.t[-1]:.6g}", 1)
    return DenseCurve(np.asarray(found.sol.ts), list(found.sol.interpolants), measured.error)
