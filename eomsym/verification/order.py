"""Does the equation of motion of order ``K`` follow the discrete optimiser with error ``O(eta**(K+1))``?

At a fixed time ``T = k eta`` the distance between the two is measured over a ladder of learning rates and
held against the theory in two ways. The slope between neighbours must be ``K + 1``; and the error vector
itself must be ``eta**(K+1) v_K``, with ``v_K`` from `eomsym.dynamics.leading_error`. A slope alone can be
fooled, the leading constant cannot.

Nothing is judged that is not at least a hundred times larger than the *reference error*: the error of the
integrator, of the rounding of the discrete run, and of its starting values, all of them measured. And an equation has
failed only where a right one could not look like this: see `eomsym.verification.verdict`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np

from eomsym import checks
from eomsym.codegen.kernel import Kernel, compile, kernel_of
from eomsym.dynamics.leading_error import check_orders
from eomsym.dynamics.reach import reach, stiffness
from eomsym.errors import InputError
from eomsym.verification.discrete import Optimiser
from eomsym.verification.hidden import hidden_orders
from eomsym.verification.ladder import check_ladder, finer_rungs, radius_of
from eomsym.verification.measure import Measurement
from eomsym.verification.report import Report
from eomsym.verification.setting import data_of, setting_of
from eomsym.verification.verdict import OrderReport, judge

if TYPE_CHECKING:
    from eomsym.losses.objective import Objective
    from eomsym.optimisers.base import Method
    from eomsym.types import Array

__all__ = ["OrderReport", "Progress", "Report", "verify"]

Progress = Callable[[int, int, str], None]
#: How often rungs are added to a ladder that was chosen.
MORE = 3


@np.errstate(all="ignore")  # what overflows is judged, and needs no warning beside
def verify(
    loss: Objective | Sequence[Objective] | Kernel,
    start: Any,
    *,
    time: float,
    ladder: Sequence[int] | None = None,
    orders: Iterable[int] = range(5),
    method: Method | None = None,
    name: str | None = None,
    limit: float = 60.0,
    progress: Progress = lambda done, total, label: None,
) -> Report:
    """Measure the order of the equation of motion against the running optimiser.

    For each order and each ``eta = time / k``, ``k`` in `ladder`, the equation of motion is integrated to
    `time` and compared with ``k`` steps of the optimiser. At the finest pair of learning rates that can be
    trusted, the slope must be within 0.05 of the theory's, and the misfit (see `OrderReport`) within 3 %.
    Where one of them is not, the equation has ``failed`` only if a right one could not look like this: the misfit does
    not shrink with ``eta``, it is several times what the next order explains, eta times the sharpness is well inside of
    the radius of the series, and no gate switched. Everything else is ``inconclusive``, with the reason and with the
    ladder that would decide.

    Parameters
    ----------
    loss : Loss, Field, DeepLinear, Network, a list of them, or Kernel
        One loss for each batch of an `Epoch`. A kernel is judged as it is; it needs order ``max(orders) + 1``, and
        ``max(orders) + 3`` if the method remembers.
    start : array_like, shape (n,), or dict
    time : float
        The fixed time ``T``, positive.
    ladder : sequence of int, length m, optional
        At least two different numbers of steps; more steps are finer. By default they are chosen to suit: from the
        sharpness along the flow, the sizes of the leading errors, and rounding; and more are added where they decide.
    orders : iterable of int
        Orders ``K`` of the equation of motion, 0 is gradient flow.
    method : Method, optional
        The optimiser; gradient descent by default, or that of the kernel. A method that remembers starts with the
        memory that its own modified flow gives, see `eomsym.verification.discrete`.
    name : str, optional
        What to call the problem in the report; by default the description of the loss.
    limit : float
        Seconds of CPU time of this process, of all its threads together, after which what is not yet measured is given
        up; the report says so. What will clearly take longer is not begun. A machine that is busy with other work
        takes longer by the clock, and measures the same.
    progress : callable, optional
        Called with (done, total, label) after each piece of work; the first label says how long it may take.

    Returns
    -------
    Report

    Raises
    ------
    InputError
        If an argument cannot be used.
    ShapeError
        If `start` does not fit the loss.
    DivergenceError
        If the optimiser leaves the finite numbers on every rung, or gradient flow does; ``.step`` says where.

    Examples
    --------
    >>> import eomsym as eom
    >>> loss = eom.Loss("(1-x)**2/2 + (y-x**2)**2/2", variables="x y")
    >>> report = eom.verify(loss, [-0.5, 1.0], time=1.0, orders=range(3))
    >>> report.status
    'passed'
    >>> [f"{result.slopes[-1]:.2f}" for result in report.orders]
    ['1.00', '2.00', '3.00']

    References
    ----------
    Hairer, Lubich, Wanner (2006), Geometric Numerical Integration, section IX.1, doi:10.1007/3-540-30666-8.
    Hairer, Nørsett, Wanner (1993), Solving Ordinary Differential Equations I, section II.8,
    doi:10.1007/978-3-540-78862-1.
    """
    began = perf_counter()
    asked = check_orders(orders)
    counts = None if ladder is None else check_ladder(ladder)
    duration, patience = checks.positive(time, "time"), checks.positive(limit, "limit", 60.0)
    told, name = checks.progress(progress), None if name is None else checks.text(name, "name", "my loss")
    given = kernel_of(loss, None if isinstance(loss, Kernel) else 0, method)
    method, losses = given.method, given.losses
    theta = given.point(start)
    optimiser = Optimiser(losses, method)
    kernel = given if isinstance(loss, Kernel) else compile(losses, max(asked) + optimiser.extra_order, method=method)
    if kernel.order < max(asked) + optimiser.extra_order:
        raise InputError(
            f"the kernel has order {kernel.order}; orders up to {max(asked)} need "
            f"eom.compile(loss, {max(asked) + optimiser.extra_order}, method=...)"
        )
    hidden = _hidden(kernel, theta, duration, asked, counts, patience)
    shown = tuple(order for order in asked if order not in hidden) or asked[:1]
    measurement = Measurement(
        kernel.at_order(max(shown) + optimiser.extra_order), optimiser, theta, duration, shown, patience, told
    )
    measurement.refusal = hidden.get(shown[0], "")
    measurement.add(measurement.suitable() if counts is None else counts)
    results = _judged(measurement)
    for _ in range(MORE if counts is None else 0):
        more = finer_rungs(results, measurement.counts)
        if not more or not measurement.add(more):
            break
        results = _judged(measurement)
    coarsest = duration / measurement.counts[0]
    return Report(
        name=losses[0].describe() if name is None else name,
        loss=losses[0].describe(),
        method=method.name,
        size=len(theta),
        start=tuple(theta.tolist()),
        time=duration,
        steps=measurement.counts,
        orders=(*results, *_unseen(measurement, {k: why for k, why in hidden.items() if k not in shown})),
        seconds=perf_counter() - began,
        notes=tuple(filter(None, [reach(Kernel(losses, 1, method), theta, coarsest).note, *measurement.notes()])),
        setting=setting_of(losses, method),
        data=data_of(losses),
    )


def _hidden(
    kernel: Kernel, theta: Array, time: float, orders: Sequence[int], counts: tuple[int, ...] | None, limit: float
) -> dict[int, str]:
    """Orders that rounding hides at the coarsest rung, or at the radius where the ladder is not yet known."""
    if counts is not None:
        return hidden_orders(kernel, theta, time, orders, time / counts[0], limit)
    sharp = stiffness(kernel, theta)
    rate = min(time, radius_of(kernel) / sharp) if sharp > 0 else time
    return hidden_orders(kernel, theta, time, orders, rate, limit)


def _unseen(measurement: Measurement, hidden: dict[int, str]) -> list[OrderReport]:
    """The verdicts on orders that were not measured: they follow those that were."""
    etas, blank = measurement.etas, np.full((len(measurement.counts), len(measurement.theta)), np.nan)
    nothing, infinite = np.zeros((1, len(measurement.theta))), np.full(len(etas), np.inf)
    return [judge(order, etas, blank, infinite, nothing, silence=why) for order, why in hidden.items()]


def _judged(measurement: Measurement) -> tuple[OrderReport, ...]:
    """The verdicts on what has been measured so far."""
    leading, etas = measurement.leading, measurement.etas
    results = []
    for order in measurement.asked:
        gaps, references = measurement.of(order)
        rows = slice(order - min(measurement.asked), None)
        result = judge(
            order,
            etas,
            gaps,
            references,
            leading.vectors[rows],
            doubts=leading.errors[rows],
            evidence=lambda j, slope, order=order: measurement.evidence(order, j, slope),  # type: ignore[misc]
            silence=measurement.silence,
        )
        if result.status == "inconclusive":
            advice = measurement.advice(result)
            told = "; ".join(filter(None, [result.reason, str(advice)]))
            result = replace(result, reason=told, ladder=advice.ladder)
        results.append(result)
    return tuple(results)
