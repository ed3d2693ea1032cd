"""Where a run will be after many steps: the optimiser's parameters by its equation of motion.

Where ``eta * lambda`` is small, the equation of motion takes steps that are hundreds of learning rates long. What is
neglected in the equation, and the errors of its integrator, are carried along the path by the linearised flow: their
sum is the estimated error. The prediction has what is neglected added, so it is mostly better than that.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from eomsym import checks
from eomsym.checks import shown
from eomsym.codegen.kernel import Kernel, kernel_of
from eomsym.dynamics.ahead import Ahead
from eomsym.dynamics.patience import Patience, Stopped
from eomsym.dynamics.prediction import Forward
from eomsym.errors import InputError
from eomsym.losses.objective import Objective
from eomsym.optimisers.base import Method

__all__ = ["forward"]

Progress = Callable[[int, int, str], None]

#: More steps than anybody means.
FARTHEST = 10**18


def forward(
    loss: Objective | Sequence[Objective] | Kernel,
    start: Any,
    *,
    eta: float | Sequence[float],
    steps: int | Sequence[int],
    method: Method | None = None,
    tolerance: float = 1e-6,
    order: int | None = None,
    limit: float | None = None,
    progress: Progress | None = None,
) -> Forward:
    """Predict where an optimiser will be after many steps, by its equation of motion.

    Parameters
    ----------
    loss : Loss, Field, DeepLinear, Network, a list of them, or Kernel
        One for each batch of an `Epoch`.
    start : array_like, shape (n,), or dict
    eta : float or sequence of float
        Learning rate; for a schedule one of each stretch.
    steps : int or sequence of int
        Steps of the optimiser, of each stretch.
    method : Method, optional
        Gradient descent by default, or that of the kernel.
    tolerance : float
        Euclidean distance from the optimiser that will do.
    order : int, optional
        Order of the equation of motion; by default the lowest that promises the tolerance, at most 4.
    limit : float, optional
        Seconds of CPU time of this process that it may take; for ever by default.
    progress : callable, optional
        Called with (steps done, steps in all, what is done).

    Returns
    -------
    Forward
        Where the equation would not pay, or ``eta * lambda`` leaves the radius of the method, the optimiser runs, and
        ``notes`` say so. After Ctrl-C, and where the limit is reached, what has been reached is returned: ``complete``
        is False, ``steps`` says how far that is, and ``notes`` why.

    Raises
    ------
    InputError
        ``eta``, ``steps``, ``tolerance`` or ``order`` cannot be used, or a schedule has a hole.
    ShapeError
        The start does not fit the loss.
    DivergenceError
        The optimiser itself diverges.

    Examples
    --------
    >>> import eomsym as eom
    >>> found = forward(eom.Loss("x**2/2", variables="x"), [1.0], eta=0.1, steps=50)
    >>> found.error, found.notes[0].split(";")[0]
    (0.0, '50 steps are too few for a prediction to pay')

    References
    ----------
    E. Hairer, C. Lubich, G. Wanner, Geometric Numerical Integration, chapter IX (the equation);
    E. Hairer, S. P. Nørsett, G. Wanner, Solving Ordinary Differential Equations I, section II.8 (the carried errors).
    """
    kernel = kernel_of(loss, None if isinstance(loss, Kernel) else 0, method)
    theta = kernel.point(start)
    schedule = _schedule(eta, steps)
    tolerance = checks.positive(tolerance, "tolerance", 1e-6)
    least = 1e-13 * float(np.linalg.norm(theta))
    if tolerance < least:
        raise InputError(
            f"tolerance={shown(tolerance)}: float64 cannot give less than {least:.1e} for these parameters"
        )
    if order is not None:
        checks.count(order, "order")
    told = checks.progress(progress)
    patience = None if limit is None else Patience(checks.positive(limit, "limit", 60.0))
    run = Ahead(kernel, theta, tolerance, order, sum(count for _, count in schedule), told, patience)
    try:
        for rate, count in schedule:
            run.stretch(rate, count)
    except (KeyboardInterrupt, Stopped):
        run.interrupted()
    return run.result()


def _schedule(eta: Any, steps: Any) -> list[tuple[float, int]]:
    """Learning rates and steps of the stretches."""
    rates = list(eta) if isinstance(eta, (list, tuple, np.ndarray)) else [eta]
    counts = list(steps) if isinstance(steps, (list, tuple, np.ndarray)) else [steps]
    if len(rates) != len(counts) or not rates:
        raise InputError(
            f"the schedule has {len(rates)} learning rates for {len(counts)} stretches of steps: expected one of each, "
            "such as eta=[0.1, 0.01], steps=[1000, 5000]"
        )
    for k, (rate, count) in enumerate(zip(rates, counts, strict=True), 1):
        if rate is None or count is None:
            raise InputError(
                f"the schedule has a hole: stretch {k} of {len(rates)} has eta={shown(rate)}, steps={shown(count)}"
            )
    return [
        (checks.positive(rate, "eta"), checks.count(count, "steps", 1, FARTHEST))
        for rate, count in zip(rates, counts, strict=True)
    ]
